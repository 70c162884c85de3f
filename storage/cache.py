"""Where this machine keeps what it needs of stores that lie elsewhere."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from storage.errors import InputError

__all__ = ["cache_folder", "made"]

TRIES = 100  # each meets another run's end
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


def cache_folder() -> Path:
    """Where this machine keeps what it needs of remote stores: `TIDEMARK_CACHE`, else below the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TIDEMARK_CACHE") or Path(base) / "tidemark")


def made(folder: Path) -> Path:
    """Make a folder, with those above it; one that is there stays as it is.

    Args:
        folder: In a local store, or below the cache folder.

    Raises:
        InputError: It is to lie below the cache folder, which cannot be there: users of services often have no home.
    """
    try:
        _made(folder)
    except OSError as error:
        cache = cache_folder()
        if error.errno not in CLOSED or not folder.is_relative_to(cache):
            raise
        raise InputError(
            f"{cache}: no folder can be made there ({error.strerror}), and what this machine needs of a remote store "
            "lies in it; name another one by TIDEMARK_CACHE"
        ) from error
    return folder


def _made(folder: Path) -> None:
    for _ in range(TRIES):
        # A run that ends takes the folder of all runs' work away where it is empty: also when this one has made it, or
        # met it, and has not made its own in it.
        with suppress(FileNotFoundError, FileExistsError):
            folder.mkdir(parents=True, exist_ok=True)
            return
    folder.mkdir(parents=True, exist_ok=True)
