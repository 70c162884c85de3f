"""The figures of what arrives: counts, lengths, languages, licences, ages, repetition, refusals, new words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from tasks.curate.validation.features import detector
from tasks.curate.validation.rules import UNLICENSED
from tasks.watch.config import DriftConfig
from tasks.watch.figures import Family, Figure
from tasks.watch.judge import PastNight
from tasks.watch.night import TEXTS, Night, own
from tasks.watch.words import Hashes, Words, alike, new_words, running

__all__ = ["measure_data"]

SEEN = 2_000  # characters of a text that are looked at
SPOKEN = 300  # of them that a language is told by
TEXTS_MOST = 500  # texts of a source that are looked at: a share of them has an error of two points
SEED = 0
UNKNOWN = "unknown"
NAMED = 3  # documents that a figure names
DAY = 86_400.0

Known = Mapping[str, Hashes]


def measure_data(
    night: Night, known: Known, history: Sequence[PastNight], config: DriftConfig
) -> tuple[list[Figure], dict[str, Hashes]]:
    """Measure what arrived, a source at a time.

    Counts are exact; what is said of texts is of a seeded sample of a source's arrivals, so that a night costs no more
    than that, whatever arrived. A source that is new has no counts: its first load is no night.

    Args:
        night: What the night brought.
        known: Source to the hashes of the words that it had so far, sorted.
        history: The nights before it, for what was usual of languages and licences.
        config: How much is looked at.

    Returns:
        The figures, and source to the words that its vocabulary has to learn.
    """
    figures = list(_counts(night))
    if night.arrivals.is_empty() and (night.refused is None or night.refused.is_empty()):
        return figures, {}
    figures += _shares(night, config, history)
    texts = _sampled(night, min(config.sample, TEXTS_MOST))
    if texts.is_empty():
        return figures, {}
    words = running(texts)
    found = new_words(words, known)
    enough = {str(name): mine for (name,), mine in texts.group_by("source") if mine.height >= config.least}
    for source, mine in sorted(enough.items()):
        figures += _of_texts(source, mine, history, night)
        if source in found and source in known:
            figures.append(_words(source, found[source]))
    figures += _alike(alike(words), config.least)
    return figures, {source: each.hashes for source, each in found.items()}


def _counts(night: Night) -> Iterator[Figure]:
    arrived = dict(night.arrivals.group_by("source").len().iter_rows())
    chunks = Counter[str]()
    for part in night.chunks():
        chunks.update(dict(part.group_by("source").len().iter_rows()))
    for source in night.sources:
        if source not in night.known:
            continue
        yield Figure(Family.DATA, "documents", float(arrived.get(source, 0)), source)
        yield Figure(Family.DATA, "chunks", float(chunks[source]), source)
        if night.deleted is not None:
            yield Figure(Family.DATA, "deleted", float(night.deleted.get(source, 0)), source)


def _shares(night: Night, config: DriftConfig, history: Sequence[PastNight]) -> Iterator[Figure]:
    """The shares of arrivals that repeat others, and of what was read that was refused, and by which rules."""
    for (source,), mine in night.arrivals.group_by("source", maintain_order=True):
        if mine.height >= config.least:
            copies = mine.filter("duplicate")
            detail = {"of": mine.height, "documents": copies["id"].sort().head(NAMED).to_list()}
            yield _share("duplicates", str(source), copies.height, mine.height, detail)
    if night.refused is None:
        return
    arrived = dict(night.arrivals.group_by("source").len().iter_rows())
    for source in night.sources:
        mine = night.refused.filter(pl.col("source") == source)
        rules = dict(mine["rule"].value_counts().sort("rule").iter_rows())
        refused, read = sum(rules.values()), arrived.get(source, 0) + sum(rules.values())
        if read >= config.least:
            yield _share("refused", source, refused, read, {"of": read, "rules": rules})
        if refused >= config.least:  # as many as ever may be refused, and yet by another rule
            yield _mix("refusals", source, mine["rule"].to_list(), mine["document"], history)


def _share(name: str, source: str, some: int, all_: int, detail: Mapping[str, Any]) -> Figure:
    """A share with its standard error, by Laplace's rule: none of twenty is not surely none of a thousand."""
    guess = (some + 1) / (all_ + 2)
    return Figure(Family.DATA, name, some / all_, source, detail, math.sqrt(guess * (1 - guess) / all_))


