"""A folder of Markdown, text, HTML, reStructuredText and source code as a source."""

from __future__ import annotations

import codecs
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import orjson
import polars as pl

from storage.encoding import UTF_8, html_text
from storage.errors import InputError
from storage.sources import links, markup
from storage.sources.base import (
    Document,
    Item,
    Place,
    digest,
    document_slices,
    listing_slices,
    located,
)
from storage.sources.config import FolderConfig
from storage.sources.patterns import hidden_names, matcher
from storage.sources.tree import Entry, Tree
from storage.sources.worker import HtmlReader

__all__ = ["FolderSource"]

# Part of every revision: raise it when the same file yields another text, title or metadata than before.
READER_VERSION = 1
HTML_VERSION = 3  # the same for HTML alone

# The kernel stamps files by its tick: two writes within one can leave the same times.
_TICK_NS = 20_000_000

# Files read ahead of the one at hand.
_WINDOW_FILES = 64
_WINDOW_BYTES = 1024 * 1024


class FolderSource:
    """The files below a folder, hidden ones left out; see `FolderConfig`."""

    def __init__(self, config: FolderConfig, base_dir: Path) -> None:
        self.name = config.name
        self._config = config
        self._root = located(config.path, base_dir)
        self._tree = Tree(
            config.name,
            self._root,
            include=matcher(config.include),
            exclude=matcher(config.exclude),
            hidden=hidden_names(config.include),
            follow_links=config.follow_links,
        )
        # What changes the documents beside the files themselves must change their revision too.
        parts = [str(READER_VERSION), config.licence or "", *([] if config.encoding == UTF_8 else [config.encoding])]
        self._salt = digest(*(part.encode() for part in parts))[:8]
        self._html_salt = digest(*(part.encode() for part in [*parts, f"html {HTML_VERSION}"]))[:8]
        self._check_root()

    def list(self) -> Iterator[pl.DataFrame]:
        """Yield the files, folder by folder in the order of their names; see `Source.list`."""
        self._check_root()
        return listing_slices(self._item(entry) for entry in self._tree.walk())

    def read(self, ids: pl.Series) -> Iterator[pl.DataFrame]:
        """Yield the documents of these files in the order of `ids`; see `Source.read`."""
        self._check_root()
        return document_slices(self._documents(ids))

    def place(self, identity: str) -> Place | None:
        """Find a file, and its text where lines of it are lines of the document; None where it is gone."""
        found = self._opened(Path(os.path.realpath(self._root)), identity)
        if found is None:
            return None
        text = None
        if isinstance(found, _File) and not found.is_html:
            text = markup.page(found.raw, found.path.name, self._config.encoding).text
        return Place(str(self._root / identity), text=text)

    @property
    def passed_over(self) -> dict[str, int]:
        """What the last listing left out: how many files or folders a reason."""
        return dict(sorted(self._tree.passed_over.items()))

    def _check_root(self) -> None:
        if not self._root.is_dir():
            what = "is not a folder" if self._root.exists() else "does not exist"
            raise InputError(f"source {self.name!r}: path {str(self._root)!r} {what}")

    def _item(self, entry: Entry) -> Item:
        if entry.problem is not None:
            name = os.fsencode(entry.id).decode("utf-8", errors="backslashreplace")
            return Item(
                name, digest(os.fsencode(entry.id), entry.problem.encode(errors="replace")), None, entry.problem
            )
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
            status = os.stat(entry.path)  # noqa: PTH116 - a `Path` of each file takes a third of the listing
        except OSError as error:
            # A link to nothing and too long a path are what the file is; anything else may pass, and is found again
            # when it is read.
            lasting = error.errno in (errno.ENOENT, errno.ENAMETOOLONG)
            problem = _reason(error, Path(entry.path)) if lasting else None
            return Item(entry.id, digest(entry.id.encode()), problem=problem)
        return Item(entry.id, self._revision(status, entry.name), status.st_size, self._problem(status))

    def _problem(self, status: os.stat_result) -> str | None:
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_size > self._config.max_bytes:
            return self._too_large(status.st_size)
        return None

    def _too_large(self, size: int) -> str:
        return (
            f"the file has {size:,} bytes, more than max_bytes = {self._config.max_bytes:,}: split it, exclude it or "
            "raise max_bytes, and validation.max_chars with it"
        )

    def _revision(self, status: os.stat_result, name: str) -> str:
        salt = self._html_salt if markup.kind_of(name) == "html" else self._salt
        parts = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, salt)
        return "-".join(map(str, parts))

    def _documents(self, ids: pl.Series) -> Iterator[Document]:
        root = Path(os.path.realpath(self._root))
        with HtmlReader(self._config.max_seconds) as html:
            for files in _windows(self._opened(root, identity) for identity in ids):
                asked = [self._marked(file.raw) for file in files if isinstance(file, _File) and file.is_html]
                pages = iter(html.pages(asked))
                for file in files:
                    if isinstance(file, Document):
                        yield file
                    elif file.is_html:
                        yield self._document(file, next(pages))
                    else:
                        yield self._document(file, markup.page(file.raw, file.path.name, self._config.encoding))

    def _marked(self, raw: bytes) -> bytes:
        """A page as its reader understands it without knowing what the source is written in."""
        if self._config.encoding == UTF_8:
            return raw
        return codecs.BOM_UTF8 + html_text(raw, self._config.encoding).encode(errors="replace")

    def _opened(self, root: Path, identity: str) -> _File | Document | None:
        """Read a file; a document that tells what is wrong where that fails, None where it is gone or not taken."""
        relative = PurePosixPath(identity)
        if relative.is_absolute() or ".." in relative.parts:
            return None  # never one of ours
        path = root / relative
        try:
            status = path.stat()
            if self._problem(status):
                return None
            _settle(status)
            with links.opened(root, relative, follow=self._config.follow_links) as file:
                # Taken before the bytes: a write in between shows at the next listing.
                status = os.fstat(file.fileno())
                raw = _read(file, status.st_size, self._config.max_bytes)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return self._unread(identity, _reason(error, path))
        if len(raw) > self._config.max_bytes:
            return self._unread(identity, self._too_large(len(raw)))
        return _File(identity, path, status, raw)

    def _unread(self, identity: str, problem: str) -> Document:
        revision = digest(identity.encode())
        return Document(identity, "", None, "{}", self._config.licence, None, (), revision, problem)

    def _document(self, file: _File, page: markup.Page) -> Document:
        metadata: dict[str, str | int] = {
            "bytes": len(file.raw),
            "path": file.id,
            "suffix": file.path.suffix.lower(),
        }
        if page.hidden:  # a rule flags it
            metadata["hidden_chars"] = page.hidden
        return Document(
            file.id,
            page.text,
            page.title,
            orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS).decode(),
            self._config.licence,
            _time(file.status.st_mtime),
            (),
            self._revision(file.status, file.path.name),
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


def _time(seconds: float) -> datetime | None:
    """The time of a file; None for those of some file systems and tools that no calendar here can hold."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _read(file: BinaryIO, size: int, most: int) -> bytes:
    """Read a file to its end, or one byte more than is taken: some say that they are empty, and never end."""
    # Python makes room for all that it is asked for: for what the file is said to have, not for the most there may be.
    raw = file.read(min(size, most) + 1)
    return raw if len(raw) <= size or len(raw) > most else raw + file.read(most + 1 - len(raw))


def _settle(status: os.stat_result) -> None:
    """Wait until a further write must change the file's times, so that its revision is sure."""
    ahead = status.st_ctime_ns + _TICK_NS - time.time_ns()
    if 0 < ahead <= _TICK_NS:
        time.sleep(ahead / 1e9)


def _reason(error: OSError, path: Path) -> str:
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"a symbolic link to {os.fsencode(path.readlink()).decode(errors='backslashreplace')!r}, which is gone"
    return f"cannot be read: {error.strerror or error}"
