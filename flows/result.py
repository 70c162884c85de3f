"""What a refresh or a re-embedding hands back."""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.run import Run
from storage.outcome import Outcome

__all__ = ["RunResult"]


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        run: Its id.
        release: The release that readers see now; None before the first.
        outcome: Published, unchanged, refused or needs approval.
        counts: Documents and chunks; `tasks.tally` defines them.
        seconds: Seconds a stage, and `total`.
        message: One line for people.
        causes: Why there was work: documents a cause.
        space: Vector space of the run.
        passed_over: Source to what it left out, how many a reason.
    """

    run: str
    release: int | None
    outcome: Outcome
    counts: dict[str, int]
    seconds: dict[str, float]
    message: str
    causes: dict[str, int] = field(default_factory=dict)
    space: str = ""
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, space: str) -> RunResult:
        """The result of a run that was concluded."""
        sources = run.facts.get("data", {}).get("sources", {})
        passed = {name: version["passed_over"] for name, version in sources.items() if version.get("passed_over")}
        return cls(
            run.id, run.release, run.outcome, run.counts, run.clock.total(), run.message, run.causes, space, passed
        )
