"""Canaries: another kernel under the same files stops a night before it writes, and other batches or threads do not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import configure, context, encoder, prepared, prose, rows, save

from flows.config.schema import Config
from flows.exits import exit_code
from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import resolve
from models.probe import CANARY_TEXTS, TOLERANCE, change
from storage.tables.canaries import Canaries, Canary
from storage.tables.drift import Drift
from storage.tables.store import Store
from tasks.watch.canary import canary, judge

TELLING = {"runs", "leases", "drift"}  # that a run was there, and why it stopped


def heads(config: Config) -> dict[str, int]:
    """Table to the version of its head, of all that say what the index is."""
    store = Store(config.store.uri)
    return {name: store.open(name).version for name in store.tables() if name not in TELLING}


@pytest.fixture
def config(tmp_path: Path, tiny_model: Path) -> Config:
    (tmp_path / "model").symlink_to(tiny_model)
    return configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "model", "threads": 1})


@pytest.fixture
def other_kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has torch compute one function of the network in another way, as another version of it may."""
    from torch.nn import functional

    exact = functional.gelu

    def begin() -> None:
        monkeypatch.setattr(functional, "gelu", lambda inner: exact(inner, approximate="tanh"))

    return begin


def test_a_night_on_another_kernel_is_refused_before_it_writes(
    config: Config, tmp_path: Path, other_kernel: Callable[[], None]
) -> None:
    assert refresh(config).outcome == "published"
    store = Store(config.store.uri)
    space = encoder(config).space.id
    kept = Canaries(store).get(space)
    assert kept is not None
    assert kept.texts == CANARY_TEXTS
    assert {"torch", "polars", "kernels"} <= kept.made_with.keys()

    save(tmp_path / "notes", {"b.md": prose("buoy"), "empty.md": ""})
    before = heads(config)
    other_kernel()
    result = refresh(config)
    assert (result.outcome, exit_code(result.outcome), result.release) == ("refused", 5, 1)
    assert heads(config) == before
    for told in ("gives other vectors than those in the index", "where 1e-05 is allowed", "--rebuild", "reembed"):
        assert told in result.message
    [alarm] = [row for row in Drift(store).all() if row["family"] == "encoder"]
    assert (alarm["name"], alarm["alarm"], alarm["limit"]) == ("canary", True, TOLERANCE)
    assert alarm["value"] > TOLERANCE

    accepted = refresh(config, accept_encoder=True)
    assert accepted.outcome == "published"
    assert min(accepted.counts["reused"], accepted.counts["embedded"]) > 0  # vectors of both, as somebody wanted
    save(tmp_path / "notes", {"c.md": prose("chart")})
    assert refresh(config).outcome == "published"  # from now on these are the vectors to compare with


def test_a_rebuild_embeds_everything_with_the_new_kernel_and_is_compared_with_from_then_on(
    config: Config, tmp_path: Path, other_kernel: Callable[[], None]
) -> None:
    refresh(config)
    old = np.array([row["vector"] for row in rows(config)])
    other_kernel()
    result = refresh(config, rebuild=True)
    assert (result.outcome, result.counts["reused"]) == ("published", 0)
    assert change(old, np.array([row["vector"] for row in rows(config)])).difference > TOLERANCE
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    assert refresh(config).outcome == "published"


def test_other_batches_and_threads_are_the_same_kernel(tiny_model: Path) -> None:
    found = [
        resolve(EncoderConfig(name=str(tiny_model), batch_tokens=tokens, threads=threads))
        .open()
        .encode_documents(CANARY_TEXTS)
        for tokens, threads in ((16, 1), (1_000, 2), (20_000, 1))
    ]
    for vectors in found[1:]:
        assert change(found[0], vectors).within(TOLERANCE / 5)


def test_a_night_that_embeds_nothing_opens_no_encoder(config: Config, tmp_path: Path) -> None:
    refresh(config)
    shutil.move(tmp_path / "notes" / "a.md", tmp_path / "notes" / "moved.md")
    with context(config) as shared:
        folder, done = encoder(config), prepared(shared, config)
        object.__setattr__(folder, "kind", None)  # it could not even be opened
        result = canary(shared, folder, done.pending, {})
    assert (result.change, result.figures, result.verdict.outcome) == (None, (), "passed")


def space_of(model: Path) -> Any:
    return resolve(model).space


def test_what_changed_is_named_and_nothing_is_a_mismatch_too(tiny_model: Path) -> None:
    texts, vectors = CANARY_TEXTS[:2], np.eye(2, 8, dtype=np.float32)
    kept = Canary(texts, vectors, {"torch": "2.15.0", "polars": "2.1.0"})
    fresh = Canary(CANARY_TEXTS, vectors, {"torch": "2.16.0", "polars": "2.1.0", "kernels": "AVX2"})
    space = space_of(tiny_model)
    passed = judge(space, kept, vectors + np.float32(1e-6), fresh)
    assert (passed.verdict.outcome, passed.fresh) == ("passed", fresh)  # these texts are more than those kept
    refused = judge(space, kept, vectors + np.float32(1e-3), fresh)
    assert "torch 2.15.0 -> 2.16.0" in refused.verdict.reasons[0]
    assert refused.counts == {"texts": 2, "moved": 1}
    assert judge(space, kept, np.full_like(vectors, np.nan), fresh).verdict.outcome == "refused"
    assert judge(space, kept, vectors + np.float32(1e-3), fresh, allowed=True).verdict.outcome == "passed"
    nobody = judge(space, kept, vectors * 2, Canary(texts, vectors, dict(kept.made_with)))
    assert "nothing that is recorded" in nobody.verdict.reasons[0]
