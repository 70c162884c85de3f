"""Refuse to start from a release that no reader could use."""

from __future__ import annotations

from storage.readable import readable
from storage.tables.releases import Release
from storage.tables.store import Store
from tasks.verdict import Refused

__all__ = ["require_readable"]


def require_readable(store: Store, base: Release) -> None:
    """Make sure that readers can open and query the release that a run starts from.

    Else a run would say night after night that nothing changed while every search fails, or build upon the damage.

    Raises:
        Refused: They cannot; the text says why.
    """
    fault = readable(store, base)
    if fault is not None:
        raise Refused(
            f"release {base.seq} cannot be read: {fault}; `tidemark audit` says more, `tidemark maintain` sets lost "
            "tags again, `tidemark refresh --rebuild` makes it anew"
        )
