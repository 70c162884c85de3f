"""Speed of the default encoder on this machine, for comparing other costs with it."""

from __future__ import annotations

import inspect
import time
from importlib import import_module


def texts(count: int) -> list[str]:
    """Docstrings of the standard library, cut to about a chunk."""
    found = []
    for name in (
        "argparse",
        "asyncio",
        "collections",
        "decimal",
        "email.message",
        "inspect",
        "json",
        "logging",
        "pathlib",
        "subprocess",
        "typing",
        "unittest.mock",
    ):
        module = import_module(name)
        members = (getattr(module, member) for member in dir(module))
        found += [text[:900] for member in members if (text := inspect.getdoc(member)) and len(text) > 300]
    return (found * (1 + count // max(1, len(found))))[:count]


def tokens_per_second(count: int = 192) -> float:
    """Tokens a second of the packaged encoder, loading not counted."""
    from models.config import EncoderConfig
    from models.encoder import resolve

    found = resolve(EncoderConfig.model_validate({}))
    encoder = found.open()
    sample = texts(count)
    encoder.encode_documents(sample[:16])
    began = time.perf_counter()
    encoder.encode_documents(sample)
    return sum(found.tokenizer().count(sample)) / (time.perf_counter() - began)
