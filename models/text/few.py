"""A few short texts by BERT in numpy: the same vectors as by torch, whose import takes longer than all the rest.

One question is some milliseconds of arithmetic; to import torch is one to two seconds of processor time, which made it
half of a search. Whatever is more than that, or is asked of a process that has torch anyway, the encoder itself does.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from models.encoder import Encoder, EncoderFolder, OnProgress, Vectors, check_vectors
from models.space import Modality
from models.text.bert import OFFSET_TYPES, WORDS, Bert
from models.text.layout import Layout, Module, read_layout
from models.text.pooling import ACTIVATIONS, TANH, head_fits
from models.text.sentence import SentenceEncoder, Task, Tokens, tokeniser
from models.weights import Tensor, list_tensors, weight_files

__all__ = ["FewTexts", "open_few"]

Floats = npt.NDArray[np.float32]
Step = Callable[[Floats], Floats]

TEXTS, TOKENS = 8, 128  # of one call; beyond them torch is faster, its import counted
TINY = 1e-12  # the least norm that is divided by, as in torch


def loaded() -> bool:
    """Whether the process has torch anyway."""
    return "torch" in sys.modules


def open_few(found: EncoderFolder) -> Encoder:
    """Open an encoder for questions that come one at a time.

    Args:
        found: The encoder.

    Returns:
        One that answers without torch for as long as the process can do without it; the encoder itself where torch is
        loaded already, a device other than the processor is named, or the network is none that is computed here.

    Raises:
        ModelError: the folder is damaged, or the machine has not the device that is asked for.
    """
    if loaded() or found.kind is not SentenceEncoder or found.config.device not in ("auto", "cpu"):
        return found.open()
    layout = read_layout(cast("Path", found.folder))
    transformer, *rest = layout.modules
    if not (Bert.fits(transformer) and head_fits(tuple(rest)) and all(map(_plain, (transformer, *rest[1:])))):
        return found.open()
    return FewTexts(found, layout)


class FewTexts:
    """An encoder whose few short questions need no torch; everything else opens the encoder itself.

    Args:
        found: The encoder.
        layout: Its folder, of whose network every part is computed here.
    """

    modality: Modality = "text"

    def __init__(self, found: EncoderFolder, layout: Layout) -> None:
        self.space = found.space
        self._found = found
        self._tokenise = tokeniser(layout, found.space.window)
        self._network = _Network.load(layout)

    def encode_documents(self, texts: Sequence[str], progress: OnProgress | None = None) -> Vectors:
        """Embed chunks: shape (n, dimension)."""
        return self._whole.encode_documents(texts, progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed queries: shape (n, dimension)."""
        tokens = self._tokenise([self.space.query_prompt + text for text in texts])
        few = len(texts) <= TEXTS and sum(map(len, tokens)) <= TOKENS and all(map(len, tokens))
        if not few or loaded():
            return self._whole.encode_queries(texts)
        vectors = np.empty((len(texts), self.space.dimension), dtype=np.float32)
        for row, numbers in enumerate(tokens):
            pooled = self._network.vector(numbers)
            vectors[row] = _unit(pooled) if self.space.normalise else pooled
        return check_vectors(vectors, self.space)

    def encode_tokens(self, texts: Sequence[str], task: Task) -> list[Vectors]:
        """Embed each token by itself, as `SentenceEncoder.encode_tokens` does."""
        return self._whole.encode_tokens(texts, task)

    @cached_property
    def _whole(self) -> SentenceEncoder:
        return cast("SentenceEncoder", self._found.open())


