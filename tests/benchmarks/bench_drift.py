"""How often quiet nights alarm, and which changes are caught: simulated histories of real texts and real vectors.

    python tests/benchmarks/bench_drift.py                 # docstrings of installed packages
    python tests/benchmarks/bench_drift.py --docs FILE...  # JSON lines of id, text, group: a source each, foreign last

Each history is eighty nights of several sources whose mix shifts from night to night; the first twenty only fill the
history. Then each change is made to each of the sixty nights, which is judged against the quiet ones before it. Beside
our judgement stand a permutation test (p <= .01) and a classifier with a fixed threshold (AUC > .55).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from flows.cli.demo_corpus import PACKAGES
from models.config import EncoderConfig
from models.encoder import resolve
from storage.sources.python import PythonConfig, PythonSource
from storage.tables.nights import NightSums
from tasks.watch.classifier import separability
from tasks.watch.config import DriftConfig
from tasks.watch.data import measure_data
from tasks.watch.embeddings import Sample, measure_embeddings
from tasks.watch.figures import Figure, Judged
from tasks.watch.judge import PastNight, judge
from tasks.watch.night import ARRIVALS, TEXTS, Night

WARM, NIGHTS = 20, 60
START = datetime(2026, 1, 1, 2, tzinfo=UTC)
SPACE = "0" * 32
SIZE = 60  # documents of a source in a night, in the middle
SOURCES = {
    "language": PACKAGES[:24],
    "services": ("httpx", "anyio", "starlette", "fastapi", "aiohttp"),
    "checks": ("pydantic", "hypothesis"),
    "terminal": ("rich", "typer", "click", "fsspec"),
}
FOREIGN = ("networkx",)
GERMAN = (
    "Der Lotse wartet hinter der Mole auf die Flut.",
    "Am Abend liegen die Boote wieder an ihren Bojen.",
    "Wer den Hafen bei Nebel anläuft, braucht eine gute Karte.",
    "Die Verwaltung bittet um Verständnis für die Verzögerung.",
    "Bitte senden Sie das ausgefüllte Formular an die Geschäftsstelle zurück.",
    "Im Keller des alten Rathauses fanden die Arbeiter eine Truhe voller Briefe.",
    "Seit dem Umbau fahren die Züge nur noch stündlich.",
    "Niemand konnte sagen, woher das Geräusch gekommen war.",
)


@dataclass(frozen=True)
class Pool:
    """Documents with their vectors."""

    texts: list[str]
    ids: list[str]
    vectors: np.ndarray
    groups: list[str]


@dataclass
class Past:
    """What the nights so far left."""

    nights: list[PastNight] = field(default_factory=list)
    sums: list[list[NightSums]] = field(default_factory=list)
    words: dict[str, np.ndarray] = field(default_factory=dict)
    centres: np.ndarray | None = None


@dataclass(frozen=True)
class Brought:
    """The documents of a night: source, id, text and vector of each."""

    sources: list[str]
    ids: list[str]
    texts: list[str]
    vectors: np.ndarray


def docstrings(names: Sequence[str], most: int, seed: int) -> list[tuple[str, str, str]]:
    """Id, text and package of docstrings, as many of each package as of the others."""
    found = []
    for name in names:
        source = PythonSource(PythonConfig(name="docs", kind="python", packages=(name,)), Path.cwd())
        ids = [part["id"] for part in source.list()]
        for part in source.read(pl.concat(ids)) if ids else ():
            rows = part.select("id", "text").drop_nulls().iter_rows()
            found += [(str(key), str(text)[:1_500], name) for key, text in rows if len(text) > 60]
    order = np.random.default_rng(seed).permutation(len(found))
    return [found[at] for at in order[:most]]


def pools(files: Sequence[Path], most: int, cache: Path) -> tuple[dict[str, Pool], Pool]:
    """The documents of each source and the foreign ones, encoded once."""
    if files:
        told = {file.stem: [(row["id"], row["text"], row.get("group", "")) for row in _lines(file)] for file in files}
        named = {name: rows[:most] for name, rows in told.items()}
    else:
        named = {name: docstrings(packages, most, 0) for name, packages in SOURCES.items()}
        named["foreign"] = docstrings(FOREIGN, most, 0)
    spoken = (" ".join(np.random.default_rng(at).permutation(GERMAN)[:5]) for at in range(200))
    named["german"] = [(f"g{at}", text, "g") for at, text in enumerate(spoken)]
    made = {name: _encoded(name, rows, cache) for name, rows in named.items()}
    german = made.pop("german")
    foreign = made.pop(list(made)[-1])
    return made | {"german": german}, foreign


def _lines(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _encoded(name: str, rows: list[tuple[str, str, str]], cache: Path) -> Pool:
    file = cache / f"{name}-{len(rows)}.npy"
    if not file.exists():
        began = time.perf_counter()
        encoder = resolve(EncoderConfig(threads=1), Path.cwd()).open()
        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, encoder.encode_documents([text for _, text, _ in rows]))
        print(f"  {name}: {len(rows)} texts in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return Pool([t for _, t, _ in rows], [key for key, _, _ in rows], np.load(file), [group for _, _, group in rows])


def quiet(night: int, sources: dict[str, Pool]) -> Brought:
    """A night like others: each source brings more or less, and part of it from a few corners of its own."""
    random = np.random.default_rng(1_000 + night)
    chosen = {}
    for name, pool in sources.items():
        count = int(np.clip(SIZE * random.lognormal(0, 0.6), 5, len(pool.texts) // 2))
        corners = random.choice(sorted(set(pool.groups)), min(3, len(set(pool.groups))), replace=False)
        near = np.flatnonzero(np.isin(pool.groups, corners))
        some = random.choice(near, min(count // 4, len(near)), replace=False)
        rest = random.choice(len(pool.texts), count - len(some), replace=False)
        chosen[name] = np.unique(np.concatenate([some, rest]))
    return Brought(
        [name for name, at in chosen.items() for _ in at],
        [sources[name].ids[i] for name, at in chosen.items() for i in at],
        [sources[name].texts[i] for name, at in chosen.items() for i in at],
        np.concatenate([sources[name].vectors[at] for name, at in chosen.items()]),
    )


def mixed(brought: Brought, other: Pool, share: float, seed: int, source: str | None = None) -> Brought:
    """Put documents of another pool in the place of a share of a night's, of all sources or of one."""
    random = np.random.default_rng(seed)
    mine = [at for at, each in enumerate(brought.sources) if source in (None, each)]
    places = random.choice(mine, max(1, round(share * len(mine))), replace=False)
    drawn = random.choice(len(other.texts), len(places), replace=len(places) > len(other.texts))
    texts, ids, vectors = list(brought.texts), list(brought.ids), brought.vectors.copy()
    for place, at in zip(places, drawn, strict=True):
        texts[place], ids[place], vectors[place] = other.texts[at], f"{other.ids[at]}-{place}", other.vectors[at]
    return Brought(brought.sources, ids, texts, vectors)


