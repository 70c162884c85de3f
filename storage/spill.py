"""Slices between stages: Arrow files in the run's work folder, so that no stage holds the corpus."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import polars as pl

from storage.cache import cache_folder, made
from storage.hashing import digest
from storage.tables.store import Store

__all__ = ["Spill", "Workspace"]

DAY = 86_400  # seconds
BESIDE = ("plan-", "stage-")  # names of work that goes on beside the holder of the lease


class Spill:
    """An append-only sequence of frames on disk; the reference that stages hand on.

    Args:
        folder: Where the slices lie; made at the first append.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = 0
        self._count = 0

    @classmethod
    def of(cls, folder: Path, rows: int) -> Spill:
        """The spill whose slices lie in a folder already, as `files` gave them.

        Args:
            folder: Where they lie.
            rows: How many rows they have.
        """
        found = cls(folder)
        found.rows, found._count = rows, len(list(folder.glob("*.arrow")))
        return found

    @property
    def files(self) -> list[Path]:
        """The slices, in order."""
        return [self.folder / f"{number:08d}.arrow" for number in range(self._count)]

    def append(self, frame: pl.DataFrame) -> None:
        """Write one slice; an empty one leaves no file."""
        if frame.is_empty():
            return
        frame.write_ipc(made(self.folder) / f"{self._count:08d}.arrow", compression="uncompressed")
        self._count += 1
        self.rows += frame.height

    def slices(self, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the slices back in order."""
        for number in range(self._count):
            yield pl.read_ipc(self.folder / f"{number:08d}.arrow", columns=columns)

    def frame(self, columns: list[str], schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
        """A few narrow columns of all slices at once."""
        parts = list(self.slices(columns))
        return pl.concat(parts).select(columns) if parts else pl.DataFrame(schema=schema).select(columns)


class Workspace:
    """The local folder that one run spills to.

    It lies beside a local store, so that a large night does not fill a small system disk, and in this machine's cache
    folder where the store is remote. What a killed run left goes with the next one.

    Args:
        store: The store of the run.
        name: The run's id.
    """

    def __init__(self, store: Store, name: str) -> None:
        place = cache_folder() / "work" / digest(store.uri) if store.folder is None else store.folder / ".work"
        self._root: Path | None = place
        self._first = not place.parent.exists()
        self.folder = place / name  # made by the first spill: a run that stops before leaves nothing
        if place.parent.exists() and not os.access(place.parent, os.W_OK):  # a plan of a store that is read only
            self._root = None
            self.folder = Path(tempfile.mkdtemp(prefix=f"tidemark-{name}-"))

    def spill(self, name: str) -> Spill:
        """A new spill of this run."""
        return Spill(self.folder / name)

    def touch(self) -> None:
        """Show that the run lives, so that nobody sweeps its folder away."""
        with suppress(FileNotFoundError):
            os.utime(self.folder)

    def succeed(self, names: str) -> None:
        """Remove what runs left whose names match a pattern; for whoever knows that none of them lives."""
        for other in self.folder.parent.glob(names):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what earlier runs left; only for the holder of the lease."""
        if self._root is None or not self._root.is_dir():
            return
        for other in self._root.iterdir():
            # What runs beside a refresh shows that it lives: only one that was killed is a day old.
            running = other.name.startswith(BESIDE) and time.time() - other.stat().st_mtime < DAY
            if other != self.folder and not running:
                shutil.rmtree(other, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._root is None:
            return
        with suppress(OSError):  # another run spills beside this one
            self._root.rmdir()
            if self._first:  # a plan of a store that is not there yet leaves nothing
                self._root.parent.rmdir()
