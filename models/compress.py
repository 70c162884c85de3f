"""Smaller vectors: fewer dimensions by a linear map that an encoder carries, and fewer bits a dimension."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.encoder import Vectors, resolve
from models.errors import DamagedModel, ModelError
from models.space import Space
from models.text.layout import SETTINGS
from models.vectors import unit

__all__ = ["Int8", "fit_svd", "from_bits", "hamming", "map_vectors", "shorten", "to_bits", "to_int8"]

Bits = npt.NDArray[np.uint8]

MODULES = "sentence_transformers.models"
IDENTITY = "torch.nn.modules.linear.Identity"
# What stands for the folder of a bare transformer, which sentence-transformers pools by its mean.
BARE = (("", "Transformer"), ("1_Pooling", "Pooling"))


def fit_svd(slices: Iterable[Vectors], dimension: int) -> Vectors:
    """Find the directions that hold most of the vectors' length: a truncated SVD of them, not centred.

    Not centred, unlike principal components: what is compared are angles from the origin. It holds one slice and a
    matrix of width x width, however many vectors there are.

    Args:
        slices: The vectors, shape (n, width) each.
        dimension: Directions wanted.

    Returns:
        Shape (dimension, width), rows of unit length and at right angles, the most telling first; the largest
        coordinate of each is positive, so that the same vectors give the same matrix.

    Raises:
        ModelError: there are no vectors, or they have no more coordinates than that.
    """
    gram: npt.NDArray[np.float64] | None = None
    for vectors in slices:
        exact = vectors.astype(np.float64)
        gram = exact.T @ exact if gram is None else gram + exact.T @ exact
    if gram is None:
        raise ModelError("there are no vectors to shorten: embed documents first")
    if not 0 < dimension < len(gram):
        raise ModelError(f"{dimension} dimensions: vectors of {len(gram)} can be shortened to 1 to {len(gram) - 1}")
    _, directions = np.linalg.eigh(gram)
    matrix = directions[:, ::-1].T[:dimension]
    largest = np.take_along_axis(matrix, np.abs(matrix).argmax(axis=1)[:, None], axis=1)
    return np.ascontiguousarray(matrix * np.sign(largest), dtype=np.float32)


def map_vectors(vectors: Vectors, matrix: Vectors) -> Vectors:
    """Map stored vectors as the shortened encoder maps them, so that no text is encoded again.

    Args:
        vectors: Shape (n, width), of the encoder that was shortened.
        matrix: Shape (dimension, width).

    Returns:
        Shape (n, dimension), of unit norm; a vector that the matrix maps to nothing stays 0.
    """
    return unit(vectors @ matrix.T)


def shorten(folder: Path, matrix: Vectors, destination: Path) -> Space:
    """Write an encoder that ends in the matrix: the folder of another, with a dense layer and a norm appended.

    Args:
        folder: Folder of an encoder in the layout of sentence-transformers.
        matrix: Shape (dimension, width), the width being that of the encoder.
        destination: A folder that is empty or does not exist; SentenceTransformer loads it as it is.

    Returns:
        The space of the new encoder.

    Raises:
        ModelError: the encoder is of another width, or of no kind that can be appended to.
    """
    from safetensors.numpy import save_file

    dimension, width = matrix.shape
    found = resolve(folder)
    if found.space.stub or found.space.dimension != width:
        raise ModelError(
            f"{folder}: a matrix for vectors of {width} dimensions does not fit {found.space.name}, which "
            f"{'is a stub' if found.space.stub else f'gives {found.space.dimension}'}"
        )
    found.export(destination)
    entries = _modules(destination)
    last = len(entries)
    for number, kind in ((last, "Dense"), (last + 1, "Normalize")):
        (destination / f"{number}_{kind}").mkdir()
        entries.append({"idx": number, "name": str(number), "path": f"{number}_{kind}", "type": f"{MODULES}.{kind}"})
    dense = {"in_features": width, "out_features": dimension, "bias": False, "activation_function": IDENTITY}
    _write(destination / f"{last}_Dense" / "config.json", dense)
    weight = {"linear.weight": np.ascontiguousarray(matrix, dtype=np.float32)}
    save_file(weight, destination / f"{last}_Dense" / "model.safetensors", {"format": "pt"})
    _write(destination / "modules.json", entries)
    said = json.loads((destination / SETTINGS).read_text(encoding="utf-8"))
    _write(destination / SETTINGS, said | {"name": f"{found.space.name}, {dimension} dimensions", "normalise": True})
    return resolve(destination).space


@dataclass(frozen=True)
class Int8:
    """Vectors of one byte a coordinate, and the one symmetric scale that they share.

    Attributes:
        codes: Shape (n, dimension).
        scale: What a step of a code stands for.
    """

    codes: npt.NDArray[np.int8]
    scale: float

    def vectors(self, rows: npt.NDArray[np.intp] | slice = slice(None)) -> Vectors:
        """The vectors that the codes of some rows stand for: each coordinate is off by half a step at most."""
        return self.codes[rows].astype(np.float32) * np.float32(self.scale)


def to_int8(vectors: Vectors, scale: float | None = None) -> Int8:
    """Round vectors to one byte a coordinate.

    Args:
        vectors: Shape (n, dimension).
        scale: The step, where others were rounded by it before; the largest coordinate becomes 127 if None.
    """
    step = scale or float(np.abs(vectors).max(initial=0)) / 127 or 1.0
    return Int8(np.clip(np.rint(vectors / np.float32(step)), -127, 127).astype(np.int8), step)


def to_bits(vectors: Vectors) -> Bits:
    """Keep the sign of each coordinate: shape (n, dimension / 8), rounded up, the first in the highest bit."""
    return np.packbits(vectors > 0, axis=1)


def from_bits(bits: Bits, dimension: int) -> Vectors:
    """Give what signs stand for: shape (n, dimension), of unit norm."""
    signs = np.unpackbits(bits, axis=1, count=dimension).astype(np.float32) * 2 - 1
    return np.asarray(signs / np.sqrt(np.float32(dimension)), dtype=np.float32)


def hamming(queries: Bits, bits: Bits) -> npt.NDArray[np.int32]:
    """Count the signs in which vectors differ: shape (queries, n)."""
    # Whole words where the width allows it: eight times fewer to count.
    wide = np.uint64 if bits.shape[1] % 8 == 0 else np.uint8
    left, right = np.ascontiguousarray(queries).view(wide), np.ascontiguousarray(bits).view(wide)
    counts = [np.bitwise_count(one ^ right).sum(axis=1, dtype=np.int32) for one in left]
    return np.array(counts, dtype=np.int32).reshape(len(queries), len(bits))


def _modules(folder: Path) -> list[dict[str, object]]:
    """Read the chain of modules of an exported folder; a bare transformer gets one."""
    listed = folder / "modules.json"
    if listed.is_file():
        entries: list[dict[str, object]] = json.loads(listed.read_text(encoding="utf-8"))
        return entries
    width = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("hidden_size")
    if width is None:
        raise DamagedModel(
            f"{folder / 'config.json'} declares no hidden_size: save it with sentence-transformers first"
        )
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True})
    return [
        {"idx": number, "name": str(number), "path": path, "type": f"{MODULES}.{kind}"}
        for number, (path, kind) in enumerate(BARE)
    ]


def _write(file: Path, content: object) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
