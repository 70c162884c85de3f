"""Simulated nights of real texts with real vectors, and what may happen to one: material of `bench_drift.py`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from flows.cli.demo_corpus import PACKAGES
from models.config import EncoderConfig
from models.encoder import resolve
from storage.sources.config import PythonConfig
from storage.sources.python import PythonSource

__all__ = ["Brought", "Pool", "flooded", "mixed", "pools", "quiet", "silent"]

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


def quiet(night: int, sources: Mapping[str, Pool]) -> Brought:
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
