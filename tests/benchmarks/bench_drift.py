"""How often quiet nights alarm, and which changes are caught: simulated histories of real texts and real vectors.

    python tests/benchmarks/bench_drift.py                 # docstrings of installed packages
    python tests/benchmarks/bench_drift.py --docs FILE...  # JSON lines of id, text, group: a source each, foreign last
    python tests/benchmarks/bench_drift.py --others --evidently ENV/bin/python  # beside what others do

Each history is eighty nights of several sources whose mix shifts from night to night; the first twenty only fill the
history. Then each change is made to each of the sixty nights, which is judged against the quiet ones before it. Beside
our judgement stand a permutation test (p <= .01), a classifier with a fixed threshold (AUC > .55), and what Evidently
does by default, in an environment of its own: a classifier whose area under the curve is held against .55 (with 1,000
vectors to compare with, else against a bootstrap).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from drift_nights import Brought, Pool, flooded, mixed, pools, quiet, silent

from storage.tables.nights import NightSums
from tasks.watch.classifier import separability
from tasks.watch.config import DriftConfig
from tasks.watch.data import measure_data
from tasks.watch.embeddings import Sample, measure_embeddings
from tasks.watch.figures import Figure, Judged
from tasks.watch.judge import PastNight, judge
from tasks.watch.night import ARRIVALS, TEXTS, Night

WARM, NIGHTS = 20, 60
NIGHTS_LATER = 3
START = datetime(2026, 1, 1, 2, tzinfo=UTC)
SPACE = "0" * 32


@dataclass
class Past:
    """What the nights so far left."""

    nights: list[PastNight] = field(default_factory=list)
    sums: list[list[NightSums]] = field(default_factory=list)
    words: dict[str, np.ndarray] = field(default_factory=dict)
    centres: np.ndarray | None = None


def measured(
    number: int, brought: Brought, names: Sequence[str], past: Past, config: DriftConfig
) -> tuple[list[Figure], Past]:
    """Measure a night as the stage does, and what the past is afterwards."""
    keys = [f"{source}/{key}" for source, key in zip(brought.sources, brought.ids, strict=True)]
    frame = pl.DataFrame({"key": keys, "source": brought.sources, "id": brought.ids, "text": brought.texts})
    first = frame.with_row_index("row").unique("key", maintain_order=True)
    texts = first.select(
        "key", "source", "id", "text", *(pl.lit(None, TEXTS[name]).alias(name) for name in ("licence", "timestamp"))
    )
    night = Night(
        run=f"run{number:03d}",
        now=START + timedelta(days=number),
        sources=tuple(names),
        known=frozenset(names),
        arrivals=texts.select("key", "source", "id", pl.lit(value=False).alias("duplicate")).cast(ARRIVALS),
        texts=lambda: [texts],
        chunks=lambda: [texts.select(pl.col("key").alias("id"), "key", "source", pl.col("id").alias("document"))],
        refused=pl.DataFrame(schema={"source": pl.String, "rule": pl.String}),
        deleted={},
        space=SPACE,
    )
    figures, words = measure_data(night, past.words, past.nights, config)
    order = np.random.default_rng(0).permutation(first.height)[: config.sample]
    rows = first["row"].to_numpy()[order]
    drawn = Sample(brought.vectors[rows], [brought.ids[at] for at in rows], [brought.sources[at] for at in rows])
    before = [sums for night in past.sums[-config.nights :] for sums in night]
    seen = measure_embeddings(drawn, night, before, past.centres, config)
    empty = np.empty(0, np.uint32)
    learned = {name: np.union1d(past.words.get(name, empty), new).astype(np.uint32) for name, new in words.items()}
    centres = past.centres if seen.centres is None else seen.centres
    after = Past([*past.nights], [*past.sums, list(seen.sums)], past.words | learned, centres)
    return [*figures, *seen.figures], after


def judged(number: int, figures: list[Figure], past: Past, config: DriftConfig) -> tuple[Judged, ...]:
    """Judge a night's figures against the past."""
    return judge(figures, past.nights, config)


