"""Cut documents into chunks that fit the encoder, at places that an edit elsewhere does not move."""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

import numpy as np

from models.encoder import TextTokenizer
from tasks.build.chunking.atoms import Atoms, atomise, until
from tasks.build.chunking.boundaries import Kind
from tasks.build.chunking.joined import SPACE, Ints, Joined
from tasks.build.chunking.ranks import order
from tasks.build.config import ChunkerConfig
from tasks.ingest.normalise import NORMALISER

__all__ = ["CHUNKER_VERSION", "Chunk", "ChunkerConfig", "chunk_texts", "fingerprint"]

# Raise it with every change of what `chunk_texts` returns: it is in the fingerprint.
CHUNKER_VERSION = "1"

GROUP_CHARACTERS = 500_000  # cut at once: what is known of them takes some twenty bytes a character

_Span = tuple[int, int, int]


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
    return [chunks for group in _groups(texts) for chunks in _chunk_group(group, tokenizer, low, high)]


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Part texts into groups of bounded size; one that is larger is a group of its own."""
    group: list[str] = []
    size = 0
    for text in texts:
        if group and size + len(text) > GROUP_CHARACTERS:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    if group:
        yield group


def _chunk_group(texts: list[str], tokenizer: TextTokenizer, low: int, high: int) -> list[list[Chunk]]:
    """Cut some texts at once."""
    joined = Joined.of(texts)
    atoms = atomise(joined, tokenizer, high)
    cuts = _cuts(atoms, low, high)
    starts, owners = atoms.starts[cuts], atoms.owners[cuts]
    # A chunk ends where the next begins, or its text ends, less the white space before.
    ends = joined.visible_before(until(joined, starts, owners))
    tokens = np.add.reduceat(atoms.tokens, cuts) if len(cuts) else atoms.tokens
    chunks: list[list[Chunk]] = [[] for _ in texts]
    begins = joined.begins.tolist()
    for owner, (start, end, count) in _hold(joined, owners, _Spans(starts, ends, tokens), tokenizer, high):
        own, begin = chunks[owner], begins[owner]
        own.append(Chunk(joined.text[start:end], start - begin, end - begin, len(own), count))
    return chunks


def _cuts(atoms: Atoms, low: int, high: int) -> Ints:
    """Return the indices of the atoms that begin a chunk: the first of every text, and where those are cut."""
    firsts = np.flatnonzero(np.diff(atoms.owners, prepend=-1))
    if not len(firsts):
        return np.empty(0, np.int64)
    large = np.add.reduceat(atoms.sizes, firsts) > high
    counts = np.diff(firsts, append=len(atoms.starts))
    # Only texts that are cut are ranked; their atoms lie in `chosen` one behind the other.
    chosen = np.flatnonzero(np.repeat(large, counts))
    ranked = chosen[order(atoms.owners[chosen], atoms.kinds[chosen], atoms.ranks[chosen], Kind.PARAGRAPH)]
    cuts = [firsts]
    done = 0
    for first, count in zip(firsts[large].tolist(), counts[large].tolist(), strict=True):
        sizes = atoms.sizes[first : first + count].tolist()
        places = (ranked[done : done + count] - first).tolist()
        cuts.append(np.array(_select(sizes, places, low, high), dtype=np.int64) + first)
        done += count
    return np.sort(np.concatenate(cuts))


def _select(sizes: list[int], ranked: list[int], low: int, high: int) -> list[int]:
    """Return the atoms of one text before which it is cut.

    Places are taken from the best to the worst; one is cut iff its part is over `high` and both halves keep `low`.
    That equals splitting every part at its best place, without recursion.
    """
    total = len(sizes)
    at = [0, *accumulate(sizes)]
    cuts = [0, total]
    large = 1
    # Where long atoms leave no place between `low` and the other end, smaller chunks are the lesser evil.
    for least in (low, low // 2, 1):
        for place in ranked:
            if not large:
                break
            right = bisect_left(cuts, place)
            begin, end, middle = at[cuts[right - 1]], at[cuts[right]], at[place]
            if end - begin <= high or middle - begin < least or end - middle < least:
                continue
            insort(cuts, place)
            large += (middle - begin > high) + (end - middle > high) - 1
    return cuts[1:-1]


@dataclass(frozen=True, slots=True)
class _Spans:
    """Where chunks begin and end, and their tokens."""

    starts: Ints
    ends: Ints
    tokens: Ints


def _hold(
    texts: Joined, owners: Ints, spans: _Spans, tokenizer: TextTokenizer, high: int
) -> Iterator[tuple[int, _Span]]:
    """Count again the chunks that may be over the limit on their own, and halve those that are.

    Cut inside a word, or parted from its neighbours, a text may have more tokens than it had in place.

    Yields:
        Each chunk's text and span, in order.
    """
    # No word goes on at a place that is white space or outside the text.
    free = (texts.flags[spans.starts - 1] & texts.flags[spans.ends] & SPACE) != 0
    doubtful = np.flatnonzero((spans.tokens > high * 7 // 8) | ~free)
    places = zip(spans.starts[doubtful].tolist(), spans.ends[doubtful].tolist(), strict=True)
    tokens = spans.tokens.copy()
    tokens[doubtful] = tokenizer.count([texts.text[start:end] for start, end in places])
    columns = (owners, spans.starts, spans.ends, tokens)
    for owner, *span in zip(*(column.tolist() for column in columns), strict=True):
        start, end, count = span
        if count <= high:
            yield owner, (start, end, count)
            continue
        for half in _halve(texts.text, (start, end, count), tokenizer, high):
            yield owner, half


def _strip(text: str, start: int, end: int, tokens: int) -> _Span:
    """Return a span without the white space around it."""
    body = text[start:end]
    return start + len(body) - len(body.lstrip()), start + len(body.rstrip()), tokens


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