@dataclass(frozen=True)
class _Network:
    """BERT, pooling, and what follows, of one text at a time: there is no padding, and so no mask.

    Attributes:
        tensors: Weights of the transformer by name, without the prefix that some checkpoints have.
        config: The transformer's config.json.
        modes: How token vectors are pooled.
        steps: What follows the pooling.
    """

    tensors: dict[str, Floats]
    config: dict[str, Any]
    modes: tuple[str, ...]
    steps: list[Step]

    @classmethod
    def load(cls, layout: Layout) -> Self:
        """Map the weights: only what is computed with is read."""
        transformer, pooling, *rest = layout.modules
        found = _mapped(transformer.folder)
        prefix = next(name for name in found if name.endswith(WORDS)).removesuffix(WORDS)
        tensors = {name.removeprefix(prefix): each for name, each in found.items() if name.startswith(prefix)}
        return cls(tensors, transformer.config, pooling.modes, [_step(module) for module in rest])

    def vector(self, numbers: Tokens) -> Floats:
        """The vector of a text of these tokens: shape (dimension,)."""
        pooled = _pooled(self._hidden(numbers), self.modes)
        for step in self.steps:
            pooled = step(pooled)
        return pooled

    def _hidden(self, numbers: Tokens) -> Floats:
        """The vectors of the tokens: shape (tokens, width)."""
        hidden = self._embedded(numbers)
        heads = int(self.config["num_attention_heads"])
        activate = _FUNCTIONS[self.config.get("hidden_act", "gelu")]
        for number in range(int(self.config["num_hidden_layers"])):
            layer = f"encoder.layer.{number}."
            # (tokens, width) to (heads, tokens, width of a head)
            query, key, value = (
                self._linear(f"{layer}attention.self.{part}", hidden).reshape(len(numbers), heads, -1).swapaxes(0, 1)
                for part in ("query", "key", "value")
            )
            weights = _softmax(query @ key.swapaxes(1, 2) / np.float32(math.sqrt(query.shape[-1])))
            context = (weights @ value).swapaxes(0, 1).reshape(hidden.shape)
            hidden = self._closed(f"{layer}attention.output", context, hidden)
            inner = activate(self._linear(f"{layer}intermediate.dense", hidden))
            hidden = self._closed(f"{layer}output", inner, hidden)
        return hidden

    def _embedded(self, numbers: Tokens) -> Floats:
        """Add up the embeddings of words, positions and the only segment."""
        offset = 0
        if self.config["model_type"] in OFFSET_TYPES:
            offset = int(self.config.get("pad_token_id", 1)) + 1
        words = self.tensors[WORDS][numbers]
        places = self.tensors["embeddings.position_embeddings.weight"][offset : offset + len(numbers)]
        return self._norm(
            "embeddings.LayerNorm", words + self.tensors["embeddings.token_type_embeddings.weight"][0] + places
        )

    def _closed(self, name: str, inner: Floats, hidden: Floats) -> Floats:
        """Close a block: project, add the input, normalise."""
        return self._norm(f"{name}.LayerNorm", self._linear(f"{name}.dense", inner) + hidden)

    def _linear(self, name: str, rows: Floats) -> Floats:
        return rows @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def _norm(self, name: str, rows: Floats) -> Floats:
        epsilon = np.float32(self.config.get("layer_norm_eps", 1e-12))
        centred = rows - rows.mean(axis=-1, keepdims=True)
        spread = np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + epsilon)
        return cast("Floats", centred / spread * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"])


def _plain(module: Module) -> bool:
    """Tell whether all weights of a module are numbers that numpy has."""
    return all(each.dtype in ("F32", "I64") for file in weight_files(module.folder) for each in list_tensors(file))


def _mapped(folder: Path) -> dict[str, Floats]:
    """The weights of a module, mapped to their files."""
    tensors = [each for file in weight_files(folder) for each in list_tensors(file)]
    return {each.name: _view(each) for each in tensors if each.dtype == "F32"}


def _view(tensor: Tensor) -> Floats:
    return np.memmap(tensor.file, np.float32, "r", tensor.start, tensor.shape).view(np.ndarray)


def _pooled(tokens: Floats, modes: tuple[str, ...]) -> Floats:
    """Pool the vectors of a text's tokens; the modes' results are put side by side."""
    parts = []
    for mode in modes:
        if mode == "cls":
            part = tokens[0]
        elif mode == "max":
            part = tokens.max(axis=0)
        elif mode == "lasttoken":
            part = tokens[-1]
        elif mode == "weightedmean":
            weights = np.arange(1, len(tokens) + 1, dtype=np.float32)
            part = weights @ tokens / weights.sum()
        else:
            part = tokens.sum(axis=0) / np.float32(len(tokens) if mode == "mean" else math.sqrt(len(tokens)))
        parts.append(part)
    return np.concatenate(parts)


def _step(module: Module) -> Step:
    """What a module after the pooling makes of a vector."""
    if module.kind == "Normalize":
        return _unit
    tensors = _mapped(module.folder)
    weight, bias = tensors["linear.weight"], tensors.get("linear.bias", np.float32(0))
    activate = _FUNCTIONS[ACTIVATIONS[module.config.get("activation_function", TANH)]]
    return lambda vector: activate(weight @ vector + bias)


def _unit(vector: Floats) -> Floats:
    return vector / np.float32(max(float(np.linalg.norm(vector)), TINY))


def _softmax(rows: Floats) -> Floats:
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return cast("Floats", powers / powers.sum(axis=-1, keepdims=True))


_erf = np.frompyfunc(math.erf, 1, 1)  # numpy has none, and scipy's import takes longer than this does


def _gelu(rows: Floats) -> Floats:
    return cast("Floats", rows * (0.5 + 0.5 * _erf(rows * np.float32(math.sqrt(0.5))).astype(np.float32)))


_FUNCTIONS: dict[str, Step] = {
    "": lambda rows: rows,
    "gelu": _gelu,
    "relu": lambda rows: np.maximum(rows, 0),
    "sigmoid": lambda rows: cast("Floats", 1 / (1 + np.exp(-rows))),
    "tanh": np.tanh,
}
