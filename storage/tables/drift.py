"""The `drift` table: what each night measured of the world that the index describes, and how unusual it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.hashing import digest
from storage.tables.columns import TIME, key_field, strings, unpacked
from storage.tables.releases import Releases
from storage.tables.store import Store, pick, read

__all__ = ["DRIFT", "PACKED", "TABLE", "Drift"]

TABLE = "drift"
PACKED = ("detail",)  # which is kept as JSON

# One row a figure and night. `maker` is the run whose release the figure is of (the run itself, where it published).
# `release` is null where the night published nothing; rows are written before a night publishes, so whoever reads them
# learns it from the releases. `median` to `limit` are the band as the night saw it, null while
# the history is too short to judge by. `detail` is JSON that explains the figure to a person.
DRIFT = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("run", "maker"),
        pa.field("release", pa.int64()),
        *strings("family", "name", "source", "space"),
        pa.field("value", pa.float64()),
        pa.field("error", pa.float64()),
        pa.field("history", pa.int32()),
        *(pa.field(name, pa.float64()) for name in ("median", "mad", "highest", "limit")),
        pa.field("over", pa.bool_()),
        pa.field("alarm", pa.bool_()),
        pa.field("created", TIME),
        *strings("detail"),
    ]
)
_TEXTS = '"examples"'  # in the detail of a figure of queries
_NAMED = ("run", "family", "name", "source")


class Drift:
    """The `drift` table of a store; rows are only ever added, or written again by the run that wrote them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write what a run measured.

        Args:
            rows: The columns of DRIFT but for the key; one that is left out is null.
        """
        full = [dict.fromkeys(DRIFT.names) | dict(row) | {"key": _key(row)} for row in rows]
        if full:
            self.store.upsert(TABLE, DRIFT, "key", full)

    def all(self) -> list[dict[str, Any]]:
        """Every figure that was measured, oldest first."""
        table = self.store.find(TABLE)
        return [] if table is None else self._told(read(table, DRIFT))

    def last(self, nights: int) -> list[dict[str, Any]]:
        """The figures of the last nights that were recorded, oldest first; it reads few columns of the others.

        Args:
            nights: Of how many runs.
        """
        table = self.store.find(TABLE)
        if table is None:
            return []
        seen = read(table, DRIFT, ["run", "created"]).group_by("run").aggregate([("created", "max")])
        runs = seen.sort_by([("created_max", "ascending"), ("run", "ascending")])["run"].to_pylist()[-nights:]
        return self._told(pick(table, DRIFT, "run", runs))

    def newest(self) -> datetime | None:
        """When figures were recorded last; None before the first."""
        table = self.store.find(TABLE)
        times = None if table is None else read(table, DRIFT, ["created"])["created"]
        return None if times is None else pc.max(times).as_py()

    def of(self, run: str) -> list[dict[str, Any]]:
        """The figures that a run recorded.

        Args:
            run: The run.
        """
        table = self.store.find(TABLE)
        return [] if table is None else self._told(pick(table, DRIFT, "run", [run]))

    def forget_texts(self, before: datetime) -> int:
        """Take the texts of queries out of the figures of old nights: they are kept as long as the queries themselves.

        Args:
            before: The moment, with time zone; figures from then on keep them.

        Returns:
            How many figures had some.
        """
        table = self.store.find(TABLE)
        if table is None:
            return 0
        rows = pick(table, DRIFT, "family", ["queries"]).to_pylist()
        old = [
            row | {"detail": _untold(row["detail"])}
            for row in rows
            if row["created"] < before and _TEXTS in (row["detail"] or "")
        ]
        if old:
            self.store.upsert(TABLE, DRIFT, "key", old)
        return len(old)

    def _told(self, rows: pa.Table) -> list[dict[str, Any]]:
        """Rows with the release that their night published: a run writes them before it has a number."""
        listed = rows.to_pylist()
        unknown = {str(row["maker"]) for row in listed if row["release"] is None}
        made = Releases(self.store).made_by(unknown) if unknown else {}
        full = [row | {"release": made.get(row["maker"])} if row["release"] is None else row for row in listed]
        return sorted(full, key=lambda row: (row["created"], row["run"], row["key"]))


def _untold(detail: str) -> str:
    """The detail of a figure without what people asked; how many asked it stays."""
    told = unpacked("the detail of a drift figure", detail, {})
    told["gap"] = [
        {name: value for name, value in group.items() if name != "examples"} for group in told.get("gap", [])
    ]
    return json.dumps(told, ensure_ascii=False, sort_keys=True)


def _key(row: Mapping[str, Any]) -> str:
    return digest("\x1f".join(str(row.get(name)) for name in _NAMED))
