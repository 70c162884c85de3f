"""Rank the places where a text may be cut by the text that follows them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.text.characters import Codes
from tasks.build.chunking.joined import SHINGLE, Ints

__all__ = ["Floats", "Hashes", "order", "shingles", "strength"]

Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

BLOCK = 8_192  # characters hashed at once: what is computed of them, eight bytes each, stays in the cache
PRIME = 0x100000001B3
FIRST, SECOND, FOURTH = (np.uint64(PRIME**power % 2**64) for power in (1, 2, 4))
# The finaliser of MurmurHash3: a polynomial alone leaves the high bits of similar texts alike.
MIXERS = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
HALF = np.uint64(33)


def shingles(codes: Codes, begins: Ints, ends: Ints) -> Hashes:
    """Return the hash of the shingle at every character of some texts.

    Args:
        codes: Code points of joined texts.
        begins: Where the texts begin that are asked for, ascending.
        ends: Where they end; zeros follow.

    Returns:
        A hash a character, shape (characters,); what it is outside of the texts that are asked for is not said.
    """
    hashes = np.zeros(len(codes), np.uint64)
    # Neighbours are hashed together: to hash the separators too costs less than to stop for them.
    apart = np.flatnonzero(begins[1:] - ends[:-1] > SHINGLE) + 1
    firsts, lasts = np.concatenate([begins[:1], begins[apart]]), np.concatenate([ends[apart - 1], ends[-1:]])
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        for at in range(first, last, BLOCK):
            until = min(at + BLOCK, last)
            hashes[at:until] = _hashed(codes[at : until + SHINGLE - 1].astype(np.uint64))
    return hashes


def _hashed(codes: Hashes) -> Hashes:
    """Hash all SHINGLE characters that follow each other: a polynomial, by twos, by fours and by eights."""
    pairs = codes[:-1] * FIRST
    pairs += codes[1:]
    fours = pairs[:-2] * SECOND
    fours += pairs[2:]
    hashes: Hashes = fours[:-4] * FOURTH
    hashes += fours[4:]
    shifted = np.empty_like(hashes)
    for factor in MIXERS:
        np.right_shift(hashes, HALF, out=shifted)
        hashes ^= shifted
        hashes *= factor
    np.right_shift(hashes, HALF, out=shifted)
    hashes ^= shifted
    return hashes


def strength(hashes: Hashes, starts: Ints, ends: Ints) -> Floats:
    """Return the pseudo-random rank of atoms: the least is the best place to cut before.

    It depends on the atom's own characters alone, so that an edit elsewhere does not change it: the least hash of its
    shingles (Broder, 1997), which an edited word usually leaves as it was.

    Args:
        hashes: The hash of the shingle at every character.
        starts: Offsets of the first characters of the atoms, ascending.
        ends: Offsets after the last characters of the atoms.
    """
    if not len(starts):
        return np.empty(0, np.float64)
    # Shingles that lie wholly in the atom; an atom shorter than one has the one at its start.
    last = np.maximum(ends - SHINGLE + 1, starts + 1)
    limits = np.stack([starts, last], axis=1).ravel()
    least = np.minimum.reduceat(hashes, limits)[::2]
    # The least of many is small. Times their number it is not: else a long sentence put among short ones would always
    # be the best place to cut, and its neighbours' cuts would give way.
    ranks: Floats = (least.astype(np.float64) + 1.0) * (last - starts)
    return ranks


def order(owners: Ints, kinds: Ints, ranks: Floats, last_of_blocks: int) -> Ints:
    """Return the places of many texts, text by text, from the best to the worst; equal ones in the text's order.

    A paragraph, heading or definition has the rank of its best atom: it keeps it when a sentence is put before its
    first. Every text begins with one.

    Args:
        owners: The text that each place is in, ascending.
        kinds: What begins there; the least is the best.
        ranks: Of the atoms that begin there.
        last_of_blocks: The last of the kinds that begin a block.
    """
    blocks = np.flatnonzero(kinds <= last_of_blocks)
    ranks = ranks.copy()
    if len(blocks):
        ranks[blocks] = np.minimum.reduceat(ranks, blocks)
    return np.lexsort((ranks, owners * (int(kinds.max(initial=0)) + 1) + kinds)).astype(np.int64)
