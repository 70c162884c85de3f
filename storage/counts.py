"""Counts in the records of runs and releases, what people mean by their number, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["indexed", "plural"]


def indexed(counts: Mapping[str, int]) -> int:
    """Documents that have chunks of their own: those listed, less the refused ones and the duplicates.

    Args:
        counts: Of a release or a run, as `tasks.tally` defines them.
    """
    return counts.get("documents", 0) - counts.get("quarantined", 0) - counts.get("duplicates", 0)


def plural(count: int, name: str) -> str:
    """Write a count with its noun: "1 document", "3,041 documents"."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"
