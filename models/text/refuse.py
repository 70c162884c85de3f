"""What would fail, or give wrong vectors, hours later: refused when an encoder is looked at, in words."""

from __future__ import annotations

from typing import Any

from models.encoder import TextTokenizer
from models.errors import DamagedModel, ModelError
from models.text.layout import Layout, Module
from models.text.tokenizer import Tokenizer
from models.weights import list_tensors, weight_files

__all__ = ["prompt_tokens", "refuse_unusable", "refuse_window", "room_taken"]

LEAST = 4  # tokens of a text that a prompt must leave room for
# The names that transformers give the table of word vectors.
WORDS = (
    *("word_embeddings.weight", "embed_tokens.weight", "tok_embeddings.weight", "wte.weight", "shared.weight"),
    *("word_embedding.weight", "embedding.weight"),
)
# What may come after a prompt; a tokenizer that sees both at once may part them otherwise than each alone.
AFTER = ("", "a", "The", "1", "(", "\u4e2d", "Xylophonically", "0123456789")


def refuse_unusable(layout: Layout, tokens: dict[str, Any]) -> None:
    """Refuse a model that brings code of its own, or whose tokenizer knows more tokens than its network.

    Args:
        layout: What the folder declares.
        tokens: Its parsed tokenizer.json.

    Raises:
        ModelError: So it is.
    """
    for module in layout.modules:
        for name, content in (("config.json", module.config), ("tokenizer_config.json", module.tokenizer)):
            if content.get("auto_map"):
                raise ModelError(
                    f"{module.folder / name} names code of its own (auto_map), and Tidemark runs no code that comes "
                    "with a model: its vectors would be others without it. Choose an encoder that needs none"
                )
    rows, last = _rows(layout.modules[0]), _last(tokens)
    if rows is not None and last >= rows:
        raise DamagedModel(
            f"{layout.tokenizer_file} numbers its tokens up to {last}, and the network in {layout.modules[0].folder} "
            f"has vectors for {rows}: one of the two belongs to another model; copy the whole model folder again"
        )


def refuse_window(layout: Layout, window: int, *, asked: bool) -> None:
    """Refuse a window that the network has not the positions for.

    Args:
        layout: What the folder declares.
        window: Tokens of a text, special ones included.
        asked: Whether `encoder.window` says so, not the model.

    Raises:
        ModelError: So it is.
    """
    positions = layout.positions
    if positions is None or window <= positions:
        return
    if asked:
        raise ModelError(f"encoder.window {window}: {layout.folder} has {positions} positions; choose at most that")
    file = layout.modules[0].folder / "sentence_bert_config.json"
    raise ModelError(
        f"{file} says max_seq_length {window}, and the network has {positions} positions; correct that file, or set "
        f"encoder.window = {positions}"
    )


def prompt_tokens(layout: Layout, prompt: str, window: int) -> int:
    """How many tokens a prompt takes from each text.

    Raises:
        ModelError: It leaves room for next to nothing: all chunks would have much the same vector.
    """
    taken = room_taken(Tokenizer.from_folder(layout.tokenizer_file.parent), prompt)
    if window and window - 2 - taken < LEAST:
        raise ModelError(
            f"the document prompt {prompt[:60]!r} takes {taken} of the {window} tokens that {layout.folder} sees of a "
            "text; shorten encoder.document_prompt"
        )
    return taken


def room_taken(tokenizer: TextTokenizer, prompt: str) -> int:
    """Tokens that a prompt takes before a text, at most; one that ends within a word may take more before odd words."""
    if not prompt:
        return 0
    alone, both = tokenizer.count(list(AFTER)), tokenizer.count([prompt + text for text in AFTER])
    return max(after - before for before, after in zip(alone, both, strict=True))


def _rows(module: Module) -> int | None:
    """Words that the network has vectors for; None where its table goes by an unknown name."""
    tensors = [tensor for file in weight_files(module.folder) for tensor in list_tensors(file)]
    rows = [tensor.shape[0] for tensor in tensors if tensor.name.endswith(WORDS) and len(tensor.shape) == 2]
    return max(rows, default=None)


def _last(tokens: dict[str, Any]) -> int:
    """The highest number that a tokenizer gives; -1 where it names none."""
    vocabulary = (tokens.get("model") or {}).get("vocab") or {}
    numbers = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
    added = (token.get("id", -1) for token in tokens.get("added_tokens") or [])
    return max([*numbers, *added], default=-1)