def reference(past: Past) -> np.ndarray:
    """The vectors that the last twenty nights kept, shape (vectors, dimension)."""
    return np.concatenate([sums.kept for night in past.sums[-20:] for sums in night])


def lived(number: int, brought: Brought, names: Sequence[str], past: Past, config: DriftConfig) -> Past:
    """The past after a night was measured and judged."""
    figures, after = measured(number, brought, names, past, config)
    made = f"run{number:03d}"
    told = judged(number, figures, past, config)
    after.nights = [*past.nights, PastNight(made, made, number + 1, START + timedelta(days=number), told)]
    return after


def permuted(brought: Brought, past: Past, seed: int) -> bool:
    """A permutation test of the difference of means, at p <= .01, as many packages have it."""
    kept = reference(past)
    now = brought.vectors[: len(kept)]
    both = np.concatenate([now, kept])
    random, n = np.random.default_rng(seed), len(now)

    def statistic(order: np.ndarray) -> float:
        gap = both[order[:n]].mean(axis=0) - both[order[n:]].mean(axis=0)
        return float(gap @ gap)

    seen = statistic(np.arange(len(both)))
    return sum(statistic(random.permutation(len(both))) >= seen for _ in range(199)) + 1 <= 0.01 * 200


def told_apart(brought: Brought, past: Past) -> bool:
    """A classifier with a fixed threshold."""
    kept, names = reference(past), [name for night in past.sums[-20:] for sums in night for name in sums.names]
    auc = separability(brought.vectors, brought.ids, kept, names)
    return auc is not None and auc > 0.55


class Evidently:
    """What Evidently's embedding drift says by default: asked once at the end, in its own environment."""

    # Its report would draw a t-SNE of each case too; the method is what decides.
    SCRIPT = """
import json, sys
from pathlib import Path
import numpy, pandas
from evidently.legacy.metrics.data_drift.embedding_drift_methods import model
found = {}
for file in sorted(Path(sys.argv[1]).glob("*.npz")):
    both = numpy.load(file)
    now, then = (pandas.DataFrame(both[name], columns=map(str, range(both[name].shape[1]))) for name in ("now", "then"))
    found[file.stem] = bool(model(bootstrap=len(then) < 1000)(now, then)[1])
print(json.dumps(found))
"""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder = python, folder
        self.names: list[str] = []

    def keep(self, name: str, brought: Brought, past: Past) -> None:
        """Keep a case for the end."""
        np.savez(self.folder / f"{len(self.names):06d}.npz", now=brought.vectors, then=reference(past))
        self.names.append(name)

    def told(self) -> Counter[str]:
        """Alarms by name of the case."""
        asked = [str(self.python), "-c", self.SCRIPT, str(self.folder)]
        said = subprocess.run(asked, check=True, capture_output=True, text=True)
        answers = json.loads(said.stdout.strip().splitlines()[-1])
        return Counter(self.names[int(stem)] for stem, drifted in answers.items() if drifted)


@dataclass
class Table:
    """Alarms by case, of each way to judge."""

    columns: dict[str, Counter[str]]
    alarms: list[str] = field(default_factory=list)
    figures: list[dict[str, object]] = field(default_factory=list)

    def note(self, column: str, case: str, alarm: bool) -> None:
        """Count a case that alarmed."""
        self.columns[column][case] += alarm

    def keep(self, case: str, history: int, night: int, figures: Sequence[Judged]) -> None:
        """Keep the figures of a case, for a closer look."""
        about = {"case": case, "history": history, "night": night}
        self.figures += [
            {**about, **each.to_dict(), "strength": each.strength, "detail": None} for each in figures if each.band
        ]

    def show(self, cases: Sequence[str], nights: int) -> None:
        """Print it."""
        print(f"{f'of {nights} nights':<34}" + "".join(f"{name:>13}" for name in self.columns))
        for case in cases:
            print(f"{case:<34}" + "".join(f"{found[case]:>13}" for found in self.columns.values()))
        print("\n".join(self.alarms))


