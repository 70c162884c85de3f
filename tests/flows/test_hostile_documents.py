"""Hostile documents of every format beside good ones: each costs itself alone, in a bound of time and of memory."""

from __future__ import annotations

import os
import random
import resource
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from corpus import configure, documents, night
from hostile import Hostile, write

from flows.audit import audit
from flows.config.schema import Config
from storage.tables.quarantine import Quarantine
from storage.tables.runs import Runs
from storage.tables.store import Store

GIVEN = os.environ.get("TIDEMARK_SEED")
SECONDS_EACH = 0.5  # of processor time, at most, on average of a document
MEMORY = 1.5 * 1024**3


def spent() -> float:
    """Seconds of processor time of this process and of the workers that ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def peak() -> int:
    """Bytes that this process and its largest worker held at most; of this one since the last `forget`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return (own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024


def forget() -> None:
    """Let the kernel measure the peak from here on."""
    Path("/proc/self/clear_refs").write_text("5")


def accounted(config: Config, made: Hostile, seed: int) -> None:
    """Nothing that was listed is lost, and every good document is there."""
    told = f"seed {seed}"
    store = Store(config.store.uri)
    held = documents(config)
    refused = Counter(row["source"] for row in Quarantine(store).all())
    kept = Counter(name.split("/")[0] for name in held)
    [run, *_] = Runs(store).all()
    for name, version in run["data"]["sources"].items():
        assert version["documents"] == kept[name] + refused[name], f"{told}: {name} lost something"
        assert version["documents"] == made.listed.get(name, version["documents"]), f"{told}: {name} listed otherwise"
    assert sum(run["data"]["sources"]["notes"].get("passed_over", {}).values()) == made.passed, told
    for (source, name), text in made.good.items():
        assert text in (held[f"{source}/{name}"]["text"] or ""), f"{told}: {source}/{name}"


def drill(base: Path, count: int, seed: int) -> int:
    """Index them, and give the bytes that it took at most."""
    made = write(base, seed, count)
    config = configure(base, sources=made.sources)
    began = spent()
    forget()
    result = night(config)
    seconds, memory = spent() - began, peak()
    assert result.outcome == "published", f"seed {seed}: {result.message}"
    accounted(config, made, seed)
    assert seconds < 10 + SECONDS_EACH * count, f"seed {seed}: {seconds:.0f} s"
    assert not audit(config).failed, f"seed {seed}"
    again = night(config)
    assert (again.outcome, again.counts["embedded"]) == ("unchanged", 0), f"seed {seed}: {again.message}"
    print(f"seed {seed}: {result.counts}, {seconds:.1f} s, {memory / 1e6:,.0f} MB")
    return memory


def test_hostile_documents_cost_themselves_alone(tmp_path: Path) -> None:
    drill(tmp_path, 120, int(GIVEN or 1))  # the same each time: what chance finds is the other one's to tell


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_hostile_documents_cost_themselves_alone(tmp_path: Path) -> None:
    seed = int(GIVEN or random.SystemRandom().randrange(10**6))
    # In a process of its own: workers of the suite hold what other tests loaded, and had children of their own.
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        assert alone.submit(drill, tmp_path, 2_000, seed).result() < MEMORY, f"seed {seed}"
