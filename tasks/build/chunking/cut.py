"""Cut documents into chunks that fit the encoder, at places that an edit elsewhere does not move."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.encoder import TextTokenizer
from tasks.build.chunking.boundaries import Floats, Ints, Kind, find_boundaries, order, strength
from tasks.ingest.normalise import NORMALISER

__all__ = ["CHUNKER_VERSION", "Chunk", "ChunkerConfig", "chunk_texts", "fingerprint"]

# Raise it with every change of what `chunk_texts` returns: it is in the fingerprint.
CHUNKER_VERSION = "1"

# A text without white space may be one unknown word to the encoder; so many characters of it pass for a token.
TOKEN_CHARACTERS = 32

_Span = tuple[int, int, int]


class ChunkerConfig(BaseModel):
    """How documents are cut: section `[chunker]` of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_tokens: int = Field(
        default=48,
        ge=1,
        description="Tokens that a chunk has at least, unless its document is short or its sentences are long. "
        "The more, the larger the chunks, and the more of them an edit changes.",
    )
    max_tokens: int | None = Field(
        default=256,
        ge=2,
        description="Tokens that a chunk has at most; the encoder's window (less its special tokens) where that is "
        "less, or where none is given.",
    )

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.max_tokens is not None and self.min_tokens > self.max_tokens // 2:
            raise ValueError(
                f"min_tokens = {self.min_tokens} is over half of max_tokens = {self.max_tokens}: a longer text "
                f"could not be cut in two; set min_tokens to {self.max_tokens // 2} or less"
            )
        return self

    def fit(self, window: int) -> ChunkerConfig:
        """Return the sizes that hold for an encoder: never over its window, and the least at most half of that.

        Args:
            window: Tokens that the encoder reads, less its special tokens.
        """
        top = window if self.max_tokens is None else min(self.max_tokens, window)
        return ChunkerConfig(min_tokens=max(1, min(self.min_tokens, top // 2)), max_tokens=top)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document: `text == document[start:end]`."""

    text: str
    start: int
    end: int
    ordinal: int
    tokens: int


def fingerprint(config: ChunkerConfig, tokenizer_digest: str, max_tokens: int) -> str:
    """Return the identity of the chunking: 32 hex characters over all that decides which chunks a text gives.

    Args:
        config: The chunker's parameters, as configured.
        tokenizer_digest: Identity of the tokenizer that counts.
        max_tokens: Tokens that the encoder reads, less its special tokens.
    """
    sizes = config.fit(max_tokens)
    parts = [CHUNKER_VERSION, NORMALISER, sizes.min_tokens, sizes.max_tokens, tokenizer_digest]
    return blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def chunk_texts(
    texts: Sequence[str], tokenizer: TextTokenizer, config: ChunkerConfig, window: int
) -> list[list[Chunk]]:
    """Cut normalised texts into chunks.

    The best place to cut is taken first, then the best on each of its sides, and so on until every part fits: a treap
    (Seidel and Aragon, 1996) over places whose rank depends on the text right behind them. An edit thus
    rarely moves more than one cut beside it.

    Args:
        texts: Normalised texts.
        tokenizer: The encoder's tokenizer.
        config: The chunker's parameters.
        window: Tokens that the encoder reads, less its special tokens.

    Returns:
        The chunks of each text, in order; none for a text without visible characters. A chunk begins and ends with
        a visible character; together they cover every visible character once.
    """
    sizes = config.fit(window)
    low, high = sizes.min_tokens, sizes.max_tokens or window
    documents = _atomise(texts, tokenizer, high)
    spans: list[list[_Span]] = []
    for text, atoms in zip(texts, documents, strict=True):
        cuts = _select(atoms, low, high)
        totals = np.add.reduceat(atoms.tokens, cuts).tolist() if len(cuts) else []
        bounds = [*atoms.starts[cuts].tolist(), len(text.rstrip())]
        spans.append([_strip(text, *span) for span in zip(bounds, bounds[1:], totals, strict=False)])
    spans = _hold(texts, spans, tokenizer, high)
    return [
        [Chunk(text[start:end], start, end, i, tokens) for i, (start, end, tokens) in enumerate(each)]
        for text, each in zip(texts, spans, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Atoms:
    """The parts of a text that are not cut further: where each begins, what it is, its rank, tokens and size."""

    starts: Ints
    kinds: Ints
    ranks: Floats
    tokens: Ints
    sizes: Ints


def _atomise(texts: Sequence[str], tokenizer: TextTokenizer, high: int) -> list[_Atoms]:
    """Cut texts into sentences and lines, and those that fit no chunk into tokens."""
    found = [find_boundaries(text) for text in texts]
    limits = [np.append(each.starts, len(text)) for text, each in zip(texts, found, strict=True)]
    parts = [[text[a:b] for a, b in pairwise(limit.tolist())] for text, limit in zip(texts, limits, strict=True)]
    counts = tokenizer.count([part for each in parts for part in each])
    documents: list[_Atoms] = []
    done = 0
    for text, boundaries, limit, each in zip(texts, found, limits, parts, strict=True):
        tokens = np.array(counts[done : done + len(each)], dtype=np.int64)
        done += len(each)
        lengths = np.array([len(part.rstrip()) for part in each], dtype=np.int64)
        ranks = strength(text, boundaries.starts, boundaries.starts + lengths)
        atoms = _Atoms(limit[:-1], boundaries.kinds, ranks, tokens, _sizes(tokens, lengths))
        documents.append(_split_long(text, atoms, lengths, tokenizer, high))
    return documents


def _sizes(tokens: Ints, lengths: Ints) -> Ints:
    """Tokens, but never fewer than long unknown words deserve: a megabyte of base64 may be one token."""
    return np.maximum(tokens, -(-lengths // TOKEN_CHARACTERS))


def _split_long(text: str, atoms: _Atoms, lengths: Ints, tokenizer: TextTokenizer, high: int) -> _Atoms:
    """Replace the atoms that fit no chunk by their tokens."""
    long = np.flatnonzero(atoms.sizes > high).tolist()
    if not long:
        return atoms
    bodies = [text[start : start + length] for start, length in zip(atoms.starts[long], lengths[long], strict=True)]
    columns: list[list[npt.NDArray[Any]]] = []
    done = 0
    whole = (atoms.starts, atoms.kinds, atoms.ranks, atoms.tokens, atoms.sizes)
    for index, body, spans in zip(long, bodies, tokenizer.spans(bodies), strict=True):
        columns.append([column[done:index] for column in whole])
        # No piece is much longer than TOKEN_CHARACTERS, whatever the tokenizer made of it, and each begins with a
        # visible character.
        grid = np.arange(0, len(body), TOKEN_CHARACTERS)
        starts = np.unique(np.concatenate([[0], spans[:, 0], grid]))
        starts = starts[[not body[start].isspace() for start in starts.tolist()]]
        tokens = np.bincount(np.searchsorted(starts, spans[:, 0], "right") - 1, minlength=len(starts))
        kinds = np.array([Kind.WORD if body[start - 1].isspace() else Kind.TOKEN for start in starts.tolist()])
        kinds[0] = atoms.kinds[index]
        offsets = starts + atoms.starts[index]
        ranks = strength(text, offsets, offsets + 1)
        ranks[0] = atoms.ranks[index]
        lengths_of = np.diff(starts, append=len(body))
        columns.append([offsets, kinds, ranks, tokens, np.maximum(_sizes(tokens, lengths_of), 1)])
        done = index + 1
    columns.append([column[done:] for column in whole])
    return _Atoms(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _select(atoms: _Atoms, low: int, high: int) -> Ints:
    """Return the indices of the atoms that begin a chunk.

    Places are taken from the best to the worst; one is cut iff its part is over `high` and both halves keep `low`.
    That equals splitting every part at its best place, without recursion.
    """
    total = len(atoms.starts)
    if not total:
        return np.empty(0, np.int64)
    at = [0, *np.cumsum(atoms.sizes).tolist()]
    cuts = [0, total]
    large = int(at[total] > high)
    ranked = order(atoms.kinds, atoms.ranks).tolist() if large else []
    # Where long atoms leave no place between `low` and the other end, smaller chunks are the lesser evil.
    for least in (low, low // 2, 1):
        for place in ranked:
            if not large:
                break
            right = bisect_left(cuts, place)
            begin, end = at[cuts[right - 1]], at[cuts[right]]
            if end - begin <= high or at[place] - begin < least or end - at[place] < least:
                continue
            insort(cuts, place)
            large += (at[place] - begin > high) + (end - at[place] > high) - 1
    return np.array(cuts[:-1], dtype=np.int64)


def _strip(text: str, start: int, end: int, tokens: int) -> _Span:
    """Return a span without the white space around it."""
    body = text[start:end]
    return start + len(body) - len(body.lstrip()), start + len(body.rstrip()), tokens


def _hold(texts: Sequence[str], spans: list[list[_Span]], tokenizer: TextTokenizer, high: int) -> list[list[_Span]]:
    """Count again the chunks that may be over the limit on their own, and halve those that are.

    Cut inside a word, or parted from its neighbours, a text may have more tokens than it had in place.
    """
    doubtful = [
        (index, place)
        for index, (text, each) in enumerate(zip(texts, spans, strict=True))
        for place, (start, end, tokens) in enumerate(each)
        if tokens > high * 7 // 8 or not (_is_free(text, start - 1) and _is_free(text, end))
    ]
    counts = tokenizer.count([texts[i][slice(*spans[i][place][:2])] for i, place in doubtful])
    for (index, place), count in zip(reversed(doubtful), reversed(counts), strict=True):
        start, end, _ = spans[index][place]
        spans[index][place : place + 1] = _halve(texts[index], (start, end, count), tokenizer, high)
    return spans


def _is_free(text: str, place: int) -> bool:
    """Whether no word goes on at a place: it is white space or outside the text."""
    return not 0 <= place < len(text) or text[place].isspace()


def _halve(text: str, span: _Span, tokenizer: TextTokenizer, high: int) -> list[_Span]:
    """Cut a span at its middle token until every part fits; a single character stays whole."""
    done: list[_Span] = []
    waiting = [span]
    while waiting:
        start, end, tokens = waiting.pop()
        places = np.unique(tokenizer.spans([text[start:end]])[0][:, 0]) if tokens > high else np.empty(0)
        middle = start + int(places[len(places) // 2]) if len(places) > 1 else (start + end) // 2
        if tokens <= high or not start < middle < end:
            done.append((start, end, tokens))
            continue
        parts = [_strip(text, start, middle, 0), _strip(text, middle, end, 0)]
        counts = tokenizer.count([text[a:b] for a, b, _ in parts])
        waiting.extend((a, b, n) for (a, b, _), n in zip(reversed(parts), reversed(counts), strict=True) if a < b)
    return done
