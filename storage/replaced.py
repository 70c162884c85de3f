"""Write a file that somebody named so that it is there whole, or as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["replaced"]


@contextmanager
def replaced(file: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file to be written; what is there is replaced at the end of the block, or not at all.

    A link is followed: what it leads to is replaced, and the link stays. What is no file (`/dev/stdout`, `/dev/null`, a
    pipe with a name) is written to as it is, for to replace it would take it away from everybody else.

    Args:
        file: Where.
        private: Only this user can read it.

    Yields:
        The stream.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    if file.exists() and not file.is_file():
        with file.open("wb") as stream:
            yield stream
        return
    target = Path(os.path.realpath(file))
    draft = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        draft.replace(target)
    finally:
        with suppress(OSError):  # it is there no more, or never was
            draft.unlink()
