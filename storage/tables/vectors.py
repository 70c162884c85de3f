"""Finished vectors by content hash: in retained releases, and staged by runs that did not end."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from storage.hashing import digest
from storage.tables.columns import strings
from storage.tables.offsets import rows_at
from storage.tables.origins import Origins
from storage.tables.releases import Releases
from storage.tables.roles import Precision, chunks_table, chunks_tables
from storage.tables.store import Store, stream

if TYPE_CHECKING:
    import lance

__all__ = ["EmbeddingCache", "as_vectors", "stage_vectors", "vectors_schema", "vectors_table"]

_SEAL = "seal"  # what proves a staged vector, of which no release has a digest
_PLACES = {"hash": pl.String, "place": pl.Int16, "offset": pl.Int64}


def vectors_table(space: str) -> str:
    """Name of the staging table that keeps the finished vectors of an unfinished run."""
    return f"vectors__{space[:16]}"


def vectors_schema(dimension: int) -> pa.Schema:
    """Schema of a staging table: content hash, the document that needed it first, vector, digest of hash and vector.

    A table that an older version began gets the digests with the first vectors that come to it; those before have none.
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
        self.places = pl.DataFrame(schema=_PLACES)
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

        A staged vector that is not what was staged is passed over, and so is embedded again.

        Returns:
            The hashes that no place holds, in the order given.
        """
        wanted = pl.DataFrame({"hash": hashes}).unique(maintain_order=True)
        seen = set[Hashable]()
        for number, place in enumerate(self.cache):
            # Anti: what an earlier place holds is not looked for again, so that the newest release answers first.
            wanted = wanted.join(self.places, on="hash", how="anti", maintain_order="left")
            if wanted.is_empty():
                break
            sealed = _SEAL in place.schema.names
            columns, rows = (["hash", "vector", _SEAL], 4_096) if sealed else (["hash"], 65_536)
            for at, batch in _unseen(place, columns, rows, seen):
                offsets = pl.Series(np.arange(at, at + batch.num_rows))
                here = pl.DataFrame({"hash": _own(batch.column("hash")), "offset": offsets})
                # Semi: of the rows of this place only those that are asked for; equal contents have equal vectors, so
                # the first of them does.
                found = here.join(wanted, on="hash", how="semi")
                found = (found.filter(_intact(batch, found["offset"] - at)) if sealed else found).unique(
                    "hash", keep="first", maintain_order=True
                )
                if found.height:
                    placed = found.select("hash", pl.lit(number, pl.Int16).alias("place"), pl.col("offset"))
                    self.places = pl.concat([self.places, placed.cast(_PLACES)])  # type: ignore[arg-type]
            self.places = self.places.unique("hash", keep="first", maintain_order=True)
        return wanted.join(self.places, on="hash", how="anti", maintain_order="left")["hash"]

    def take(self, hashes: pl.Series) -> np.ndarray:
        """The vectors of located hashes.

        Args:
            hashes: n hashes, repeats allowed.

        Returns:
            float32 of shape (n, dimension).

        Raises:
            KeyError: A hash was never located.
        """
        # Left: a hash that was never located keeps its row with a null place, and is told below.
        asked = pl.DataFrame({"hash": hashes}).with_row_index("row").join(self.places, on="hash", how="left")
        if asked["place"].null_count():
            missing = asked.filter(pl.col("place").is_null())["hash"][0]
            raise KeyError(f"no retained release and no staging table holds the vector of {missing}")
        dimension = self.cache[0].schema.field("vector").type.list_size
        out = np.empty((len(hashes), dimension), dtype=np.float32)
        for (number,), part in asked.group_by("place"):
            unique, inverse = np.unique(part["offset"].to_numpy(), return_inverse=True)
            place = self.cache[int(str(number))]
            self.origins |= Origins.of(place, unique.tolist())
            rows = rows_at(place, unique.tolist(), ["vector"])
            out[part["row"].to_numpy()] = as_vectors(rows.column("vector"))[inverse]
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


def _unseen(
    place: lance.LanceDataset, columns: list[str], rows: int, seen: set[Hashable]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of a place in order, each batch with the offset of its first row, but for fragments that were seen.

    Releases share most of their fragments: what is in none of the newest one's is in few of an older one's, and to look
    through all of each would cost the corpus as many times as there are releases.

    Args:
        place: Where to look.
        columns: What to read.
        rows: Rows a batch, at most.
        seen: Marks of the fragments that were looked through; those of this place are added. A fragment from which
            other rows are gone is another.
    """
    at, start, run = 0, 0, list[Any]()
    for fragment in place.get_fragments():
        mark = (*(file.path for file in fragment.data_files()), str(fragment.deletion_file()))
        if mark in seen:
            yield from _numbered(place, columns, rows, run, start)
            run = []
        else:
            seen.add(mark)
            start, run = start if run else at, [*run, fragment]
        at += fragment.count_rows()
    yield from _numbered(place, columns, rows, run, start)


def _numbered(
    place: lance.LanceDataset, columns: list[str], rows: int, fragments: list[Any], at: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    if not fragments:  # which Lance takes for all of them
        return
    for batch in stream(place, columns, rows=rows, fragments=fragments):
        yield at, batch
        at += batch.num_rows


def _own(column: Any) -> pl.Series:
    """A column by itself: as Lance gives it, it would keep its whole batch in memory, the vectors too."""
    return pl.Series(pl.from_arrow(column.take(np.arange(len(column)))))


def _seal(name: str, vector: np.ndarray) -> str:
    return digest(name.encode() + vector.tobytes())


def _intact(batch: pa.RecordBatch, at: pl.Series) -> pl.Series:
    """Whether staged rows are as they were staged; what was staged without a digest passes."""
    some = batch.take(pa.array(at.to_numpy()))
    rows = zip(some["hash"].to_pylist(), as_vectors(some["vector"]), some[_SEAL].to_pylist(), strict=True)
    whole = [seal is None or seal == _seal(str(name), vector) for name, vector, seal in rows]
    return pl.Series(whole, dtype=pl.Boolean)


def as_vectors(column: Any) -> np.ndarray:
    """A fixed-size-list column (Array or ChunkedArray) as float32 of shape (rows, dimension)."""
    parts: list[Any] = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [part.flatten().to_numpy(zero_copy_only=False).reshape(len(part), -1) for part in parts if len(part)]
    width = column.type.list_size
    joined = np.concatenate(arrays) if arrays else np.empty((0, width), dtype=np.float32)
    return joined.astype(np.float32, copy=False)
