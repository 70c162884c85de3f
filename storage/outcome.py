"""How a run ended, in the words of records, commands and the dashboard."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Outcome"]


class Outcome(StrEnum):
    """The outcome of a run; a member is the very string that stands in the `runs` table and in JSON."""

    RUNNING = "running"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    PASSED = "passed"  # an audit whose checks all hold
    NEEDS_APPROVAL = "needs-approval"
    HELD = "held"  # it was built and judged, and somebody wants nothing published
    REFUSED = "refused"  # a limit, an audit before a publish or a gate said no
    FAILED = "failed"  # an error ended it; of an audit: a check does not hold
    INTERRUPTED = "interrupted"  # by a person, a signal or a machine that went down
    LEASE_HELD = "lease-held"  # another run was at work: this one did nothing