def silent(brought: Brought, source: str) -> Brought:
    """The same night without what a source brought."""
    keep = [at for at, each in enumerate(brought.sources) if each != source]
    columns = ([column[at] for at in keep] for column in (brought.sources, brought.ids, brought.texts))
    return Brought(*columns, brought.vectors[keep])


def flooded(brought: Brought, source: str, times: int = 4) -> Brought:
    """The same night in which a source brings one document again and again, a word changed each time."""
    first = brought.sources.index(source)
    many = times * SIZE
    noise = np.random.default_rng(0).normal(scale=0.01, size=(many, brought.vectors.shape[1]))
    vectors = brought.vectors[first] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Brought(
        [*brought.sources, *[source] * many],
        [*brought.ids, *(f"flood{at}" for at in range(many))],
        [*brought.texts, *(f"{brought.texts[first]} number{at}" for at in range(many))],
        np.concatenate([brought.vectors, vectors]).astype(np.float32),
    )


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
        chunks=texts.select(pl.col("key").alias("id"), "key", "source", pl.col("id").alias("document")),
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


def permuted(brought: Brought, past: Past, seed: int) -> bool:
    """A permutation test of the difference of means, at p <= .01, as many packages have it."""
    kept = np.concatenate([sums.kept for night in past.sums[-20:] for sums in night])
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
    nights = [sums for night in past.sums[-20:] for sums in night]
    kept, names = np.concatenate([sums.kept for sums in nights]), [name for sums in nights for name in sums.names]
    auc = separability(brought.vectors, brought.ids, kept, names)
    return auc is not None and auc > 0.55


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", nargs="*", type=Path, default=[])
    parser.add_argument("--most", type=int, default=800, help="documents of a source")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/tidemark-bench-drift"))
    parser.add_argument("--others", action="store_true", help="the permutation test and the classifier too")
    parser.add_argument("--figures", type=Path, help="where to write every quiet figure, for a closer look")
    options = parser.parse_args()
    sources, foreign = pools(options.docs, options.most, options.cache)
    german, config, names = sources.pop("german"), DriftConfig(), list(sources)
    one = names[0]
    changes: dict[str, Callable[[Brought, int], Brought]] = {
        "10 % of another topic": lambda night, seed: mixed(night, foreign, 0.1, seed),
        "20 % of another topic": lambda night, seed: mixed(night, foreign, 0.2, seed),
        "one source silent": lambda night, _: silent(night, one),
        "one source flooded": lambda night, _: flooded(night, one),
        "one source in another language": lambda night, seed: mixed(night, german, 1.0, seed, one),
        "another encoder, same name": lambda night, _: replace(night, vectors=np.roll(night.vectors, 1, axis=1)),
    }
    past, caught = Past(), {name: [0, 0, 0] for name in ["quiet", *changes]}
    alarms: list[str] = []
    for number in range(WARM + NIGHTS):
        brought = quiet(number, sources)
        figures, after = measured(number, brought, names, past, config)
        told = judged(number, figures, past, config)
        if number >= WARM:
            found = [each for each in told if each.alarm]
            named = ((each.figure.name, each.figure.source, each.strength) for each in found)
            alarms += [f"night {number}: {name} of {source}, {strength:.2f}" for name, source, strength in named]
            caught["quiet"][0] += bool(found)
            if options.others:
                caught["quiet"][1] += permuted(brought, past, number)
                caught["quiet"][2] += told_apart(brought, past)
            for name, change in changes.items():
                other = change(brought, number)
                moved, _ = measured(number, other, names, past, config)
                caught[name][0] += any(each.alarm for each in judged(number, moved, past, config))
                if options.others:
                    caught[name][1] += permuted(other, past, number)
                    caught[name][2] += told_apart(other, past)
        made = f"run{number:03d}"
        after.nights = [*past.nights, PastNight(made, made, number + 1, START + timedelta(days=number), told)]
        past = after
    print(f"{'of ' + str(NIGHTS) + ' nights':<34}{'alarms':>8}{'permutation':>13}{'AUC > .55':>11}")
    for name, (ours, permutation, classifier) in caught.items():
        beside = f"{permutation:>13}{classifier:>11}" if options.others else ""
        print(f"{name:<34}{ours:>8}{beside}")
    print("\n".join(alarms))
    if options.figures:
        rows = [
            {"night": number, **each.to_dict(), "strength": each.strength, "detail": None}
            for number, night in enumerate(past.nights)
            for each in night.figures
        ]
        options.figures.write_text("\n".join(json.dumps(row, default=str) for row in rows))


if __name__ == "__main__":
    main()
