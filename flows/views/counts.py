"""Says counts of documents, everywhere in the same sense: what is indexed, and what is listed apart from that."""

from __future__ import annotations

from collections.abc import Mapping

from storage.counts import indexed, plural

__all__ = ["apart", "worded"]

LEADING = ("documents", "listed", "refused", "duplicates", "chunks", "embedded", "reused")


def apart(counts: Mapping[str, int]) -> str:
    """What was listed beside them: "3 refused, 1 duplicate"; nothing where that is nothing.

    Args:
        counts: Of a release or a run, as `tasks.tally` defines them.
    """
    refused, duplicates = counts.get("quarantined", 0), counts.get("duplicates", 0)
    parts = [f"{refused:,} refused"] if refused else []
    return ", ".join(parts + ([plural(duplicates, "duplicate")] if duplicates else []))


def worded(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of a record as people are told them: documents are those indexed, and what is listed is named so.

    Args:
        counts: Of a run or a release; those of another kind of run come back as they are.
    """
    if "documents" not in counts or "quarantined" not in counts:
        return dict(counts)
    told = dict(counts) | {"documents": indexed(counts), "listed": counts["documents"]}
    told["refused"] = told.pop("quarantined")
    return {name: told[name] for name in (*(each for each in LEADING if each in told), *told)}
