"""A folder of Markdown, text, HTML, reStructuredText and source code as a source."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal, NamedTuple

import orjson
import polars as pl
from pydantic import Field, field_validator

from storage.errors import InputError
from storage.sources import markup
from storage.sources.base import (
    Document,
    Item,
    SourceConfig,
    digest,
    document_slices,
    listing_slices,
    located,
)
from storage.sources.patterns import matcher
from storage.sources.worker import HtmlReader

__all__ = ["FolderConfig", "FolderSource"]

# Part of every revision: raise it when the same file yields another text, title or metadata than before.
READER_VERSION = 1

SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})
# A folder with such a child is a store, which holds pages and texts of its own: indexed, they would change every night.
STORE_MARK = "leases.lance"

# The kernel stamps files by its tick: two writes within one can leave the same times.
_TICK_NS = 20_000_000

# Files read ahead of the one at hand.
_WINDOW_FILES = 64
_WINDOW_BYTES = 1024 * 1024


class FolderConfig(SourceConfig):
    """A folder; the id of a document is its path below it, with forward slashes."""

    WITHOUT_EFFECT: ClassVar[frozenset[str]] = frozenset({"max_seconds"})

    kind: Literal["folder"] = Field(description="A folder of files.")
    path: str = Field(min_length=1, description="The folder, relative to the configuration file's folder.")
    include: tuple[str, ...] = Field(
        default=(),
        description="Patterns of the files to take, as in .gitignore: `**` crosses folders, a pattern without `/` "
        "holds at any depth, one that names a folder takes all that is below it, and `!` takes back. Files of an "
        "unknown suffix are then taken as text. Empty: all files of a known suffix.",
    )
    exclude: tuple[str, ...] = Field(
        default=(),
        description="Patterns of files and folders to leave out, as in .gitignore: `name/` is a folder alone, and `!` "
        "takes back, though nothing below a folder that is left out.",
    )
    max_bytes: int = Field(
        default=256 * 1024 * 1024, gt=0, description="Larger files are quarantined instead of being read."
    )
    max_seconds: float = Field(
        default=30.0, gt=0, description="HTML files that take longer to read are quarantined and tried again next time."
    )

    @field_validator("include", "exclude")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        matcher(patterns)
        return patterns


class FolderSource:
    """The files below a folder, hidden ones left out; see `FolderConfig`."""

    Config: ClassVar[type[SourceConfig]] = FolderConfig

    def __init__(self, config: FolderConfig, base_dir: Path) -> None:
        self.name = config.name
        self._config = config
        self._root = located(config.path, base_dir)
        self._include = matcher(config.include)
        self._exclude = matcher(config.exclude)
        # What changes the documents beside the files themselves must change their revision too.
        self._salt = digest(str(READER_VERSION).encode(), (config.licence or "").encode())[:8]
        self._check_root()

    def list(self) -> Iterator[pl.DataFrame]:
        """Yield the files, folder by folder in the order of their names; see `Source.list`."""
        self._check_root()
        return listing_slices(self._item(entry) for entry in self._walk())

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield the documents of these files in the order of `ids`; see `Source.read`."""
        self._check_root()
        return document_slices(self._documents(ids))

    def _check_root(self) -> None:
        if not self._root.is_dir():
            what = "is not a folder" if self._root.exists() else "does not exist"
            raise InputError(f"source {self.name!r}: path {str(self._root)!r} {what}")

    def _walk(self) -> Iterator[_Entry]:
        root = self._root.resolve()
        visited = {_identity(root.stat())}
        pending = [_Entry("", str(self._root), is_folder=True)]
        while pending:
            entry = pending.pop()
            if not entry.is_folder:
                yield entry
                continue
            for child in sorted(self._children(entry), reverse=True):
                if child.is_folder and not self._enters(child, root, visited):
                    continue
                pending.append(child)

    def _children(self, folder: _Entry) -> Sequence[_Entry]:
        try:
            with os.scandir(folder.path) as scan:
                found = [_Entry(_join(folder.id, entry.name), entry.path, _is_folder(entry)) for entry in scan]
        except (FileNotFoundError, NotADirectoryError):
            return []  # gone since its parent was listed
        except OSError as error:
            raise self._unlisted(folder, error) from error
        if any(child.id.rpartition("/")[2] == STORE_MARK for child in found):
            return []
        return [child for child in found if self._takes(child)]

    def _enters(self, folder: _Entry, root: Path, visited: set[tuple[int, int]]) -> bool:
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

    def _unlisted(self, folder: _Entry, error: OSError) -> InputError:
        """What stops the listing: to go on without the folder would make every document below it look deleted."""
        return InputError(
            f"source {self.name!r}: cannot list the folder {folder.id or str(self._root)!r}: {error.strerror}; "
            "make it readable or exclude it"
        )

    def _takes(self, entry: _Entry) -> bool:
        name = entry.id.rpartition("/")[2]
        if name.startswith(".") or (entry.is_folder and name in SKIPPED_FOLDERS):
            return False
        if self._exclude is not None and self._exclude(f"{entry.id}/" if entry.is_folder else entry.id):
            return False
        if entry.is_folder:
            return True
        if self._include is not None:
            return self._include(entry.id)
        return markup.kind_of(name) is not None

    def _item(self, entry: _Entry) -> Item:
        try:
            entry.path.encode()
        except UnicodeEncodeError:
            raw = os.fsencode(entry.id)
            return Item(
                raw.decode("utf-8", errors="backslashreplace"),
                digest(raw),
                problem="the file's name is not valid UTF-8: rename it",
            )
        try:
            status = Path(entry.path).stat()
        except OSError as error:
            # A link to nothing is what the file is; anything else may pass, and is found again when it is read.
            gone = error.errno == errno.ENOENT
            problem = _reason(error, Path(entry.path)) if gone else None
            return Item(entry.id, digest(entry.id.encode()), problem=problem)
        return Item(entry.id, self._revision(status), status.st_size, self._problem(status))

    def _problem(self, status: os.stat_result) -> str | None:
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_size > self._config.max_bytes:
            return f"the file has {status.st_size:,} bytes, more than max_bytes = {self._config.max_bytes:,}"
        return None

    def _revision(self, status: os.stat_result) -> str:
        parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, self._salt)
        return "-".join(map(str, parts))

    def _documents(self, ids: pl.Series) -> Iterator[Document]:
        with HtmlReader(self._config.max_seconds) as html:
            for files in _windows(self._opened(identity) for identity in ids):
                asked = [file.raw for file in files if isinstance(file, _File) and file.is_html]
                pages = iter(html.pages(asked))
                for file in files:
                    if isinstance(file, Document):
                        yield file
                    elif file.is_html:
                        yield self._document(file, next(pages))
                    else:
                        yield self._document(file, markup.page(file.raw, file.path.name))

    def _opened(self, identity: str) -> _File | Document | None:
        """Read a file; a document that tells what is wrong where that fails, None where it is gone or not taken."""
        relative = PurePosixPath(identity)
        if relative.is_absolute() or ".." in relative.parts:
            return None  # never one of ours
        path = self._root / relative
        try:
            status = path.stat()
            if self._problem(status):
                return None
            _settle(status)
            with path.open("rb") as file:
                # Taken before the bytes: a write in between shows at the next listing.
                status = os.fstat(file.fileno())
                return _File(identity, path, status, file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            revision = digest(identity.encode())
            return Document(identity, "", None, "{}", self._config.licence, None, (), revision, _reason(error, path))

    def _document(self, file: _File, page: markup.Page) -> Document:
        metadata = {"bytes": len(file.raw), "path": file.id, "suffix": file.path.suffix.lower()}
        return Document(
            file.id,
            page.text,
            page.title,
            orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS).decode(),
            self._config.licence,
            datetime.fromtimestamp(file.status.st_mtime, tz=UTC),
            (),
            self._revision(file.status),
            page.problem,
        )


