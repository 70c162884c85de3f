"""Counts of documents in the records of runs and releases, and what people mean by their number."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["indexed"]


def indexed(counts: Mapping[str, int]) -> int:
    """Documents that have chunks of their own: those listed, less the refused ones and the duplicates.

    Args:
        counts: Of a release or a run, as `tasks.tally` defines them.
    """
    return counts.get("documents", 0) - counts.get("quarantined", 0) - counts.get("duplicates", 0)
