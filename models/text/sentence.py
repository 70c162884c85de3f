"""Encoders in the layout of sentence-transformers: hub models, local folders, the packaged one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from models.config import EncoderConfig
from models.device import choose_device
from models.encoder import OnProgress, Progress, Vectors, check_vectors
from models.errors import ModelError, UnknownModel
from models.memory import reuse_memory
from models.space import Modality, Space
from models.text.bert import Bert
from models.text.identity import space_of
from models.text.layout import SETTINGS, Layout, read_layout
from models.text.pooling import head, head_fits, pool
from models.text.tokenizer import Tokenizer
from models.weights import weight_files

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "SentenceEncoder", "Task", "Tokens", "batched", "tokeniser"]

logger = logging.getLogger(__name__)

Tokens = npt.NDArray[np.int32]
Task = Literal["document", "query"]
# As measured: beyond it a CPU leaves its cache, and an H100 gained seven times as much again from 1,000.
BATCH_TOKENS, GPU_BATCH_TOKENS = {"cpu": 1_000}, 64_000
TOKENISED = 4096  # texts tokenised at once: their encodings are some hundred bytes a token
COPIED = ("*.json", "*.txt", "*.model")  # beside the weights; never code, never a pickle


@dataclass(frozen=True)
class Batch:
    """Texts that go through the network together.

    Attributes:
        rows: Numbers of the texts.
        texts: The texts, without the prompt.
        tokens: Their token numbers, with the prompt and the special tokens.
        prompt: Put before every text.
        task: What the texts are, for models with a tower for each.
    """

    rows: npt.NDArray[np.intp]
    texts: list[str]
    tokens: list[Tokens]
    prompt: str = ""
    task: Task = "document"


Network = Callable[[Batch], "torch.Tensor"]


@dataclass(frozen=True)
class Networks:
    """What a loaded model computes.

    Attributes:
        vectors: One vector a text: shape (texts, dimension).
        tokens: One vector a token, before they are pooled: shape (texts, tokens, width), padded on the right; None
            where the stack is not computed here.
    """

    vectors: Network
    tokens: Network | None = None


class SentenceEncoder:
    """Runs BERT-like stacks itself, and any other through sentence-transformers."""

    modality: Modality = "text"

    def __init__(self, space: Space, layout: Layout, networks: Networks, batch_tokens: int) -> None:
        self.space = space
        self._tokenise = tokeniser(layout, space.window)
        self._networks = networks
        self._batch_tokens = batch_tokens

    @classmethod
    def identify(cls, folder: Path | None, config: EncoderConfig) -> Space:
        """Compute the space from the folder's files."""
        return space_of(_given(folder), config)

    @classmethod
    def tokenizer(cls, folder: Path | None) -> Tokenizer:
        """Open the folder's tokenizer."""
        return Tokenizer.from_folder(read_layout(_given(folder)).tokenizer_file.parent)

    @classmethod
    def open(cls, folder: Path | None, config: EncoderConfig, space: Space, dtype: str = "float32") -> Self:
        """Load a model folder.

        Args:
            folder: The folder.
            config: Device and threads.
            space: What `identify` found; its window and prompts hold.
            dtype: Precision of the arithmetic. Only float32 gives the vectors of the space; others are for trials.

        Raises:
            ModelError: the folder is no encoder, or the machine has no such device.
        """
        import torch

        layout = read_layout(_given(folder))
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        # TF32 would keep 10 bits of each product: other vectors on a GPU than on a CPU, so another space.
        torch.set_float32_matmul_precision("highest")
        device = choose_device(config.device, "encoder.device")
        precision: torch.dtype = getattr(torch, dtype)
        if Bert.fits(layout.modules[0]) and head_fits(layout.modules[1:]):
            networks = _own_networks(layout, space, device, precision)
        else:
            kinds = ", ".join(module.kind for module in layout.modules)
            logger.info("%s (%s) runs through sentence-transformers", space.name, kinds)
            networks = Networks(_foreign_network(layout, space, device, precision))
        batch = config.batch_tokens or BATCH_TOKENS.get(device, GPU_BATCH_TOKENS)
        return cls(space, layout, networks, batch)

    @classmethod
    def files(cls, folder: Path | None, config: EncoderConfig, space: Space) -> dict[str, Path | dict[str, Any]]:
        """List what an export needs: weights, JSON and vocabularies, and the settings that belong to the space."""
        folder = _given(folder)
        layout = read_layout(folder)
        places = dict.fromkeys([folder, *(module.folder for module in layout.modules)])
        found = [file for place in places for pattern in COPIED for file in sorted(place.glob(pattern))]
        found += [file for place in places for file in weight_files(place)]
        kept = {key: getattr(space, key) for key in ("name", "window", "normalise", "query_prompt", "document_prompt")}
        return {**{str(file.relative_to(folder)): file for file in found}, SETTINGS: kept}

    def encode_documents(self, texts: Sequence[str], progress: OnProgress | None = None) -> Vectors:
        """Embed chunks: shape (n, dimension)."""
        return self._encode(texts, self.space.document_prompt, "document", progress)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed queries: shape (n, dimension)."""
        return self._encode(texts, self.space.query_prompt, "query", None)

    def encode_tokens(self, texts: Sequence[str], task: Task) -> list[Vectors]:
        """Embed each token by itself, as the network sees it before it pools.

        Returns:
            Shape (tokens, width) a text, unit norm, without the tokens that frame every text ([CLS], [SEP]); a text
            that is empty but for those keeps them.

        Raises:
            ModelError: the network is run by sentence-transformers, which does not say which token a vector is of.
        """
        import torch

        if self._networks.tokens is None:
            raise ModelError(
                f"{self.space.name}: the vectors of its tokens are not known, only those of BERT-like ones"
            )
        prompt = self.space.query_prompt if task == "query" else self.space.document_prompt
        tokens = self._tokens(texts, prompt)
        frame = self._tokenise([""])[0]
        found: list[Vectors] = [np.empty((0, 0), dtype=np.float32)] * len(texts)
        with torch.inference_mode(), reuse_memory():
            for rows in batched(tokens, self._batch_tokens):
                batch = Batch(rows, [texts[row] for row in rows], [tokens[row] for row in rows], prompt, task)
                hidden = torch.nn.functional.normalize(self._networks.tokens(batch).float(), dim=-1).cpu().numpy()
                for row, numbers, vectors in zip(batch.rows, batch.tokens, hidden, strict=True):
                    own = ~np.isin(numbers, frame)
                    found[row] = vectors[: len(numbers)][own if own.any() else slice(None)]
        return found

    def _tokens(self, texts: Sequence[str], prompt: str) -> list[Tokens]:
        return self._tokenise([prompt + text for text in texts] if prompt else texts)

    def _encode(self, texts: Sequence[str], prompt: str, task: Task, progress: OnProgress | None) -> Vectors:
        import torch

        tokens = self._tokens(texts, prompt)
        all_tokens = sum(map(len, tokens))
        vectors = np.empty((len(texts), self.space.dimension), dtype=np.float32)
        done_texts = done_tokens = 0
        with torch.inference_mode(), reuse_memory():
            for rows in batched(tokens, self._batch_tokens):
                batch = Batch(rows, [texts[row] for row in rows], [tokens[row] for row in rows], prompt, task)
                vectors[batch.rows] = self._networks.vectors(batch).float().cpu().numpy()
                done_texts += len(batch.rows)
                done_tokens += sum(map(len, batch.tokens))
                if progress is not None:
                    progress(Progress(done_texts, done_tokens, len(texts), all_tokens))
        return check_vectors(vectors, self.space)


def batched(tokens: Sequence[Tokens], budget: int) -> Iterator[npt.NDArray[np.intp]]:
    """Cut texts, longest first, into batches of at most `budget` tokens, padding included, but at least one text.

    Neighbours in length share a batch, so that hardly any padding is computed. The longest come first, so that
    memory peaks at the start, and the time that is left is rather over- than underestimated.

    Yields:
        The numbers of the texts of a batch.
    """
    lengths = np.fromiter(map(len, tokens), dtype=np.int64, count=len(tokens))
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        rows = order[start : start + size]
        yield rows
        start += size


def _given(folder: Path | None) -> Path:
    if folder is None:
        raise UnknownModel("an encoder of this kind needs the folder of its model")
    return folder


def tokeniser(layout: Layout, window: int) -> Callable[[Sequence[str]], list[Tokens]]:
    """Make the function from texts to token numbers, cut to the window, special tokens included."""
    import tokenizers

    inner = tokenizers.Tokenizer.from_file(str(layout.tokenizer_file))
    inner.no_padding()
    inner.no_truncation()
    if window:
        inner.enable_truncation(window)

    def tokenise(texts: Sequence[str]) -> list[Tokens]:
        found: list[Tokens] = []
        for start in range(0, len(texts), TOKENISED):
            some = texts[start : start + TOKENISED]
            encodings = inner.encode_batch_fast([text.lower() for text in some] if layout.lowercase else some)
            found.extend(np.array(encoding.ids, dtype=np.int32) for encoding in encodings)
        return found

    return tokenise


def _own_networks(layout: Layout, space: Space, device: str, dtype: torch.dtype) -> Networks:
    """Load a stack of BERT, pooling, dense layers and norms."""
    import torch

    bert = Bert.load(layout.modules[0], device, dtype)
    modes = layout.modules[1].modes
    steps = head(layout.modules[2:], device, dtype)

    def hidden(batch: Batch) -> torch.Tensor:
        lengths = torch.tensor([len(row) for row in batch.tokens])
        ids = torch.zeros((len(batch.tokens), int(lengths.max())), dtype=torch.int64)
        for row, numbers in enumerate(batch.tokens):
            ids[row, : len(numbers)] = torch.from_numpy(numbers)
        # Without padding there is nothing to mask, and attention is faster for it.
        mask = None if bool((lengths == ids.shape[1]).all()) else torch.arange(ids.shape[1]) < lengths[:, None]
        return bert.forward(ids.to(device), mask if mask is None else mask.to(device))

    def vectors(batch: Batch) -> torch.Tensor:
        lengths = torch.tensor([len(row) for row in batch.tokens])
        pooled = pool(hidden(batch), lengths.to(device), modes)
        for step in steps:
            pooled = step(pooled)
        return torch.nn.functional.normalize(pooled.float(), dim=-1) if space.normalise else pooled

    return Networks(vectors, hidden)


def _foreign_network(layout: Layout, space: Space, device: str, dtype: torch.dtype) -> Network:
    """Load any other stack with sentence-transformers itself: from local files, as safetensors, without their code."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(layout.folder),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True, "dtype": dtype},
    )
    if space.window:
        model.max_seq_length = space.window

    def network(batch: Batch) -> torch.Tensor:
        encode = model.encode_query if batch.task == "query" else model.encode_document
        return encode(
            batch.texts,
            prompt=batch.prompt,
            batch_size=len(batch.texts),
            show_progress_bar=False,
            convert_to_tensor=True,
            normalize_embeddings=space.normalise,
        )

    return network
