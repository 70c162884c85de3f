"""The `evaluations` table: what was measured of releases, down to the figure of every question."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from storage.hashing import digest
from storage.tables.columns import TIME, key_field, strings
from storage.tables.releases import Release, Releases
from storage.tables.store import Store, pick, read

__all__ = ["EVALUATIONS", "TABLE", "Evaluations"]

TABLE = "evaluations"

_METRICS = ("ndcg_10", "recall_1", "recall_5", "recall_10", "recall_100", "mrr_10", "map")

# One row a set and mode, and one a slice, which has nDCG@10 alone. `maker` is the run that made the release: a number
# may go to another run that publishes first, a run's id to nobody else.
EVALUATIONS = pa.schema(
    [
        key_field("key", pa.string()),
        *strings("run", "maker"),
        pa.field("release", pa.int64()),
        *strings("space", "set", "split", "role", "fingerprint", "mode", "by", "value"),
        *(pa.field(name, pa.float64()) for name in (*_METRICS, "low", "high")),
        pa.field("questions", pa.int32()),
        pa.field("documents", pa.int32()),
        pa.field("missing", pa.int32()),
        pa.field("weight", pa.float64()),
        pa.field("detectable", pa.float64()),
        pa.field("created", TIME),
        pa.field("asked", pa.list_(pa.string())),  # ids of the questions, null for a slice
        pa.field("figures", pa.list_(pa.float64())),  # nDCG@10 of each
    ]
)
_NAMED = ("run", "maker", "set", "split", "mode", "by", "value")
_BULKY = ("asked", "figures")


class Evaluations:
    """The `evaluations` table of a store; rows are only ever added, or written again by the run that wrote them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write what a run measured.

        Args:
            rows: The columns of EVALUATIONS but for the key; one that is left out is null.
        """
        full = [dict.fromkeys(EVALUATIONS.names) | dict(row) | {"key": _key(row)} for row in rows]
        if full:
            self.store.upsert(TABLE, EVALUATIONS, "key", full)

    def all(self, *, release: int | None = None) -> list[dict[str, Any]]:
        """What was measured, newest first, without the figures of single questions.

        Args:
            release: Only of this release; of all if None.
        """
        columns = [name for name in EVALUATIONS.names if name not in _BULKY]
        table = self.store.find(TABLE)
        if table is None:
            return []
        found = (
            read(table, EVALUATIONS, columns)
            if release is None
            else pick(table, EVALUATIONS, "release", [release], columns)
        )
        return _newest(found.to_pylist())

    def latest(self, release: Release, mode: str, split: str = "test") -> dict[str, dict[str, Any]]:
        """Set to what was last measured of a release with it, the figures of single questions included.

        A rollback has the tables of the release that it restores, and so what was measured of that one.

        Args:
            release: The release.
            mode: How it was searched.
            split: Which questions of the sets.
        """
        table = self.store.find(TABLE)
        rows = [] if table is None else pick(table, EVALUATIONS, "maker", self._makers(release)).to_pylist()
        whole = [row for row in rows if row["by"] is None and row["mode"] == mode and row["split"] == split]
        return {row["set"]: row for row in reversed(_newest(whole))}

    def first(
        self, makers: Sequence[str], mode: str, split: str = "test"
    ) -> dict[tuple[str, str | None], dict[str, Any]]:
        """Set and fingerprint to what was first measured with it, the figures of single questions included.

        Args:
            makers: The runs that made releases, in the order in which they count.
            mode: How they were searched.
            split: Which questions of the sets.

        Returns:
            A set with no fingerprint stands for whatever questions it had.
        """
        table = self.store.find(TABLE)
        if table is None:
            return {}
        columns = ["key", "maker", "set", "fingerprint", "mode", "split", "by", "created"]
        order = {maker: at for at, maker in enumerate(makers)}
        light = pick(table, EVALUATIONS, "maker", makers, columns).to_pylist()
        light = [row for row in light if row["by"] is None and row["mode"] == mode and row["split"] == split]
        wanted: dict[tuple[str, str | None], str] = {}
        for row in sorted(light, key=lambda row: (order[row["maker"]], row["created"])):
            for fingerprint in (row["fingerprint"], None):
                wanted.setdefault((row["set"], fingerprint), row["key"])
        full = {row["key"]: row for row in pick(table, EVALUATIONS, "key", set(wanted.values())).to_pylist()}
        return {name: full[key] for name, key in wanted.items()}

    def _makers(self, release: Release) -> Collection[str]:
        """The runs that made the tables of a release, and pointed back to them."""
        makers = [release.run]
        while release.restored is not None:
            release = Releases(self.store).get(release.restored)
            makers.append(release.run)
        return makers


def _key(row: Mapping[str, Any]) -> str:
    return digest("\x1f".join(str(row.get(name)) for name in _NAMED))


def _newest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["created"], row["run"]), reverse=True)
