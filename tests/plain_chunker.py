"""The chunker text by text, by regular expressions: slow and plain, what the quick one is held against."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from models.encoder import TextTokenizer
from tasks.build.chunking.atoms import TOKEN_CHARACTERS
from tasks.build.chunking.boundaries import Kind
from tasks.build.chunking.cut import Chunk, ChunkerConfig

__all__ = ["plain_chunks"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_Span = tuple[int, int, int]

# A line of text begins (group 1, with the blank lines before it), or a sentence does after the end of another. What
# follows in lower case is taken for the rest of a sentence with an abbreviation in it. The second row is that of
# Chinese and Japanese, which put no space between sentences.
START = re.compile(
    r"(\n\s*)(?=\S)|[.!?\u2026]['\")\]\u201d\u2019*_]*[^\S\n]+(?=[^\sa-z])"
    r"|[\u3002\uff01\uff1f\uff61]['\"\u300d\u300f\uff09\u201d\u2019]*[^\S\n]*(?=\S)"
)
SENTENCE_END = frozenset(".!?\u2026\u3002\uff01\uff1f\uff61")
# Markdown; a title underlined, as setext and reStructuredText have it, with or without a line above it.
HASHED = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
RULE = r"(?:={3,}|-{3,}|~{3,}|\^{3,}|\"{3,}|\*{3,}|\+{3,}|#{3,})"
UNDERLINED = re.compile(rf"^(?:{RULE}\n)?[^\s|][^\n]*\n{RULE}$", re.MULTILINE)
# Top-level definitions of the usual languages, with the decorators and attributes above them.
DEFINITION = re.compile(
    r"^(?:(?:@\w|#\[)[^\n]*\n){0,20}"
    r"(?:(?:export|default|public|private|protected|internal|abstract|final|static|pub(?:\([a-z]+\))?|async|unsafe|"
    r"inline|extern|sealed|open|data)[ \t]+){0,5}"
    r"(?:def|class|function|func|fun|fn|struct|enum|interface|trait|impl|namespace|module|proc|sub|subroutine)"
    r"[ \t(*<]+[\w(<]",
    re.MULTILINE,
)
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)

# Characters that are hashed together: long enough to be rare, short enough that an edited word spoils few.
SHINGLE = 8
BLOCK = 1_000_000  # characters hashed at once: eight bytes each, several times over


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where the atoms of a text begin, in order, and what begins there."""

    starts: Ints
    kinds: Ints


def find_boundaries(text: str) -> Boundaries:
    """Find the beginnings of lines and sentences of a text.

    Args:
        text: Normalised text.
    """
    first, end = len(text) - len(text.lstrip()), len(text.rstrip())
    if first >= end:
        return Boundaries(np.empty(0, np.int64), np.empty(0, np.int64))
    kinds: dict[int, int] = {first: Kind.PARAGRAPH}
    for match in START.finditer(text, first, end):
        line = match.group(1)
        if line is None:
            kinds[match.end()] = Kind.SENTENCE
        elif line.count("\n") > 1:
            kinds[match.end()] = Kind.PARAGRAPH
        else:
            kinds[match.end()] = Kind.SENTENCE if text[match.start() - 1] in SENTENCE_END else Kind.LINE
    for pattern, kind in ((DEFINITION, Kind.DEFINITION), (UNDERLINED, Kind.HEADING), (HASHED, Kind.HEADING)):
        for match in pattern.finditer(text, first, end):
            if match.start() in kinds:
                kinds[match.start()] = kind
            # Neither a title and its underline nor a decorator and its function are parted.
            for inner in _line_starts(text, match.start(), match.end()):
                kinds.pop(inner, None)
    starts = np.array(sorted(kinds), dtype=np.int64)
    found = np.array([kinds[start] for start in starts.tolist()], dtype=np.int64)
    for opened, closed in _fences(text):
        found[np.searchsorted(starts, opened, "right") : np.searchsorted(starts, closed)] = Kind.FENCED
    return Boundaries(starts, found)


def strength(text: str, starts: Ints, ends: Ints) -> Floats:
    """Return the pseudo-random rank of the atoms of a text: the least is the best place to cut before.

    It depends on the atom's own characters alone, so that an edit elsewhere does not change it: the least hash of its
    shingles (Broder, 1997), which an edited word usually leaves as it was.
    """
    if not len(starts):
        return np.empty(0, np.float64)
    hashes = np.full(len(text) + 1, 0xFFFFFFFFFFFFFFFF, np.uint64)
    for at in range(0, len(text), BLOCK):
        hashes[at : min(at + BLOCK, len(text))] = _shingles(text[at : at + BLOCK + SHINGLE - 1])[:BLOCK]
    # Shingles that lie wholly in the atom; an atom shorter than one has the one at its start.
    last = np.maximum(ends - SHINGLE + 1, starts + 1)
    limits = np.stack([starts, last], axis=1).ravel()
    least = np.minimum.reduceat(hashes, limits)[::2]
    # The least of many is small. Times their number it is not: else a long sentence put among short ones would always
    # be the best place to cut, and its neighbours' cuts would give way.
    ranks: Floats = (least.astype(np.float64) + 1.0) * (last - starts)
    return ranks


def order(kinds: Ints, ranks: Floats) -> Ints:
    """Return the boundaries' indices from the best place to cut to the worst; equal ones in the text's order.

    A paragraph, heading or definition has the rank of its best atom: it keeps it when a sentence is put before its
    first.
    """
    blocks = np.flatnonzero(kinds <= Kind.PARAGRAPH)
    ranks = ranks.copy()
    if len(blocks):
        ranks[blocks] = np.minimum.reduceat(ranks, blocks)
    return np.lexsort((np.arange(len(kinds)), ranks, kinds)).astype(np.int64)


def _shingles(text: str) -> npt.NDArray[np.uint64]:
    """Return the hash of the shingle at every character; behind the last character there are zeros."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    padded = np.concatenate([codes, np.zeros(SHINGLE, np.uint64)])
    hashes = np.zeros(len(codes), np.uint64)
    for place in range(SHINGLE):
        hashes = hashes * np.uint64(0x100000001B3) + padded[place : place + len(codes)]
    # The finaliser of MurmurHash3: a polynomial alone leaves the high bits of similar texts alike.
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes ^= hashes >> np.uint64(33)
        hashes *= np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))


def _line_starts(text: str, start: int, end: int) -> list[int]:
    """Return the offsets of the first visible characters of the lines that begin inside a span."""
    inner: list[int] = []
    at = text.find("\n", start, end)
    while at >= 0:
        at += 1
        while at < end and text[at].isspace():
            at += 1
        inner.append(at)
        at = text.find("\n", at, end)
    return inner


def _fences(text: str) -> list[tuple[int, int]]:
    """Return the spans of fenced code, from the opening line's start to the closing line's end."""
    spans: list[tuple[int, int]] = []
    opening: re.Match[str] | None = None
    for match in FENCE.finditer(text):
        info = match.group(2).strip()
        if opening is None or info:
            # A line that names a language opens a block even where the last was not closed, so that a lost fence harms
            # one block only.
            nested = opening is not None and len(match.group(1)) < len(opening.group(1))
            opening = opening if nested else match
        elif match.group(1).startswith(opening.group(1)):
            spans.append((opening.end() - len(opening.group(2)), match.end()))
            opening = None
    return spans


def plain_chunks(
    texts: Sequence[str], tokenizer: TextTokenizer, config: ChunkerConfig, window: int
) -> list[list[Chunk]]:
    """Cut normalised texts into chunks, one text after the other."""
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
