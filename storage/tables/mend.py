"""Damage that stops whole commands: tables and tags that cannot be read are found, and set aside or written again."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from storage.errors import FAULTS, words
from storage.tables.releases import RELEASES
from storage.tables.roles import chunks_table
from storage.tables.store import Store
from storage.tables.vectors import vectors_table

__all__ = ["ailing", "mend"]

logger = logging.getLogger(__name__)

# The tables of a release are proved by its digests; what stops commands is a head or a tag that cannot be read.
_LARGE = ("documents", chunks_table(""), vectors_table(""))
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

    Tags that cannot be read go, an older version becomes the head where the newest cannot be opened, rows of records
    are kept where they can be read, and else the table moves to `.damaged` and the next run makes it anew. Only in a
    local store; an object store checks what it keeps by itself.

    Args:
        store: The store; its caller holds the lease, or the lease itself cannot be read.
        tables: Which; all if None.

    Returns:
        What was done, a sentence a table.
    """
    if store.folder is None:
        return []
    done = []
    for name in store.tables() if tables is None else [each for each in tables if each in store.tables()]:
        if _fault(store, name) is not None:
            done.append(_mended(store, store.folder, name))
            logger.warning("%s", done[-1])
    return done


def _fault(store: Store, name: str) -> str | None:
    try:
        if not any(_manifests(store, name)):
            return "it has no version"
        head = store.open(name)
        head.tags.list()
        if not name.startswith(_LARGE):
            rows = head.to_table()
            if name == "releases":
                return _records(rows)
    except FAULTS as error:
        return words(error)[:200]
    return None


def _records(rows: pa.Table) -> str | None:
    """What is wrong with the rows of releases; one that says something else than it did is told by its seal alone."""
    wrong = [row["seq"] for row in _complete(rows) if not _sound(row)]
    return f"the records of {len(wrong)} releases are damaged ({wrong[:3]})" if wrong else None


def _sound(row: dict[str, object]) -> bool:
    try:
        json.loads(str(row["tables"] or "null")), json.loads(str(row["roles"] or "null"))
    except ValueError:
        return False
    return True


def _complete(rows: pa.Table) -> list[dict[str, object]]:
    empty = dict.fromkeys(RELEASES.names)
    return [empty | row for row in rows.to_pylist()]


def _manifests(store: Store, name: str) -> Iterator[Path]:
    """The manifests of a table, newest first."""
    folder = store.folder
    if folder is None:
        yield Path(name)  # its object store lists them
        return
    yield from sorted((folder / f"{name}.lance" / "_versions").glob("*.manifest"))


def _mended(store: Store, folder: Path, name: str) -> str:
    place = folder / f"{name}.lance"
    grave = folder / _GRAVE / f"{name}-{secrets.token_hex(4)}"
    grave.mkdir(parents=True)
    for tag in (place / "_refs" / "tags").glob("*.json"):
        if not _readable_tag(tag):
            tag.rename(grave / tag.name)
    hint = place / "_versions" / "latest_version_hint.json"
    if hint.exists():
        hint.rename(grave / hint.name)
    opens = _opens(store, place, name, grave)
    if opens and _fault(store, name) is None:
        return f"{name}: what could not be read was set aside, to {grave.relative_to(folder)}"
    kept = _salvaged(store, name) if opens and not name.startswith(_LARGE) else None
    place.rename(grave / place.name)
    if kept is None or not kept.num_rows:
        return f"{name}: it could not be read and was set aside, to {grave.relative_to(folder)}"
    store.append(name, kept.schema, kept.to_batches())
    return f"{name}: {kept.num_rows} rows could be read and were kept; the rest is in {grave.relative_to(folder)}"


def _readable_tag(tag: Path) -> bool:
    try:
        content = json.loads(tag.read_text())
        return isinstance(content["version"], int) and content.get("branch") is None
    except (ValueError, KeyError, TypeError):
        return False


def _opens(store: Store, place: Path, name: str, grave: Path) -> bool:
    """Set manifests aside, newest first, until one can be opened."""
    for manifest in list(_manifests(store, name)):
        try:
            store.open(name).count_rows()
        except FAULTS:
            manifest.rename(grave / manifest.name)
        else:
            return True
    return False


def _salvaged(store: Store, name: str) -> pa.Table | None:
    """The rows of the fragments that can be read, and of releases those whose record can be decoded."""
    head, parts = store.open(name), []
    for fragment in head.get_fragments():
        try:
            parts.append(fragment.to_table())
        except FAULTS:
            continue
    rows = pa.concat_tables(parts) if parts else None
    if rows is None or name != "releases":
        return rows
    return rows.filter(pa.array([_sound(row) for row in _complete(rows)]))