def _sampled(night: Night, most: int) -> pl.DataFrame:
    """A seeded sample of the texts that arrived, as many of each source at most: TEXTS columns, and `chars`."""
    ordered = night.arrivals.select("key", "source").sort("key")  # a key is a hash: no order of sources matters
    mixed = ordered.with_columns(pl.Series("at", np.random.default_rng(SEED).permutation(ordered.height)))
    chosen = mixed.filter(pl.col("at").rank("ordinal").over("source") <= most).select("key")
    cut = pl.col("text").str.slice(0, SEEN)
    # Semi: what was accepted for another reason than a new text, and what was not drawn, is left out.
    parts = [
        own(
            part.join(chosen, on="key", how="semi", maintain_order="left").with_columns(
                cut, pl.col("text").str.len_chars().alias("chars")
            )
        )
        for part in night.texts()
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema={**TEXTS, "chars": pl.UInt32})


def _of_texts(source: str, texts: pl.DataFrame, history: Sequence[PastNight], night: Night) -> Iterator[Figure]:
    chars = np.log(np.maximum(texts["chars"].to_numpy(), 1))
    longest = texts.sort("chars", "id", descending=[True, False])["id"].head(NAMED).to_list()
    yield _mean("length", source, chars, 0.0, {"of": texts.height, "longest": longest})
    spoken = [_language(text) for text in texts["text"].str.slice(0, SPOKEN)]
    yield _mix("languages", source, spoken, texts["id"], history)
    licences = texts["licence"].str.strip_chars().str.to_lowercase().fill_null(UNLICENSED).to_list()
    yield _mix("licences", source, licences, texts["id"], history)
    aged = texts.drop_nulls("timestamp")
    if aged.height == texts.height:
        days = (night.now.timestamp() - aged["timestamp"].dt.epoch("us").to_numpy() / 1e6) / DAY
        yield _mean("age", source, np.log1p(np.maximum(days, 0)), 1.0, {"of": aged.height})


def _mean(name: str, source: str, logs: np.ndarray, offset: float, detail: Mapping[str, Any]) -> Figure:
    """A geometric mean with the standard error of its logarithm."""
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return Figure(Family.DATA, name, math.exp(float(logs.mean())) - offset, source, detail, error)


def _mix(name: str, source: str, values: Sequence[str], ids: pl.Series, history: Sequence[PastNight]) -> Figure:
    """How far a mix is from that of the nights before: total variation, the share that would have to be another.

    Its own counts go into its detail, from where the next nights take what is usual.
    """
    counts = Counter(sorted(values))
    total = sum(counts.values())
    usual = _usual(name, source, history)
    share = {each: count / (sum(usual.values()) or 1) for each, count in usual.items()} if usual else {}
    parts = {each: counts[each] / total - share.get(each, 0.0) for each in {*counts, *share}} if share else {}
    most = max(parts, key=lambda each: parts[each], default=None)
    named = [key for key, value in zip(ids, values, strict=True) if value == most][:NAMED]
    error = sum(math.sqrt(max(p * (1 - p), 0.0) / total) for p in share.values()) / 2
    detail = {"of": total, "counts": dict(counts), "more": most, "documents": named}
    return Figure(Family.DATA, name, sum(map(abs, parts.values())) / 2, source, detail, error)


def _usual(name: str, source: str, history: Sequence[PastNight]) -> dict[str, int]:
    """The counts of a mix in the nights before that published, but for the unusual ones."""
    found: dict[str, int] = {}
    for night in history:
        past = night.find(Figure(Family.DATA, name, 0.0, source))
        if past is not None and night.release is not None and not past.over:
            for each, count in past.figure.detail["counts"].items():
                found[each] = found.get(each, 0) + count
    return found


def _language(text: str) -> str:
    best = detector().detect(text)
    return str(best[0]["lang"]) if best else UNKNOWN


def _words(source: str, found: Words) -> Figure:
    detail = {"words": list(found.examples), "documents": list(found.documents)}
    return Figure(Family.DATA, "new_words", found.share, source, detail, found.error)


def _alike(texts: pl.DataFrame, least: int) -> Iterator[Figure]:
    for (source,), mine in texts.group_by("source", maintain_order=True):
        if mine.height >= least:
            found = mine.filter("alike")
            detail = {"of": mine.height, "documents": found["id"].head(NAMED).to_list()}
            yield _share("alike", str(source), found.height, mine.height, detail)
