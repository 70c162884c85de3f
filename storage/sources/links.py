"""Files opened below a folder and nowhere else, whatever links lie on the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO

__all__ = ["opened", "outside"]


def outside(path: Path, root: Path) -> str | None:
    """Tell where a link leads if that is outside a folder; None for one that stays inside, or leads nowhere.

    Args:
        path: The link.
        root: The folder, with no link in its own path.
    """
    # Not strict: a link to what is not there yet may lead out as soon as it is.
    target = os.path.realpath(path)
    return None if Path(target).is_relative_to(root) else os.fsencode(target).decode(errors="backslashreplace")


@contextmanager
def opened(root: Path, relative: PurePosixPath, *, follow: bool) -> Iterator[BinaryIO]:
    """Open a file below a folder for reading.

    A link may be put into the way at any time, so it is not enough to have looked before: what the path leads to is
    opened folder by folder, and the kernel refuses each link that has come since.

    Args:
        root: The folder, with no link in its own path.
        relative: The file's path below it.
        follow: Whether links may lead out of the folder.

    Raises:
        PermissionError: A link leads out.
        OSError: The file cannot be opened.
    """
    # Without waiting for a writer, should it have become a pipe.
    descriptor = os.open(root / relative, os.O_RDONLY | os.O_NONBLOCK) if follow else _inside(root, relative)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _inside(root: Path, relative: PurePath) -> int:
    try:
        return _descended(root, relative)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
    # There is a link on the way, as there is for few: only then is it worth to find out where the path leads.
    path = root / relative
    led = outside(path, root)
    if led is not None:
        raise PermissionError(0, f"leads out of the folder, to {led!r}")
    return _descended(root, Path(os.path.realpath(path)).relative_to(root))


def _descended(root: Path, relative: PurePath) -> int:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in relative.parts[:-1]:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(relative.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
