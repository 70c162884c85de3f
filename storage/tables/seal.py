"""The seal of a release's row: a digest over all of it, by which a damaged record is told from a whole one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from storage.hashing import digest

__all__ = ["SEAL", "intact", "sealed"]

SEAL = "seal"


def sealed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the seal over its other columns; null ones do not count, so that a later format may add some."""
    return {**row, SEAL: _seal(row)}


def intact(row: Mapping[str, Any]) -> bool | None:
    """Whether a row is as it was sealed; None where that cannot be told: an older format wrote it without a seal."""
    return None if row.get(SEAL) is None else row[SEAL] == _seal(row)


def _seal(row: Mapping[str, Any]) -> str:
    told = {name: value for name, value in row.items() if name != SEAL and value is not None}
    return digest(json.dumps(told, sort_keys=True, default=str))
