"""Explain a chunk: everything that made it."""

from __future__ import annotations

from typing import Any

from storage.errors import InputError
from storage.pinned import Pinned
from storage.prefixes import NAMED, one_of
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.tables.waivers import Waivers

__all__ = ["explain"]

WHOLE = 32  # characters of an id


def explain(pinned: Pinned, chunk: str) -> dict[str, Any]:
    """Tell source, revision, span, chunker, space, run and release of a chunk.

    Args:
        pinned: The release.
        chunk: Id of the chunk, or the beginning that no other chunk's id has.

    Raises:
        InputError: The release holds no such chunk, or several begin so.
    """
    release = pinned.release
    try:
        row = pinned.chunks.facts(_whole(pinned, chunk))
    except KeyError:
        raise InputError(
            f"release {release.seq} holds no chunk {chunk!r}; `tidemark search --json` gives ids of chunks"
        ) from None
    document = pinned.documents.facts(row["key"])
    return {
        "chunk": row["id"],
        "text": row["text"],
        "span": {name: row[name] for name in ("start", "end", "ordinal", "tokens")},
        "content_hash": row["hash"],
        "document": document,
        "waivers": _waivers(pinned, row["key"]),
        "chunker": release.text.chunker,
        "space": release.space,
        "encoder": release.text.encoder.to_dict(),
        "run": _run(pinned.store, document["run"]),
        "release": {"release": release.seq, "created": release.created, "outcome": release.outcome},
    }


def _waivers(pinned: Pinned, key: str) -> list[dict[str, Any]]:
    """Rules that would keep the document out, and who let it past them; those that stood when it was published."""
    then = pinned.release.created
    found = [each for each in Waivers(pinned.store).all() if each.key == key and each.content is not None]
    return [each.to_dict() for each in found if each.since <= then and (each.ended is None or each.ended > then)]


def _whole(pinned: Pinned, chunk: str) -> str:
    """The id that a beginning means, found among all where it is none itself."""
    if len(chunk) >= WHOLE:
        return chunk
    return one_of(chunk, pinned.chunks.alike(chunk, NAMED + 1), "chunk") or chunk


def _run(store: Store, run: str) -> dict[str, Any]:
    row = Runs(store).find(run)
    return {name: row[name] for name in ("run", "started", "outcome", "release", "code")} if row else {"run": run}
