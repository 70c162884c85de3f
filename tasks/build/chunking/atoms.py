"""Part texts into sentences and lines, each with its tokens and its rank: what is cut no further, unless it is long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.encoder import TextTokenizer
from tasks.build.chunking.boundaries import Kind, find_boundaries
from tasks.build.chunking.joined import SPACE, Ints, Joined
from tasks.build.chunking.ranks import Floats, Hashes, shingles, strength

__all__ = ["TOKEN_CHARACTERS", "Atoms", "atomise", "until"]

# A text without white space may be one unknown word to the encoder; so many characters of it pass for a token.
TOKEN_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Atoms:
    """The parts of texts that are not cut further: where each begins, its text, what it is, rank, tokens and size."""

    starts: Ints
    owners: Ints
    kinds: Ints
    ranks: Floats
    tokens: Ints
    sizes: Ints

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """All of them."""
        return self.starts, self.owners, self.kinds, self.ranks, self.tokens, self.sizes


def until(texts: Joined, starts: Ints, owners: Ints) -> Ints:
    """Return where the next part of the same text begins, or the text ends."""
    following = np.append(starts[1:], 0)
    last = np.append(owners[1:] != owners[:-1], True)[: len(starts)]
    return np.where(last, texts.ends[owners], following[: len(starts)])


def atomise(texts: Joined, tokenizer: TextTokenizer, high: int) -> Atoms:
    """Cut texts into sentences and lines, and those that fit no chunk into tokens."""
    found = find_boundaries(texts)
    starts = found.starts
    counts = np.diff(found.firsts, append=len(starts))
    owners = np.repeat(np.arange(len(counts)), counts)
    ends = until(texts, starts, owners)
    parts = [texts.text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    tokens = np.array(tokenizer.count(parts), dtype=np.int64)
    ends = texts.visible_before(ends)
    sizes = _sizes(tokens, ends - starts)
    # A text that fits one chunk is cut nowhere, so nobody asks for its ranks.
    large = np.bincount(owners, sizes, minlength=len(counts)) > high
    hashes = shingles(texts.codes, texts.begins[large], texts.ends[large])
    ranked = np.flatnonzero(large[owners])
    ranks = np.zeros(len(starts), np.float64)
    ranks[ranked] = strength(hashes, starts[ranked], ends[ranked])
    atoms = Atoms(starts, owners, found.kinds, ranks, tokens, sizes)
    return _split_long(texts, atoms, ends, hashes, tokenizer, high)


def _sizes(tokens: Ints, lengths: Ints) -> Ints:
    """Tokens, but never fewer than long unknown words deserve: a megabyte of base64 may be one token."""
    return np.maximum(tokens, -(-lengths // TOKEN_CHARACTERS))


def _split_long(texts: Joined, atoms: Atoms, ends: Ints, hashes: Hashes, tokenizer: TextTokenizer, high: int) -> Atoms:
    """Replace the atoms that fit no chunk by their tokens."""
    long = np.flatnonzero(atoms.sizes > high).tolist()
    if not long:
        return atoms
    bodies = [texts.text[atoms.starts[index] : ends[index]] for index in long]
    columns: list[tuple[npt.NDArray[Any], ...]] = []
    done = 0
    for index, body, spans in zip(long, bodies, tokenizer.spans(bodies), strict=True):
        columns.append(tuple(column[done:index] for column in atoms.columns))
        # No piece is much longer than TOKEN_CHARACTERS, whatever the tokenizer made of it, and each begins with a
        # visible character.
        grid = np.arange(0, len(body), TOKEN_CHARACTERS)
        starts = np.unique(np.concatenate([[0], spans[:, 0], grid]))
        flags = texts.flags[atoms.starts[index] : ends[index]]
        starts = starts[flags[starts] & SPACE == 0]
        tokens = np.bincount(np.searchsorted(starts, spans[:, 0], "right") - 1, minlength=len(starts))
        kinds = np.where(flags[starts - 1] & SPACE != 0, Kind.WORD, Kind.TOKEN).astype(np.int64)
        kinds[0] = atoms.kinds[index]
        offsets = starts + atoms.starts[index]
        ranks = strength(hashes, offsets, offsets + 1)
        ranks[0] = atoms.ranks[index]
        sizes = np.maximum(_sizes(tokens, np.diff(starts, append=len(body))), 1)
        columns.append((offsets, np.full(len(starts), atoms.owners[index]), kinds, ranks, tokens, sizes))
        done = index + 1
    columns.append(tuple(column[done:] for column in atoms.columns))
    return Atoms(*(np.concatenate(column) for column in zip(*columns, strict=True)))
