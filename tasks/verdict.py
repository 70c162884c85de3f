"""What a gate says of a run, and the errors by which a run stops without having failed.

TidemarkError
├── NeedsApproval    a source loses or breaks too much, or the encoder is another
├── Held             somebody holds the store: what was built is not published
└── Refused          a limit, the audit or a gate said no
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.errors import TidemarkError
from storage.outcome import Outcome

__all__ = ["STOPS", "Held", "NeedsApproval", "Refused", "Verdict"]


class NeedsApproval(TidemarkError):
    """A source loses or breaks more than it may unasked, or the encoder is another than that of the release."""


class Held(TidemarkError):
    """Somebody holds the store: what was built and judged is not published."""


class Refused(TidemarkError):
    """A limit, the audit or a gate refused the release."""


# What each error means for the run that it stops: an outcome, and no failure.
STOPS: dict[type[TidemarkError], Outcome] = {
    NeedsApproval: Outcome.NEEDS_APPROVAL,
    Held: Outcome.HELD,
    Refused: Outcome.REFUSED,
}


@dataclass(frozen=True)
class Verdict:
    """What a gate says.

    Attributes:
        outcome: Passed, needs approval or refused.
        reasons: Why, one line each.
    """

    outcome: Outcome
    reasons: tuple[str, ...] = ()

    def enforce(self) -> None:
        """Raise what the verdict means for the run.

        Raises:
            NeedsApproval: Somebody has to approve of what the run would do.
            Refused: A limit was passed.
        """
        for error, outcome in STOPS.items():
            if self.outcome is outcome:
                raise error("; ".join(self.reasons))
