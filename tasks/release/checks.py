"""What an audit found: one check, and all checks of one state."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from storage.outcome import Outcome

__all__ = ["AuditResult", "Check"]


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Attributes:
        name: What was checked, `table.property`.
        ok: Whether it holds.
        detail: The figures; where it does not hold, what is wrong and how to repair it.
    """

    name: str
    ok: bool
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON-able values."""
        return asdict(self)


@dataclass(frozen=True)
class AuditResult:
    """All checks of one state.

    Attributes:
        checks: In the order in which they were made.
        recall: Recall@10 of the index against exact search; None where there is no index.
        ok: Whether every check holds.
    """

    checks: tuple[Check, ...]
    recall: float | None = None
    ok: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ok", all(check.ok for check in self.checks))

    @property
    def failed(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.ok]

    @property
    def outcome(self) -> Outcome:
        """Passed where every check holds, else failed."""
        return Outcome.PASSED if self.ok else Outcome.FAILED

    @property
    def message(self) -> str:
        """The checks that do not hold, or how many do."""
        failed = "; ".join(f"{check.name}: {check.detail}" for check in self.failed)
        return failed or f"{len(self.checks)} checks hold"

    @property
    def counts(self) -> dict[str, int]:
        """Checks made and failed."""
        return {"checks": len(self.checks), "failed": len(self.failed)}

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-able values."""
        return {"ok": self.ok, "checks": [check.to_dict() for check in self.checks], "recall": self.recall}
