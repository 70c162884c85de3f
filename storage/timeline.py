"""The releases as a time line: what readers see, what can be returned to, what was taken back, and what was held."""

from __future__ import annotations

from typing import Any

from storage.tables.holds import Hold, Holds
from storage.tables.releases import Releases

__all__ = ["timeline"]


def timeline(found: Releases) -> list[dict[str, Any]]:
    """The releases as rows, newest first.

    Args:
        found: The releases of a store.

    Returns:
        For each its number, time, counts and encoder; `current`, `kept`, the release that `rolled_back_by` it, and
        its `holds`.
    """
    every, holds = found.all(brief=True), Holds(found.store).all()
    back = [release for release in every if release.restored is not None]
    kept = {release.seq for release in found.retained()}
    rows = []
    for release in every:
        taken_back = [other.seq for other in back if int(other.restored or 0) < release.seq < other.seq]
        rows.append(
            {
                "release": release.seq,
                "created": release.created,
                "outcome": release.outcome,
                "space": release.space,
                "run": release.run,
                "restored": release.restored,
                "current": release.seq == every[0].seq,
                "kept": release.seq in kept,
                "rolled_back_by": min(taken_back, default=None),
                "encoder": release.text.encoder.name,
                "stub": release.text.encoder.stub,
                "bridged": None if release.text.bridge is None else release.text.bridge.parent,
                "counts": release.counts,
                "message": release.message,
                "holds": [each.to_dict() for each in holds if _told(each, release.seq, every[0].seq)],
            }
        )
    return rows


def _told(hold: Hold, release: int, current: int) -> bool:
    """Whether a hold is told with a release: one that stands with what readers see, an older one with what they saw."""
    return release == (current if hold.ended is None else hold.release)
