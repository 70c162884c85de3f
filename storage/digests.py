"""What the files of a table version were when it was published, a SHA-256 each: whatever changes one is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any

from storage.readable import files
from storage.tables.store import Store

__all__ = ["Digests", "Proof", "digests", "prove"]

Digests = Mapping[str, str]  # path below the folder of a table, to 32 hexadecimal characters

_LAST = 2**64 - 1  # Lance names a manifest by the distance of its version from here, so that the newest is listed first


@dataclass(frozen=True)
class Proof:
    """What came of holding files against their digests.

    Attributes:
        files: How many were read.
        bytes: Their size.
        faults: Those that are missing or changed, each in words.
    """

    files: int = 0
    bytes: int = 0
    faults: tuple[str, ...] = ()

    def __add__(self, other: Proof) -> Proof:
        return Proof(self.files + other.files, self.bytes + other.bytes, self.faults + other.faults)


def digests(store: Store, table: str, version: int, known: Digests | None = None) -> dict[str, str]:
    """Digest every file that a reader of a table version reads: manifest, rows, marks of deleted ones, indexes.

    Lance writes a file once and never changes it, so what is known of one is taken over unread, and a night costs what
    it wrote. Manifests are small, and a table that was made again has their names, so they are always read.

    Args:
        store: The store.
        table: Name of the table.
        version: Number of the version.
        known: Digests of files that an earlier version held too.

    Raises:
        OSError: A file is missing.
    """
    place, held = _Place(store, table), known or {}
    names = [f"_versions/{name}" for name in place.within("_versions") if name in _manifests(version)]
    for path, _ in files(store.open(table, version)):
        names += [f"{path}{name}" for name in place.within(path)] if path.endswith("/") else [path]
    found = {name: held.get(name) or place.digest(name)[0] for name in names if not name.startswith("_versions/")}
    return found | {name: place.digest(name)[0] for name in names if name.startswith("_versions/")}


def prove(store: Store, table: str, version: int, recorded: Digests, without: Digests | None = None) -> Proof:
    """Hold the files of a table version against what was recorded of them.

    Args:
        store: The store.
        table: Name of the table.
        version: Number of the version.
        recorded: What `digests` gave when it was published.
        without: Files that need not be read, where they are recorded alike.

    Raises:
        Unreachable: An object store does not answer.
    """
    place, spared = _Place(store, table), without or {}
    if not any(f"_versions/{name}" in recorded for name in _manifests(version)):
        return Proof(faults=(f"version {version} of {table} is not what was published",))
    count = size = 0
    faults = []
    for name, wanted in recorded.items():
        if spared.get(name) == wanted:
            continue
        try:
            found, length = place.digest(name)
        except FileNotFoundError:
            faults.append(f"{table}.lance/{name} is missing")
            continue
        count, size = count + 1, size + length
        if found != wanted:
            faults.append(f"{table}.lance/{name} is changed")
    return Proof(count, size, tuple(faults))


def _manifests(version: int) -> tuple[str, str]:
    """The names that the manifest of a version may have; stores of older Lance count upwards."""
    return f"{_LAST - version:020}.manifest", f"{version}.manifest"


class _Place:
    """The files of a table, on this machine or in an object store."""

    def __init__(self, store: Store, table: str) -> None:
        folder = store.folder
        self._open: Callable[[str], Any]
        if folder is not None:
            self._root, self._files = str(folder / f"{table}.lance"), None
            self._open = partial(_local, Path(self._root))
        else:
            from storage.remote import filesystem

            self._files, self._root = filesystem(store.path(table))
            self._open = partial(_remote, store.path(table), self._files, self._root)

    def within(self, folder: str) -> list[str]:
        """Names of the files below a folder; none where it is missing."""
        if self._files is None:
            local = Path(self._root) / folder
            return sorted(path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
        from storage.remote import reached

        root = f"{self._root}/{folder.rstrip('/')}/"
        with reached(root):
            return sorted(str(path).removeprefix(root) for path in self._files.find(root))

    def digest(self, name: str) -> tuple[str, int]:
        """Digest of a file, and its size in bytes.

        Raises:
            FileNotFoundError: It is missing.
        """
        with self._open(name) as stream:
            return file_digest(stream, "sha256").hexdigest()[:32], stream.tell()


def _local(root: Path, name: str) -> IO[bytes]:
    return (root / name).open("rb")


@contextmanager
def _remote(uri: str, files: Any, root: str, name: str) -> Iterator[IO[bytes]]:
    from storage.remote import reached

    with reached(uri), files.open(f"{root}/{name}", "rb") as stream:
        yield stream
