"""The files behind a path, a glob or a URL, opened as streams."""

from __future__ import annotations

import glob
import io
import lzma
import zipfile
import zlib
from _compression import DecompressReader
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import infer_compression
from obstore.exceptions import BaseError

from storage.encoding import UTF_8, stream_codec
from storage.errors import InputError, TidemarkError, words
from storage.redaction import redacted
from storage.remote import explained, filesystem
from storage.sources.base import located

__all__ = ["DataFile", "data_files", "text_encoding"]

_BUFFER = 1024 * 1024
_DECOMPRESSION = 256 * 1024 * 1024  # bytes of memory that a decoder may take
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
_ABSENT = 404
_ENCRYPTED = 0x1  # of a zip entry's flags


class DataFile(NamedTuple):
    """One file of a table source; `label` is how messages and ids of broken rows name it."""

    label: str
    path: str
    filesystem: Any
    member: zipfile.ZipInfo | None = None

    @property
    def local(self) -> bool:
        """Whether it lies on this machine, and not in an archive: to look at a place in it costs nothing."""
        return self.member is None and isinstance(self.filesystem, LocalFileSystem)

    @contextmanager
    def open(self, *, source: str) -> Iterator[io.BufferedReader]:
        """Open the file for reading, decompressed by its suffix (gz, bz2, xz, zip).

        Raises:
            InputError: If the file cannot be opened or read: half a listing would make the rest look deleted.
        """
        with self._told(source), ExitStack() as stack:
            stream = stack.enter_context(self._raw())
            # Remote files read their lines one Python call each; a buffered reader does so in C.
            yield stack.enter_context(io.BufferedReader(cast("Any", stream), _BUFFER))

    def members(self, *, source: str) -> Sequence[DataFile]:
        """The files of an archive in the order of their names, or else the file itself.

        Folders and what systems put beside files are left out.

        Raises:
            InputError: If the archive cannot be read, or is of a kind that is not.
        """
        lower = self.path.lower()
        if lower.endswith(_ARCHIVES):
            raise InputError(f"source {source!r}: {self.label} is an archive: unpack it, and name its files as path")
        if infer_compression(self.path) != "zip":
            return [self]
        with self._told(source), self.filesystem.open(self.path, "rb") as raw, zipfile.ZipFile(raw) as archive:
            found = sorted(filter(_is_content, archive.infolist()), key=lambda info: info.filename)
        locked = next((info.filename for info in found if info.flag_bits & _ENCRYPTED), None)
        if locked is not None:
            raise InputError(f"source {source!r}: {locked!r} in {self.label} is encrypted: unpack the archive")
        labels = [f"{self.label}/{info.filename}" for info in found] if len(found) > 1 else [self.label]
        return [self._replace(label=label, member=info) for label, info in zip(labels, found, strict=False)]

    @contextmanager
    def _raw(self) -> Iterator[Any]:
        compression = infer_compression(self.path)
        if self.member is not None:
            with self.filesystem.open(self.path, "rb") as raw, zipfile.ZipFile(raw) as archive:
                yield archive.open(self.member)
        elif compression in ("xz", "lzma"):
            # The library's own file takes as much memory as the archive asks for, which may be gigabytes.
            with self.filesystem.open(self.path, "rb") as raw:
                yield DecompressReader(
                    raw, lzma.LZMADecompressor, trailing_error=lzma.LZMAError, memlimit=_DECOMPRESSION
                )
        else:
            with self.filesystem.open(self.path, "rb", compression=compression) as stream:
                yield stream

    @contextmanager
    def _told(self, source: str) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
            if isinstance(error, TidemarkError):
                raise
            why = getattr(error, "strerror", None) or words(error)
            raise InputError(f"source {source!r}: cannot read {self.label}: {why}") from error
        except BaseError as error:
            raise _told(self.label, source, error) from error


def _is_content(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.split("/")
    return not (info.is_dir() or parts[0] == "__MACOSX" or parts[-1].startswith("."))


def data_files(path: str, base_dir: Path, *, source: str, suffix: str) -> Sequence[DataFile]:
    """Find the files of a source, in the order of their names.

    Args:
        path: A file, a glob (`data/*.jsonl`) or a URL of any fsspec protocol, globs included.
        base_dir: Where relative paths start.
        source: Name of the source, for messages.
        suffix: How the names of such files end, for messages.

    Raises:
        InputError: If nothing is there, or the protocol is unknown.
    """
    if "://" in path or "::" in path:
        return _remote_files(path, source)
    whole = located(path, base_dir)
    if whole.is_dir():
        raise InputError(
            f"source {source!r}: path {str(whole)!r} is a folder; name its files, as in '{path.rstrip('/')}/*.{suffix}'"
        )
    if whole.exists():
        found = [whole]
    elif glob.has_magic(path):
        anchor = Path(path).expanduser()
        root = Path(anchor.anchor) if anchor.is_absolute() else base_dir
        pattern = str(anchor.relative_to(root) if anchor.is_absolute() else anchor)
        found = sorted(file for file in root.glob(pattern) if file.is_file())
    else:
        raise InputError(f"source {source!r}: path {str(whole)!r} does not exist")
    if not found:
        raise InputError(f"source {source!r}: no file matches path {str(whole)!r}")
    local = fsspec.filesystem("file")
    return [DataFile(_label(file, base_dir), str(file), local) for file in found]


def _label(file: Path, base_dir: Path) -> str:
    return (file.relative_to(base_dir) if file.is_relative_to(base_dir) else file).as_posix()


def _remote_files(url: str, source: str) -> Sequence[DataFile]:
    try:
        files, path = filesystem(url)
        if files.exists(path):
            found = [path]
        elif glob.has_magic(path):
            found = sorted(files.glob(path))
        else:
            found = []
            _reach(files, path)
    except (ImportError, ValueError) as error:
        raise InputError(f"source {source!r}: cannot open path {url!r}: {words(error)}") from error
    except (OSError, BaseError) as error:
        raise _told(url, source, error) from error
    if not found:
        raise InputError(f"source {source!r}: nothing is at path {url!r}")
    return [DataFile(redacted(files.unstrip_protocol(file)), file, files) for file in found]


def _reach(files: Any, path: str) -> None:
    """Raise what the network said where a file seems not to be there: over HTTP that hides in the answer.

    Raises:
        OSError: The server does not answer, or not with the file.
    """
    if "http" not in files.protocol:
        return
    try:
        files.info(path)
    except FileNotFoundError as error:
        why = error.__cause__
        if isinstance(why, OSError):  # no connection
            raise why from error
        if (status := getattr(why, "status", _ABSENT)) != _ABSENT:
            raise OSError(f"it answers with status {status}") from error


def _told(url: str, source: str, error: BaseException) -> TidemarkError:
    told = explained(url, error)
    return type(told)(f"source {source!r}: {told}")


def text_encoding(stream: io.BufferedReader, encoding: str = UTF_8) -> str:
    """Tell the codec of a text stream by its byte order mark, or else as configured; reads nothing."""
    return stream_codec(stream.peek(_BUFFER), encoding)
