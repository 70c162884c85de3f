"""Finished vectors by content hash: in retained releases, and staged by runs that did not end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from xxhash import xxh3_128_hexdigest

from storage.tables.columns import strings
from storage.tables.looked import Looked
from storage.tables.lookup import Bytes, Places, as_bytes, find_sorted
from storage.tables.offsets import Rows
from storage.tables.origins import Origins
from storage.tables.releases import Releases
from storage.tables.roles import Precision, chunks_table, chunks_tables
from storage.tables.store import Store

if TYPE_CHECKING:
    import lance

__all__ = ["EmbeddingCache", "as_vectors", "stage_vectors", "vectors_schema", "vectors_table"]

_SEAL = "seal"  # what proves a staged vector, of which no release has a digest
NOWHERE = -1


def vectors_table(space: str) -> str:
    """Name of the staging table that keeps the finished vectors of an unfinished run."""
    return f"vectors__{space[:16]}"


def vectors_schema(dimension: int) -> pa.Schema:
    """Schema of a staging table: content hash, the document that needed it first, vector, digest of hash and vector.

    A table that an older version began gets the digests with the first vectors that come to it; those before have none.
    What the last version digested otherwise is embedded again: the work of one run that did not end.
    """
    vector = pa.field("vector", pa.list_(pa.float32(), dimension))
    return pa.schema([*strings("hash", "key"), vector, *strings(_SEAL)])


class EmbeddingCache:
    """Where vectors of one space lie already: reuse points at them, no second copy is kept.

    Args:
        cache: Datasets with the columns `hash` and `vector`, in the order in which they are asked.

    Attributes:
        origins: The files out of which vectors were taken so far, staged ones among them.
    """

    def __init__(self, cache: Sequence[lance.LanceDataset]) -> None:
        self.cache = list(cache)
        self._rows = [Rows(table) for table in self.cache]
        self._places = Places.none()
        self.origins = Origins()

    @classmethod
    def of(cls, store: Store, space: str, *, precision: Precision = "float32", released: bool = True) -> EmbeddingCache:
        """Every retained release that holds the space, newest first, then what unfinished runs left.

        Whoever needs whole vectors is not given rounded ones.

        Args:
            store: The store.
            space: Id of the space.
            precision: The least that a vector must be kept in.
            released: Whether to look into releases at all.
        """
        tables = {chunks_table(space)} if precision == "float32" else chunks_tables(space)
        versions: dict[tuple[str, int], None] = {}
        for release in Releases(store).retained() if released else ():
            versions |= {(table, release.tables[table]): None for table in sorted(tables & release.tables.keys())}
        cache = [store.open(table, version) for table, version in versions]
        left = store.find(vectors_table(space))
        return cls([*cache, *([left] if left is not None else [])])

    def locate(self, hashes: pl.Series) -> pl.Series:
        """Find which of the hashes have a vector; remembers where.

        Returns:
            The hashes that no place holds, in the order given.
        """
        names = hashes.unique(maintain_order=True)
        asked = as_bytes(names)
        self.find(np.unique(asked))
        return names.filter(pl.Series(~self._places.hold(asked), dtype=pl.Boolean))

    def find(self, hashes: Bytes) -> npt.NDArray[np.bool_]:
        """Find which of the hashes have a vector, as many of them as there are; remembers where.

        A staged vector that is not what was staged is passed over, and so is embedded again.

        Args:
            hashes: Sorted, each once.

        Returns:
            Of shape (hashes,).
        """
        return self._find(hashes, 0)

    def find_staged(self, store: Store, space: str, hashes: Bytes) -> npt.NDArray[np.bool_]:
        """Find which of the hashes have a vector once a run staged those that had none; remembers where.

        What was found before stays where it is, and releases are not looked through again.

        Args:
            store: The store.
            space: Id of the space.
            hashes: Sorted, each once; `find` was asked for them before.

        Returns:
            Of shape (hashes,).
        """
        known = len(self.cache)
        left = store.find(vectors_table(space))
        if left is not None:
            self.cache.append(left)
            self._rows.append(Rows(left))
        return self._find(hashes, known)

    def _find(self, hashes: Bytes, known: int) -> npt.NDArray[np.bool_]:
        # What an earlier place holds is not looked for again, so that the newest release answers first.
        held = self._places.hold(hashes)
        wanted = hashes[~held] if held.any() else hashes
        place, offset = np.full(len(wanted), NOWHERE, np.int16), np.zeros(len(wanted), np.int64)
        looked = Looked()
        for number, table in enumerate(self.cache[known:], known):
            if (place != NOWHERE).all():
                break
            sealed = _SEAL in table.schema.names
            columns, rows = (["hash", "vector", _SEAL], 1_000) if sealed else (["hash"], 65_536)
            for offsets, batch in looked.rest(table, columns, rows):
                spot, asked = find_sorted(wanted, as_bytes(batch.column("hash")))
                here = np.flatnonzero(asked & (place[spot] == NOWHERE))
                here = here[_intact(batch, here)] if sealed else here
                # Equal contents have equal vectors, so the first of them does.
                spots, first = np.unique(spot[here], return_index=True)
                place[spots], offset[spots] = number, offsets[here[first]]
        found = place != NOWHERE
        if not found.all():
            wanted, place, offset = wanted[found], place[found], offset[found]
        self._places = self._places.and_of(wanted, place, offset)
        held[~held] = found
        return held

    def take(self, hashes: pl.Series) -> np.ndarray:
        """The vectors of located hashes.

        Args:
            hashes: n hashes, repeats allowed.

        Returns:
            float32 of shape (n, dimension).

        Raises:
            KeyError: A hash was never located.
        """
        spot, located = find_sorted(self._places.hashes, as_bytes(hashes))
        if not located.all():
            missing = hashes[int(np.argmin(located))]
            raise KeyError(f"no retained release and no staging table holds the vector of {missing}")
        dimension = self.cache[0].schema.field("vector").type.list_size
        out = np.empty((len(hashes), dimension), dtype=np.float32)
        place, offset = self._places.tables[spot], self._places.offsets[spot]
        for number in np.unique(place).tolist():
            rows = np.flatnonzero(place == number)
            unique, inverse = np.unique(offset[rows], return_inverse=True)
            table = self.cache[number]
            self.origins |= Origins.of(table, unique.tolist())
            vectors = as_vectors(self._rows[number].at(unique.tolist(), ["vector"]).column("vector"))
            if len(rows) == len(out):  # of one place, as most are: without a copy between
                np.take(vectors, inverse, axis=0, out=out, mode="clip")
            else:
                out[rows] = vectors[inverse]
        return out


def stage_vectors(store: Store, space: str, hashes: pl.Series, keys: pl.Series, vectors: np.ndarray) -> None:
    """Append finished vectors to the space's staging table, durable when this returns.

    Args:
        store: The store.
        space: Id of the space.
        hashes: n content hashes.
        keys: Of each content the document whose chunk needed its vector first.
        vectors: Of shape (n, dimension).
    """
    schema = vectors_schema(vectors.shape[1])
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    named = [pa.array(names.to_list(), pa.string()) for names in (hashes, keys)]
    seals = [_seal(name, vector) for name, vector in zip(hashes, np.asarray(vectors, dtype=np.float32), strict=True)]
    batch = pa.record_batch([*named, column, pa.array(seals, pa.string())], schema=schema)
    store.append(vectors_table(space), schema, iter([batch]))


def _seal(name: str, vector: np.ndarray) -> str:
    # Against what happens to files, not against people, and computed twice a vector: in a quarter of BLAKE2b's time.
    return xxh3_128_hexdigest(name.encode() + vector.tobytes())


def _intact(batch: pa.RecordBatch, at: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Whether staged rows are as they were staged; what was staged without a digest passes."""
    some = batch if len(at) == len(batch) else batch.take(at)
    rows = zip(some["hash"].to_pylist(), as_vectors(some["vector"]), some[_SEAL].to_pylist(), strict=True)
    return np.array([seal is None or seal == _seal(str(name), vector) for name, vector, seal in rows], dtype=np.bool_)


def as_vectors(column: Any) -> np.ndarray:
    """A fixed-size-list column (Array or ChunkedArray) as float32 of shape (rows, dimension), to be read alone."""
    parts: list[Any] = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [part.flatten().to_numpy(zero_copy_only=False).reshape(len(part), -1) for part in parts if len(part)]
    width = column.type.list_size
    joined = arrays[0] if len(arrays) == 1 else np.concatenate([np.empty((0, width), dtype=np.float32), *arrays])
    return joined.astype(np.float32, copy=False)
