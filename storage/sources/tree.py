"""The walk through a folder: what is taken, what is passed over and why, and where links may lead."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from storage.errors import InputError
from storage.sources import links, markup
from storage.sources.base import FORBIDDEN
from storage.sources.patterns import Taken

__all__ = ["Entry", "Tree"]

SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})
# A folder with such a child is a store, which holds pages and texts of its own: indexed, they would change every night.
STORE_MARK = "leases.lance"

_PATH_BYTES = 4_095  # of a path that the kernel takes
_LEADS_OUT = "it is not followed unless follow_links = true"


class Entry(NamedTuple):
    """A file or folder of the walk; the order of the fields is the order of the walk."""

    id: str
    path: str
    is_folder: bool
    is_link: bool = False
    problem: str | None = None

    @property
    def name(self) -> str:
        """Its last part."""
        return self.id.rpartition("/")[2]


class Tree:
    """The files below a folder, each once.

    Args:
        name: Name of the source, for messages.
        root: The folder.
        include: Files to take; those of a known suffix if None.
        exclude: Files and folders to leave out.
        hidden: Names of hidden files and folders that are looked at all the same.
        follow_links: Whether links may lead out of the folder.

    Attributes:
        passed_over: What the last walk left out: how many files or folders a reason.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        include: Taken | None,
        exclude: Taken | None,
        hidden: Taken | None,
        follow_links: bool,
    ) -> None:
        self._name = name
        self._root = root
        self._include = include
        self._exclude = exclude
        self._hidden = hidden
        self._follow_links = follow_links
        self.passed_over: Counter[str] = Counter()

    def walk(self) -> Iterator[Entry]:
        """Yield the files in the order of their names, folder by folder; an entry with a problem may be a folder.

        Raises:
            InputError: A folder cannot be looked at.
        """
        self.passed_over.clear()
        root = self._root.resolve()
        visited = {_identity(root.stat())}
        pending = [Entry("", str(self._root), is_folder=True)]
        while pending:
            entry = pending.pop()
            if not entry.is_folder:
                yield entry
                continue
            for child in sorted(self._children(entry), reverse=True):
                taken = self._checked(child, root)
                if taken.is_folder and not self._enters(taken, root, visited):
                    self.passed_over["linked from elsewhere in the folder"] += 1
                    continue
                pending.append(taken)

    def _children(self, folder: Entry) -> Sequence[Entry]:
        try:
            with os.scandir(folder.path) as scan:
                found = [
                    Entry(_join(folder.id, entry.name), entry.path, _is_folder(entry), entry.is_symlink())
                    for entry in scan
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []  # gone since its parent was listed
        except OSError as error:
            raise self._unlisted(folder, error) from error
        if any(child.name == STORE_MARK for child in found):
            self.passed_over["store"] += 1
            return []
        taken = []
        for child in found:
            reason = self._reason(child)
            if reason is None:
                taken.append(child)
            else:
                self.passed_over[reason] += 1
        return taken

    def _checked(self, entry: Entry, root: Path) -> Entry:
        """Turn what must not or cannot be entered or opened into an item that says why."""
        if entry.is_link and not self._follow_links:
            target = links.outside(Path(entry.path), root)
            if target is not None:
                problem = f"{FORBIDDEN}a symbolic link that leads out of the folder, to {target!r}: {_LEADS_OUT}"
                return entry._replace(is_folder=False, problem=problem)
        if entry.is_folder and len(os.fsencode(entry.path)) >= _PATH_BYTES:
            # Nothing below it can ever have been read: to go on without it makes no document look deleted.
            problem = f"the path of this folder has more than {_PATH_BYTES:,} bytes: shorten it or exclude it"
            return entry._replace(is_folder=False, problem=problem)
        return entry

    def _enters(self, folder: Entry, root: Path, visited: set[tuple[int, int]]) -> bool:
        """Tell whether the walk goes into a folder: once each, and into a link only if it leads out of the tree.

        A link to a place inside the tree would list the same files twice, one to a parent of the tree would list the
        world.
        """
        path = Path(folder.path)
        try:
            identity = _identity(path.stat())
            if path.is_symlink():
                target = path.resolve()
                if target.is_relative_to(root) or root.is_relative_to(target):
                    return False
        except (FileNotFoundError, NotADirectoryError, RuntimeError):
            return False  # gone since its parent was listed, or, as pathlib tells it, a link in a circle
        except OSError as error:
            if error.errno == errno.ELOOP:
                return False
            raise self._unlisted(folder, error) from error
        if identity in visited:
            return False
        visited.add(identity)
        return True

    def _unlisted(self, folder: Entry, error: OSError) -> InputError:
        """What stops the listing: to go on without the folder would make every document below it look deleted."""
        return InputError(
            f"source {self._name!r}: cannot list the folder {folder.id or str(self._root)!r}: {error.strerror}; "
            "make it readable or exclude it"
        )

    def _reason(self, entry: Entry) -> str | None:
        """Why an entry is passed over; None where it is taken."""
        name = entry.name
        if name.startswith(".") and not (self._hidden and self._hidden(name)):
            return "hidden"
        if entry.is_folder and name in SKIPPED_FOLDERS:
            return "folder of a tool"
        if self._exclude is not None and self._exclude(f"{entry.id}/" if entry.is_folder else entry.id):
            return "excluded"
        if entry.is_folder:
            return None
        if self._include is not None:
            return None if self._include(entry.id) else "unmatched"
        return None if markup.kind_of(name) is not None else markup.unknown(name)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell folders, and links to them, from files; a link in a circle leads nowhere, and is one file that is wrong."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False