class _File(NamedTuple):
    """A file as it was read."""

    id: str
    path: Path
    status: os.stat_result
    raw: bytes

    @property
    def is_html(self) -> bool:
        return markup.kind_of(self.path.name) == "html"


def _windows(files: Iterable[_File | Document | None]) -> Iterator[Sequence[_File | Document]]:
    """Gather files for one exchange with the process that reads HTML."""
    gathered: list[_File | Document] = []
    size = 0
    for file in files:
        if file is None:
            continue
        gathered.append(file)
        size += len(file.raw) if isinstance(file, _File) else 0
        if len(gathered) >= _WINDOW_FILES or size >= _WINDOW_BYTES:
            yield gathered
            gathered, size = [], 0
    yield gathered


class _Entry(NamedTuple):
    """A file or folder of the walk; the order of the fields is the order of the walk."""

    id: str
    path: str
    is_folder: bool


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


def _settle(status: os.stat_result) -> None:
    """Wait until a further write must change the file's times, so that its revision is sure."""
    ahead = status.st_ctime_ns + _TICK_NS - time.time_ns()
    if 0 < ahead <= _TICK_NS:
        time.sleep(ahead / 1e9)


def _reason(error: OSError, path: Path) -> str:
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"a symbolic link to {os.fsencode(path.readlink()).decode(errors='backslashreplace')!r}, which is gone"
    return f"cannot be read: {error.strerror or error}"
