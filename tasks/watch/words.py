"""What texts of a night say of themselves: words never seen before, and which of them say nearly the same."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Words", "alike", "new_words", "running"]

Hashes = npt.NDArray[np.uint32]

# Letters alone: numbers and identifiers are new every night.
WORD = r"[^\W\d_]{2,}"
BANDS = 8  # minimum hashes of a text
SHARED = 4  # of them that two texts that say nearly the same have in common: half of their word triples
FEWEST = 8  # triples without which a text says too little to be like another


@dataclass(frozen=True)
class Words:
    """The words of the texts of one source that were never seen before.

    Attributes:
        share: Mean over texts of the share of their words that are new.
        error: Standard error of that mean.
        hashes: What the vocabulary has to learn, sorted.
        examples: New words, those that most texts have first.
        documents: Ids of the texts with the largest shares.
    """

    share: float
    error: float
    hashes: Hashes
    examples: tuple[str, ...]
    documents: tuple[str, ...]


def running(texts: pl.DataFrame) -> pl.DataFrame:
    """The words of texts in order.

    Args:
        texts: key, source, id, text.

    Returns:
        key, source, id, word; texts without a word are left out.
    """
    words = pl.col("text").str.to_lowercase().str.extract_all(WORD).alias("word")
    return texts.select("key", "source", "id", words).explode("word").drop_nulls("word")


def new_words(words: pl.DataFrame, known: Mapping[str, Hashes]) -> dict[str, Words]:
    """Find out how much of each source's texts was never seen before.

    Args:
        words: What `running` gives.
        known: Source to the hashes of the words that it had so far, sorted.

    Returns:
        Source to its new words; of a source without a vocabulary every word is new.
    """
    distinct = words.unique(["key", "word"], maintain_order=True)
    named = distinct["word"].unique(maintain_order=True)
    # CRC-32 and not a hash of polars or Python: the vocabulary outlives the version of a library.
    hashes = pl.DataFrame({"word": named, "hash": [zlib.crc32(word.encode()) for word in named]})
    # Left, one to one: every word has its hash.
    full = distinct.join(hashes.cast({"hash": pl.UInt32}), on="word", how="left", maintain_order="left")
    found = {}
    for (source,), mine in full.group_by("source", maintain_order=True):
        new = ~np.isin(mine["hash"].to_numpy(), known.get(str(source), np.empty(0, dtype=np.uint32)))
        found[str(source)] = _of_source(mine.with_columns(pl.Series("new", new)))
    return found


def _of_source(mine: pl.DataFrame) -> Words:
    shares = mine.group_by("key", maintain_order=True).agg(pl.col("id").first(), pl.col("new").mean().alias("share"))
    new = mine.filter("new")
    top = new.group_by("word", maintain_order=True).len().sort("len", descending=True, maintain_order=True)
    most = shares.sort("share", descending=True, maintain_order=True)
    spread = float(np.std(shares["share"].to_numpy()))
    return Words(
        share=float(np.mean(shares["share"].to_numpy())),
        error=spread / shares.height**0.5,
        hashes=np.unique(new["hash"].to_numpy()),
        examples=tuple(top["word"].head(10)),
        documents=tuple(most["id"].head(3)),
    )


def alike(words: pl.DataFrame) -> pl.DataFrame:
    """Find texts that say nearly the same as another of their source (MinHash of word triples, Broder 1997).

    Args:
        words: What `running` gives.

    Returns:
        key, source, id and alike, of every text that is long enough.
    """
    following = [pl.col("word").shift(-by).over("key") for by in (1, 2)]
    triple = pl.concat_str(["word", *following], separator=" ").hash().alias("triple")
    triples = words.select("key", "source", "id", triple, following[1].alias("last")).drop_nulls("last")
    # Hashes of polars do: nothing of this outlives the night.
    least = [pl.col("triple").hash(seed).min().alias(f"band{seed}") for seed in range(BANDS)]
    texts = triples.group_by("key", maintain_order=True).agg(
        pl.col("source", "id").first(), pl.col("triple").n_unique().alias("triples"), *least
    )
    texts = texts.filter(pl.col("triples") >= FEWEST)
    shared = [pl.len().over("source", f"band{seed}") > 1 for seed in range(BANDS)]
    return texts.select("key", "source", "id", (pl.sum_horizontal(shared) >= SHARED).alias("alike"))
