"""The files of a table, wherever the store lies: listed, read, and put out of the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any

from storage.tables.store import Store

__all__ = ["Place", "manifest_names"]

_LAST = 2**64 - 1  # Lance names a manifest by the distance of its version from here, so that the newest is listed first


def manifest_names(version: int) -> tuple[str, str]:
    """The names that the manifest of a version may have; stores of older Lance count upwards."""
    return f"{_LAST - version:020}.manifest", f"{version}.manifest"


class Place:
    """The folder of a table, on this machine or in an object store.

    Args:
        store: The store.
        table: Name of the table.
    """

    def __init__(self, store: Store, table: str) -> None:
        folder = store.folder
        self._uri = store.path(table)
        self._opens: Callable[[str], Any]
        if folder is not None:
            self._root, self._files = str(folder / f"{table}.lance"), None
            self._opens = partial(_local, Path(self._root))
        else:
            from storage.remote import filesystem

            self._files, self._root = filesystem(self._uri)
            self._opens = partial(_remote, self._uri, self._files, self._root)

    def within(self, folder: str) -> list[str]:
        """Names of the files below a folder; none where it is missing."""
        if self._files is None:
            local = Path(self._root) / folder
            return sorted(path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
        from storage.remote import reached

        root = f"{self._root}/{folder.rstrip('/')}/" if folder else f"{self._root}/"
        with reached(root):
            return sorted(str(path).removeprefix(root) for path in self._files.find(root))

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: It is missing.
        """
        with self._opens(name) as stream:
            return bytes(stream.read())

    def digest(self, name: str) -> tuple[str, int]:
        """Digest of a file, and its size in bytes.

        Raises:
            FileNotFoundError: It is missing.
        """
        with self._opens(name) as stream:
            return file_digest(stream, "sha256").hexdigest()[:32], stream.tell()

    def set_aside(self, name: str, grave: str) -> None:
        """Move a file, or all of the table where the name is empty, to a folder of the store.

        Args:
            name: Path of the file below the folder of the table.
            grave: Path of the folder below that of the store; the file's own name is kept in it.
        """
        if self._files is None:
            file = Path(self._root) / name
            beside = Path(self._root).parent / grave
            beside.mkdir(parents=True, exist_ok=True)
            file.rename(beside / file.name)
            return
        from storage.remote import reached

        parent, _, table = self._root.rpartition("/")
        with reached(self._uri):
            if name:
                moved = {f"{self._root}/{name}": f"{parent}/{grave}/{name.rpartition('/')[2]}"}
            else:
                found = map(str, self._files.find(self._root))
                moved = {path: f"{parent}/{grave}/{table}{path.removeprefix(self._root)}" for path in found}
            # An object store knows no renaming. Whole copies first: killed in between, nothing is lost.
            for path, copy in moved.items():
                self._files.cp_file(path, copy)
            for path in sorted(moved, key=lambda path: "/_versions/" not in path):  # what makes it a table goes first
                self._files.rm_file(path)


def _local(root: Path, name: str) -> IO[bytes]:
    return (root / name).open("rb")


@contextmanager
def _remote(uri: str, files: Any, root: str, name: str) -> Iterator[IO[bytes]]:
    from storage.remote import reached

    with reached(uri), files.open(f"{root}/{name}", "rb") as stream:
        yield stream
