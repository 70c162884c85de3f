"""What the files of a table version were when it was published, a SHA-256 each: whatever changes one is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from storage.readable import files
from storage.tables.origins import data_files, indexed_from
from storage.tables.place import Place, manifest_names
from storage.tables.store import Store

__all__ = ["Digests", "Proof", "digests", "kept", "prove"]

Digests = Mapping[str, str]  # path below the folder of a table, to 32 hexadecimal characters


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
    place, held = Place(store, table), known or {}
    names = [f"_versions/{name}" for name in place.within("_versions") if name in manifest_names(version)]
    for path, _ in files(store.open(table, version)):
        names += [f"{path}{name}" for name in place.within(path)] if path.endswith("/") else [path]
    found = {name: held.get(name) or place.digest(name)[0] for name in names if not name.startswith("_versions/")}
    return found | {name: place.digest(name)[0] for name in names if name.startswith("_versions/")}


def kept(store: Store, table: str, version: int, older: int) -> set[str]:
    """The data files that a version of a table has as an older one had them, and that none of its indexes came of.

    Args:
        store: The store.
        table: Name of the table.
        version: Number of the version.
        older: Number of the one that it was made from.
    """
    new, old = store.open(table, version), store.open(table, older)
    return data_files(new.get_fragments()) & data_files(old.get_fragments()) - indexed_from(new, old)


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
    place, spared = Place(store, table), without or {}
    if not any(f"_versions/{name}" in recorded for name in manifest_names(version)):
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
