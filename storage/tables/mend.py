"""Damage that stops whole commands: tables and tags that cannot be read are found, and set aside or written again."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from storage.errors import RecordDamaged, Unreachable, faults, words
from storage.tables import canaries, drift, models, runs
from storage.tables.columns import unpacked
from storage.tables.place import Place
from storage.tables.release import RELEASES, Release
from storage.tables.roles import chunks_table
from storage.tables.store import Store
from storage.tables.tags import unsound_tags
from storage.tables.vectors import vectors_table

if TYPE_CHECKING:
    import lance

__all__ = ["ailing", "mend"]

logger = logging.getLogger(__name__)

# The tables of a release are proved by its digests; what stops commands is a head or a tag that cannot be read.
_LARGE = ("documents", chunks_table(""), vectors_table(""))
_PACKED: Mapping[str, Sequence[str]] = {  # the columns of records that are kept as JSON
    "canaries": canaries.PACKED,
    "drift": drift.PACKED,
    "models": models.PACKED,
    "runs": runs.PACKED,
}
_GRAVE = ".damaged"  # beside the tables, for whoever wants to look


def ailing(store: Store, tables: Iterable[str] | None = None) -> dict[str, str]:
    """The tables that cannot be read, each with why; records are read whole, of large tables their head and tags.

    Args:
        store: The store.
        tables: Which; all if None.
    """
    found = {}
    for name in store.tables() if tables is None else tables:
        fault = _fault(store, name)
        if fault is not None:
            found[name] = fault
    return found


def mend(store: Store, tables: Iterable[str] | None = None) -> list[str]:
    """Make every table readable again, at the price of what cannot be read; nothing is thrown away.

    Tags that cannot be read or name a version that is gone are taken away, an older version becomes the head where the
    newest cannot be opened, rows of records are kept where they can be read, and else the table moves to `.damaged` and
    the next run makes it anew.

    Args:
        store: The store; its caller holds the lease, or the lease itself cannot be read.
        tables: Which; all if None.

    Returns:
        What was done, a sentence a table.
    """
    done = []
    there = store.tables()
    for name in there if tables is None else [each for each in tables if each in there]:
        if _fault(store, name) is not None:
            done.append(_mended(store, name))
            logger.warning("%s", done[-1])
    return done


def _fault(store: Store, name: str) -> str | None:
    place = Place(store, name)
    try:
        if not _manifests(place):
            return "it has no version"
        head = store.open(name)
        head.tags.list()
        wrong = unsound_tags(place)
        if wrong:
            return f"its tag {wrong[0].rpartition('/')[2].removesuffix('.json')} names a version that is not there"
        _look(head)
        if name.startswith(_LARGE):
            return None
        return _records(name, head.to_table())
    except Unreachable:
        raise  # nothing is known of the table
    except faults() as error:
        return words(error)[:200]


def _records(name: str, rows: pa.Table) -> str | None:
    """What is wrong with the rows of records; one that says something else than it did is told by its seal alone."""
    wrong = _sound(name, rows).count(False)
    return f"{wrong} of its {rows.num_rows} records cannot be decoded" if wrong else None


def _sound(name: str, rows: pa.Table) -> list[bool]:
    """Whether each row of records can be decoded by whoever reads it."""
    if name == "releases":
        return [_decodes(Release.from_row, dict.fromkeys(RELEASES.names) | row) for row in rows.to_pylist()]
    packed = [column for column in _PACKED.get(name, ()) if column in rows.column_names]  # an older format lacks some
    return [_decodes(_unpack, row) for row in rows.select(packed).to_pylist()] if packed else [True] * rows.num_rows


def _unpack(row: Mapping[str, Any]) -> None:
    for text in row.values():
        unpacked("it", text)


def _decodes(decode: Callable[[Mapping[str, Any]], object], row: Mapping[str, Any]) -> bool:
    try:
        decode(row)
    except RecordDamaged:
        return False
    return True


def _manifests(place: Place) -> list[str]:
    """The manifests of a table, newest first."""
    return [f"_versions/{name}" for name in place.within("_versions") if name.endswith(".manifest")]


def _mended(store: Store, name: str) -> str:
    place, grave = Place(store, name), f"{_GRAVE}/{name}-{secrets.token_hex(4)}"
    hints = [f"_versions/{file}" for file in place.within("_versions") if file.endswith(".json")]
    for file in [*unsound_tags(place), *hints]:
        place.set_aside(file, grave)
    opens = _opens(store, place, name, grave)
    # Those of the versions that were set aside just now: the next version takes their number.
    for tag in unsound_tags(place):
        place.set_aside(tag, grave)
    if opens and _fault(store, name) is None:
        return f"{name}: what could not be read was set aside, to {grave}"
    kept = _salvaged(store, name) if opens and not name.startswith(_LARGE) else None
    place.set_aside("", grave)
    if kept is None or not kept.num_rows:
        return f"{name}: it could not be read and was set aside, to {grave}"
    store.append(name, kept.schema, kept.to_batches())
    return f"{name}: {kept.num_rows} rows could be read and were kept; the rest is in {grave}"


def _opens(store: Store, place: Place, name: str, grave: str) -> bool:
    """Set manifests aside, newest first, until one can be opened."""
    for manifest in _manifests(place):
        try:
            head = store.open(name)
            _look(head)
            if not name.startswith(_LARGE):
                head.count_rows()
        except Unreachable:
            raise
        except faults():
            place.set_aside(manifest, grave)
        else:
            return True
    return False


def _look(head: lance.LanceDataset) -> None:
    """Read what is in the manifest alone, which is all that whoever begins a table anew reads of it."""
    head.get_fragments()
    _ = head.schema


def _salvaged(store: Store, name: str) -> pa.Table | None:
    """The rows that can be read and decoded, of the fragments that can be read."""
    head, parts = store.open(name), []
    for fragment in head.get_fragments():
        try:
            parts.append(fragment.to_table())
        except Unreachable:
            raise
        except faults():
            continue
    rows = pa.concat_tables(parts) if parts else None
    return None if rows is None else rows.filter(pa.array(_sound(name, rows), pa.bool_()))
