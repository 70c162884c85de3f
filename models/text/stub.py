"""A fast fake encoder for benchmarks: bags of words, hashed and projected to signed coordinates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.config import EncoderConfig, stub_seed
from models.encoder import STUB_FILE, OnProgress, Progress, Vectors, check_vectors
from models.space import Modality, Space, digest
from models.text.identity import CONFIGURABLE
from models.text.tokenizer import WordTokenizer

__all__ = ["StubEncoder"]

VERSION = 1  # of the projection: raised when vectors change
DIMENSION = 384
WINDOW = 256
SLAB = 128  # texts at once: all that is computed of them stays in the cache
PLACES = 4  # coordinates a word touches
BASE = 0x9E3779B97F4A7C15  # odd: each power has an inverse by 2**64
LONGEST = 8  # bytes that add to a word's weight: short words say little, as an inverse frequency would find

Words = npt.NDArray[np.uint64]


class StubEncoder:
    """Texts that share words have near vectors; there is no model and no meaning."""

    modality: Modality = "text"

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self._seed = seed
        random = np.random.default_rng(seed)
        self._codes = _byte_codes(random)
        # Odd multipliers are permutations of the 64-bit numbers: no two words collapse in them.
        self._mixers = random.integers(0, 2**63, PLACES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)

    @classmethod
    def identify(cls, folder: Path | None, config: EncoderConfig) -> Space:
        """Compute the space; `folder` is an exported stub, or None where the name says all."""
        return _described(folder, config)[0]

    @classmethod
    def tokenizer(cls, folder: Path | None) -> WordTokenizer:
        """Make the tokenizer of words: the same for every stub."""
        return WordTokenizer()

    @classmethod
    def open(cls, folder: Path | None, config: EncoderConfig, space: Space) -> Self:
        """Make the encoder; there is nothing to load."""
        return cls(space, _described(folder, config)[1])

    @classmethod
    def files(cls, folder: Path | None, config: EncoderConfig, space: Space) -> dict[str, Path | dict[str, Any]]:
        """List the one small file of an export."""
        seed = _described(folder, config)[1]
        kept = {key: getattr(space, key) for key in ("name", "dimension", "window", "normalise")}
        prompts = {"query_prompt": space.query_prompt, "document_prompt": space.document_prompt}
        return {STUB_FILE: {"seed": seed, **kept, **prompts}}

    def encode_documents(self, texts: Sequence[str], progress: OnProgress | None = None) -> Vectors:
        """Embed chunks: shape (n, dimension)."""
        return self._encode(texts, self.space.document_prompt, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed queries: shape (n, dimension)."""
        return self._encode(texts, self.space.query_prompt, None)

    def _encode(self, texts: Sequence[str], prompt: str, progress: OnProgress | None) -> Vectors:
        vectors = np.empty((len(texts), self.space.dimension), dtype=np.float32)
        words = 0
        for start in range(0, len(texts), SLAB):
            slab = texts[start : start + SLAB]
            words += self._project([prompt + text for text in slab] if prompt else slab, vectors[start : start + SLAB])
            if progress is not None:
                done = start + len(slab)
                # Words are counted as they are met: the total is what the texts so far lead one to expect.
                progress(Progress(done, words, len(texts), words * len(texts) // done))
        return check_vectors(vectors, self.space)

    def _project(self, texts: Sequence[str], out: Vectors) -> int:
        """Write the vectors of some texts and return how many words they have."""
        hashes, owners, lengths = self._words(texts)
        dimension = self.space.dimension
        weights = np.minimum(lengths, LONGEST).astype(np.float64)
        places, signed = [], []
        for mixer in self._mixers:
            mixed = hashes * mixer
            mixed ^= mixed >> np.uint64(32)
            mixed *= mixer
            high = mixed >> np.uint64(32)
            # Lemire's reduction: the high bits scaled to the dimension, without a division.
            places.append(owners * dimension + ((high * np.uint64(dimension)) >> np.uint64(32)).astype(np.int64))
            signed.append(np.where(mixed & np.uint64(1 << 20), weights, -weights))
        total = np.bincount(np.concatenate(places), np.concatenate(signed), minlength=out.size)
        sums = total.reshape(out.shape)
        norms = np.sqrt(np.einsum("nd,nd->n", sums, sums))
        empty = norms == 0
        sums[empty, 0] = norms[empty] = 1
        np.divide(sums, norms[:, None] if self.space.normalise else 1, out=out, casting="same_kind")
        return len(hashes)

    def _words(self, texts: Sequence[str]) -> tuple[Words, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Find all words at once: their hashes, the text that each is in, and their lengths in bytes."""
        encoded = [text.encode("utf-8", "replace") for text in texts]
        starts = np.cumsum([0, *(len(text) + 1 for text in encoded[:-1])])
        # A zero before and after: every word then begins and ends inside the buffer.
        data = np.frombuffer(b"\0" + b"\0".join(encoded) + b"\0", dtype=np.uint8)
        codes = self._codes[data]
        inside = codes != 0
        edges = np.flatnonzero(inside[1:] != inside[:-1])
        first, last = edges[::2], edges[1::2]
        return _hashed(codes[1:], first, last), np.searchsorted(starts, first, "right") - 1, last - first


def _hashed(codes: Words, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> Words:
    """Hash words to 64 bits: the sum of each byte's code times a power that tells its place in the word.

    All words at once, as Karp and Rabin (1987) hash each part of a text: the difference of two sums from the beginning,
    by the power of where the word begins, so that a word has one hash wherever it stands.
    """
    room = 1 << len(codes).bit_length()  # of few sizes: the next texts want the same powers again
    powers, inverses = _powers(BASE, room), _powers(pow(BASE, -1, 2**64), room)
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(codes * powers[: len(codes)], out=sums[1:])
    return (sums[last] - sums[first]) * inverses[first]


@lru_cache(maxsize=4)
def _powers(base: int, count: int) -> Words:
    """The first powers of a number, by 2**64."""
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, out=powers)


def _byte_codes(random: np.random.Generator) -> Words:
    """Give every byte of a word a random code, capitals that of their small letter, and all others 0."""
    codes = random.integers(1, 2**63, 256, dtype=np.uint64)
    for byte in range(128):
        if not chr(byte).isalnum():
            codes[byte] = 0
        elif chr(byte).isupper():
            codes[byte] = codes[ord(chr(byte).lower())]
    return codes


def _described(folder: Path | None, config: EncoderConfig) -> tuple[Space, int]:
    """Give the space and the seed that a name or an exported file stands for."""
    recorded: dict[str, Any] = {"seed": stub_seed(config.name), "name": config.name}
    if folder is not None:
        recorded = json.loads((folder / STUB_FILE).read_text(encoding="utf-8"))
    # As for every exported encoder: what the configuration says itself goes before what was recorded.
    chosen = {key: getattr(config, key) for key in config.model_fields_set & recorded.keys() - {"name"}}
    recorded = {**config.model_dump(include=set(CONFIGURABLE)), **recorded, **chosen}
    seed = int(recorded["seed"])
    dimension = recorded.get("dimension", DIMENSION)
    space = Space(
        name=recorded["name"],
        modality="text",
        dimension=dimension,
        window=recorded["window"] or WINDOW,
        pooling="sum",
        normalise=recorded["normalise"],
        query_prompt=recorded["query_prompt"] or "",
        document_prompt=recorded["document_prompt"] or "",
        weights=digest({"stub": VERSION, "seed": seed}),
        tokenizer=WordTokenizer.digest,
        network=digest({"stub": VERSION, "places": PLACES, "longest": LONGEST}),
        stub=True,
    )
    return space, seed
