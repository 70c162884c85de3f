"""The store: where the tables of one index live and how they are opened."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow import AHEAD, settle
from storage.errors import TableMissing, faults
from storage.signals import uninterrupted
from storage.tables.recent import Recent

if TYPE_CHECKING:
    import lance

    from storage.tables.lookup import Bytes

__all__ = ["Store", "pick", "read", "stream"]

settle()

_MISSING = re.compile(r"Dataset at path .* was not found|Ref not found")
# What Lance says of a file that an object store did give, as it is.
_DAMAGED = re.compile(r"file size is too small|invalid (?:format|magic)|protobuf|logical type|corrupt", re.IGNORECASE)
_PREEMPTED = re.compile(r"commit conflict|already exists")  # somebody else wrote first, perhaps the same
_RETRIES = 20
FILE = 131_072  # rows of a data file: what is narrow Lance holds back until a file is full, else a million rows of it


class Store:
    """A folder or object-store URL of Lance tables, `<uri>/<name>.lance`, each of which lancedb opens too.

    Handles are opened anew at each call: a Lance handle never moves by itself, so a caller that keeps one is bound to
    its version, and a caller that asks again sees the head.

    Args:
        uri: A local folder, or a URL that Lance understands (s3://, gs://, az://).

    Attributes:
        recent: What was looked up of its tables a moment ago.
    """

    def __init__(self, uri: str | Path) -> None:
        self.uri = str(uri).rstrip("/")
        self.recent = Recent()

    @property
    def folder(self) -> Path | None:
        """The local folder of the store; None when it lives in an object store."""
        if "://" not in self.uri:
            return Path(self.uri)
        return Path(self.uri.removeprefix("file://")) if self.uri.startswith("file://") else None

    def path(self, table: str) -> str:
        """Address of a table."""
        return f"{self.uri}/{table}.lance"

    def open(self, table: str, version: int | str | None = None) -> lance.LanceDataset:
        """Open a table at a version, a tag or its head.

        Raises:
            TableMissing: The table or that version of it is not in the store.
            InputError: The address or the credentials of an object store are wrong.
            Unreachable: An object store does not answer.
        """
        import lance

        try:
            return lance.dataset(self.path(table), version=version)
        except (ValueError, OSError) as error:
            if _MISSING.search(str(error)):
                at = "" if version is None else f" at version {version}"
                raise TableMissing(f"{self.uri}: there is no table {table!r}{at}") from error
            if self.folder is not None or _DAMAGED.search(str(error)):
                raise
            from storage.remote import explained

            raise explained(self.uri, error) from error

    def find(self, table: str) -> lance.LanceDataset | None:
        """Open the head of a table, or None where the table does not exist yet."""
        folder = self.folder
        if folder is not None and not (folder / f"{table}.lance" / "_versions").is_dir():
            return None
        try:
            return self.open(table)
        except TableMissing:
            return None

    def tables(self) -> list[str]:
        """Names of all tables, sorted."""
        folder = self.folder
        if folder is not None:
            return sorted(path.stem for path in folder.glob("*.lance"))
        from storage.remote import filesystem, reached

        files, root = filesystem(self.uri)
        with reached(self.uri):
            paths = files.ls(root, detail=False) if files.exists(root) else []
        names = [str(path).rpartition("/")[2] for path in paths]
        return sorted(name.removesuffix(".lance") for name in names if name.endswith(".lance"))

    def idle(self, table: str) -> timedelta:
        """How long ago a table was last written to."""
        last = cast("datetime", self.open(table).versions()[-1]["timestamp"])
        return datetime.now(last.tzinfo) - last

    def ensure(self, table: str, schema: pa.Schema) -> lance.LanceDataset:
        """Open the head of a table with all columns of `schema`, made empty where it does not exist yet."""
        found = self.find(table)
        if found is not None:
            return found if set(schema.names) <= set(found.schema.names) else self.complete(table, schema)
        import lance

        if self.folder is not None:  # closed to other users of the machine: the texts may be nobody else's business
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not write_dataset(mode="create"): two at once both "create", and the slower one wipes what the faster wrote.
        empty = lance.LanceOperation.Overwrite(schema, [])
        try:
            return lance.LanceDataset.commit(self.path(table), empty, enable_stable_row_ids=True, max_retries=0)
        except OSError:
            made = self.find(table)  # by somebody else between the look and the commit
            if made is None:
                raise
            return made

    def complete(self, table: str, schema: pa.Schema) -> lance.LanceDataset:
        """Add the columns of `schema` that the head of a table lacks, null in every row.

        It writes a manifest and no data; other versions stay as they are. Who wrote meanwhile is not disturbed.
        """
        for attempt in range(_RETRIES):
            head = self.open(table)
            held = set(head.schema.names)
            lacking = [field for field in schema if field.name not in held]
            if not lacking:
                return head
            try:
                head.add_columns(pa.schema(lacking))
            except OSError as error:
                if not _PREEMPTED.search(str(error)) or attempt == _RETRIES - 1:
                    raise
        return self.open(table)

    def append(
        self, table: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, rows: int = FILE
    ) -> lance.LanceDataset:
        """Append a stream of batches in one commit, in files of so many rows; memory does not grow with the stream."""
        dataset = self.ensure(table, schema)
        stream = iter(batches)
        first = next(stream, None)
        if first is not None:  # an empty append would still cost a version

            def whole() -> Iterator[pa.RecordBatch]:
                yield first
                yield from stream

            dataset.insert(pa.RecordBatchReader.from_batches(schema, whole()), max_rows_per_file=rows)
        return dataset

    def replace(self, table: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> lance.LanceDataset:
        """Make a stream of batches all that the head holds, in one commit; tagged versions stay as they are."""
        dataset = self.ensure(table, schema)
        dataset.insert(pa.RecordBatchReader.from_batches(schema, iter(batches)), mode="overwrite")
        return self.open(table)

    def upsert(self, table: str, schema: pa.Schema, key: str, rows: list[dict[str, Any]] | pa.Table) -> dict[str, int]:
        """Insert rows, or replace those of the same key; meant for small tables and small slices."""
        dataset = self.ensure(table, schema)
        data = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=schema)
        merge = dataset.merge_insert(key).when_matched_update_all().when_not_matched_insert_all()
        return dict(merge.use_index(False).conflict_retries(20).execute(data))

    def insert_new(self, table: str, schema: pa.Schema, key: str, row: dict[str, Any]) -> bool:
        """Insert a row iff its key is new: the compare-and-set that publishing and leases rest on.

        `use_index(False)` and the declared key make concurrent inserts of one key conflict: one of them wins.

        Returns:
            Whether this call inserted the row.
        """
        dataset = self.ensure(table, schema)
        merge = dataset.merge_insert(key).when_not_matched_insert_all().use_index(False).conflict_retries(20)
        with uninterrupted():  # else it may be inserted, and nobody learns of it
            return bool(merge.execute(pa.Table.from_pylist([row], schema=schema))["num_inserted_rows"] == 1)

    def restore(self, table: str, version: int, schema: pa.Schema | None = None) -> lance.LanceDataset:
        """Make a pinned version the head again (a new version with the same rows), unless it is the head already.

        Args:
            table: Name of the table.
            version: The pinned version.
            schema: Columns that the head has afterwards: a version of an older format brings its own, fewer ones back.
        """
        if self.open(table).version != version:
            self.open(table, version).restore()  # type: ignore[no-untyped-call]
        return self.open(table) if schema is None else self.complete(table, schema)

    def reset(self, table: str, schema: pa.Schema, version: int | None) -> None:
        """Take the head back to a pinned version, or empty the table where there is none to go back to."""
        if version is None:
            self.empty(table, schema)
        else:
            self.ensure(table, schema)
            self.restore(table, version, schema)

    def empty(self, table: str, schema: pa.Schema) -> None:
        """Make the head hold no row and no index; one that holds none costs no version.

        Of what lies there it reads one manifest alone, unlike a deletion of the rows: whoever begins anew trips over no
        damage to rows, marks of deleted ones or indexes, and takes none of them over.
        """
        import lance

        head = self.find(table)  # not `ensure`, which looks at its columns
        if head is None:
            self.ensure(table, schema)
        elif not _bare(head, schema):
            nothing = lance.LanceOperation.Overwrite(schema, [])
            lance.LanceDataset.commit(head, nothing, read_version=head.version)

    def delete_keys(self, table: str, column: str, keys: Iterable[str] | Bytes) -> int:
        """Delete the rows whose `column` is one of `keys` (hexadecimal hashes); returns how many rows went."""
        from storage.tables.offsets import delete_hashes  # with polars, which a look at the releases does without

        return delete_hashes(self.open(table), column, keys)

    def drop(self, table: str) -> None:
        """Remove a table with all its versions, at once where the store is local."""
        import lance

        if self.find(table) is None:
            return
        if self.folder is None:
            lance.LanceDataset.drop(self.path(table))
            return
        # Lance removes data before manifests: killed in between, it leaves a table that opens and cannot be read.
        grave = self.folder / ".work" / f"{table}-{secrets.token_hex(4)}"  # where the next run sweeps
        grave.parent.mkdir(exist_ok=True)
        (self.folder / f"{table}.lance").rename(grave)
        shutil.rmtree(grave, ignore_errors=True)
        with suppress(OSError):  # the run spills beside it
            grave.parent.rmdir()

    def vacuum(self, table: str, older_than: timedelta, *, torn: bool = False) -> int:
        """Free the untagged versions of a table that are older.

        Args:
            table: Name of the table.
            older_than: How old.
            torn: Free files of writes that never ended too, however young; only where nobody else may write.

        Returns:
            Bytes freed.
        """
        dataset = self.find(table)
        if dataset is None:
            return 0
        stats = dataset.cleanup_old_versions(
            older_than=older_than, delete_unverified=torn, error_if_tagged_old_versions=False
        )
        return int(stats.bytes_removed)


def _bare(head: lance.LanceDataset, schema: pa.Schema) -> bool:
    """Whether a table holds no row and no index, but all columns."""
    try:
        return not head.get_fragments() and not head.has_index and set(schema.names) <= set(head.schema.names)
    except faults():  # its manifest or an index is damaged
        return False


def read(table: lance.LanceDataset, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Read a small table as this version of the program knows it, whatever version wrote it.

    Args:
        table: The table.
        schema: Its columns: those that it lacks are null, others that it has are left out.
        columns: Which of them; all if None.
    """
    wanted = columns or schema.names
    held = set(table.schema.names)
    return _completed(table.to_table(columns=[name for name in wanted if name in held]), schema, wanted)


def pick(
    table: lance.LanceDataset, schema: pa.Schema, key: str, values: Iterable[Any], columns: list[str] | None = None
) -> pa.Table:
    """Read some rows of a small table, as `read` does: those whose `key` is one of `values`.

    It looks the values up by itself: planning a filter costs Lance milliseconds, which a table of a thousand rows or
    one does not make up for. And no text of a value can become a part of a filter.
    """
    held = set(table.schema.names)
    keys = table.to_table(columns=[key])[key]
    at = pc.indices_nonzero(pc.is_in(keys, value_set=pa.array(values, keys.type)))
    wanted = columns or schema.names
    return _completed(table.take(at, columns=[name for name in wanted if name in held]), schema, wanted)


def _completed(rows: pa.Table, schema: pa.Schema, wanted: list[str]) -> pa.Table:
    held = set(rows.schema.names)
    for position, name in enumerate(wanted):
        if name not in held:
            rows = rows.add_column(position, schema.field(name), pa.nulls(len(rows), schema.field(name).type))
    return rows


def stream(
    table: lance.LanceDataset,
    columns: list[str] | None = None,
    *,
    rows: int = 1_024,
    where: str | None = None,
    fragments: list[lance.LanceFragment] | None = None,
    places: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Read a table in order, batch by batch, with little read ahead.

    Lance by itself reads up to 2 GiB ahead of a slow consumer, and a pass over the vectors would hold them all.

    Args:
        table: The table.
        columns: Which columns; all if None.
        rows: Rows a batch, at most. Lance holds several batches at once; larger ones of vectors are no faster.
        where: A filter, of `storage.tables.keys.filter_in`.
        fragments: Parts of the table to read; all if None.
        places: Whether to tell the id and the address of each row too.
    """
    scanner = table.scanner(
        columns=columns,
        filter=where,
        batch_size=rows,
        batch_readahead=2,
        io_buffer_size=AHEAD,
        scan_in_order=True,
        fragments=fragments,
        with_row_id=places,
        with_row_address=places,
    )
    yield from scanner.to_batches()
