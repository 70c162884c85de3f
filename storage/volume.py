"""How much room a store takes."""

from __future__ import annotations

from contextlib import suppress

from storage.tables.store import Store

__all__ = ["volume"]


def volume(store: Store) -> int | None:
    """Bytes of everything in the folder of a store; None where it lies in an object store, which bills by itself.

    Args:
        store: The store.
    """
    folder = store.folder
    if folder is None:
        return None
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a run that goes on beside this look removes files
            found = path.lstat()
            total += found.st_size if path.is_file() else 0
    return total