Change = Callable[[Brought, int], Brought]


def changes(one: str, foreign: Pool, german: Pool) -> dict[str, Change]:
    """What is done to a night, by name."""
    return {
        "quiet": lambda night, _: night,
        "10 % of another topic": lambda night, seed: mixed(night, foreign, 0.1, seed),
        "20 % of another topic": lambda night, seed: mixed(night, foreign, 0.2, seed),
        "one source silent": lambda night, _: silent(night, one),
        "one source flooded": lambda night, _: flooded(night, one),
        "one source in another language": lambda night, seed: mixed(night, german, 1.0, seed, one),
        "another encoder, same name": lambda night, _: replace(night, vectors=np.roll(night.vectors, 1, axis=1)),
    }


def lasting(history: int, number: int, sources: Mapping[str, Pool], change: Change, past: Past) -> list[Judged]:
    """The alarms of three nights, where a change that begins in one stays."""
    config, found = DriftConfig(), list[Judged]()
    for night in range(number, number + NIGHTS_LATER):
        past = lived(night, change(quiet(1_000 * history + night, sources), night), list(sources), past, config)
        found += [each for each in past.nights[-1].figures if each.alarm]
    return found


def simulate(
    history: int, sources: Mapping[str, Pool], cases: Mapping[str, Change], table: Table, evidently: Evidently | None
) -> None:
    """Live through one history, with every change made to every night of it."""
    config, names, past = DriftConfig(), list(sources), Past()
    for number in range(WARM + NIGHTS):
        brought = quiet(1_000 * history + number, sources)
        figures, _ = measured(number, brought, names, past, config)
        for name, change in cases.items() if number >= WARM else ():
            other = change(brought, number)
            moved = measured(number, other, names, past, config)[0] if name != "quiet" else figures
            seen = judged(number, moved, past, config)
            found = [each for each in seen if each.alarm]
            table.note("ours", name, bool(found))
            table.keep(name, history, number, seen)
            if name != "quiet":
                table.note("in 3 nights", name, bool(found or lasting(history, number, sources, change, past)))
            else:
                said = (f"{each.figure.name} of {each.figure.source}, {each.strength:.2f}" for each in found)
                table.alarms += [f"history {history}, night {number}: {each}" for each in said]
            if "permutation" in table.columns:
                table.note("permutation", name, permuted(other, past, number))
                table.note("AUC > .55", name, told_apart(other, past))
            if evidently is not None:
                evidently.keep(name, other, past)
        past = lived(number, brought, names, past, config)
        print(f"\r  history {history}, night {number}", end="", file=sys.stderr)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", nargs="*", type=Path, default=[])
    parser.add_argument("--most", type=int, default=800, help="documents of a source")
    parser.add_argument("--histories", type=int, default=1, help="how many, of sixty nights each")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tidemark-bench-drift")
    parser.add_argument("--others", action="store_true", help="the permutation test and the classifier too")
    parser.add_argument("--evidently", type=Path, help="an interpreter that has evidently")
    parser.add_argument("--figures", type=Path, help="where to write every quiet figure, for a closer look")
    options = parser.parse_args()
    sources, foreign = pools(options.docs, options.most, options.cache)
    cases = changes(next(iter(sources)), foreign, sources.pop("german"))
    table = Table(
        {name: Counter() for name in ("ours", "in 3 nights", *(["permutation", "AUC > .55"] if options.others else []))}
    )
    with tempfile.TemporaryDirectory() as folder:
        evidently = Evidently(options.evidently, Path(folder)) if options.evidently else None
        for history in range(options.histories):
            simulate(history, sources, cases, table, evidently)
        if evidently is not None:
            table.columns["Evidently"] = evidently.told()
    table.show(list(cases), NIGHTS * options.histories)
    if options.figures:
        options.figures.write_text("\n".join(json.dumps(row, default=str) for row in table.figures))


if __name__ == "__main__":
    main()
