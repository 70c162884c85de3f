"""The tokenizer of a configured encoder, opened without the encoder."""

from __future__ import annotations

from pathlib import Path

from models.config import EncoderConfig, locate, stub_seed
from models.text.layout import read_layout
from models.text.tokenizer import TextTokenizer, Tokenizer, WordTokenizer

__all__ = ["open_tokenizer"]


def open_tokenizer(config: EncoderConfig, base: Path | None = None) -> TextTokenizer:
    """Open the tokenizer that counts and cuts for an encoder, in milliseconds and without torch.

    Args:
        config: The encoder section.
        base: The folder that a relative path in the configuration starts from.

    Raises:
        ValueError: There is no such encoder, or it has no `tokenizer.json`.
    """
    if stub_seed(config.name) is not None and not ((base or Path()) / config.name).is_dir():
        return WordTokenizer()
    folder = locate(config, base)
    if (folder / "tidemark_stub.json").is_file():
        return WordTokenizer()
    return Tokenizer.from_folder(read_layout(folder).tokenizer_file.parent)
