"""The table of exit codes: what a shell learns of an outcome or an error."""

from __future__ import annotations

from flows.stop import Terminated
from models.errors import ModelError, ProbeMismatch
from storage.errors import InputError, LeaseHeld, ReleaseMoved, TidemarkError
from storage.outcome import Outcome
from tasks.verdict import Held, NeedsApproval, Refused

__all__ = ["EXITS", "exit_code"]

DONE, FAILED, WRONG_INPUT, NEEDS_APPROVAL, LEASE_HELD, REFUSED = range(6)
# As a shell reports any program that Ctrl-C, a closed pipe or SIGTERM ended.
INTERRUPTED, PIPE_CLOSED, TERMINATED = 130, 141, 143

# Of an outcome, of one flow's outcome, or of an error and all below it: the most specific row comes first.
EXITS: dict[Outcome | tuple[str, Outcome] | type[BaseException], int] = {
    ("audit", Outcome.FAILED): REFUSED,  # the audit itself did its work: what it looked at is damaged
    ("drift", Outcome.FAILED): REFUSED,  # likewise, where it was asked to be strict
    ("plan", Outcome.NEEDS_APPROVAL): DONE,  # it foretells how a refresh would end, and has done so
    ("plan", Outcome.HELD): DONE,
    ("plan", Outcome.REFUSED): DONE,
    Outcome.PUBLISHED: DONE,
    Outcome.UNCHANGED: DONE,
    Outcome.PASSED: DONE,
    Outcome.FAILED: FAILED,
    Outcome.RUNNING: FAILED,
    Outcome.NEEDS_APPROVAL: NEEDS_APPROVAL,
    Outcome.HELD: NEEDS_APPROVAL,  # it too waits for a person
    Outcome.LEASE_HELD: LEASE_HELD,
    Outcome.REFUSED: REFUSED,
    Outcome.INTERRUPTED: INTERRUPTED,
    InputError: WRONG_INPUT,
    ProbeMismatch: FAILED,  # of the machine or its libraries, not of what the user gave
    ModelError: WRONG_INPUT,
    NeedsApproval: NEEDS_APPROVAL,
    Held: NEEDS_APPROVAL,
    LeaseHeld: LEASE_HELD,
    ReleaseMoved: LEASE_HELD,  # two were at work at once, and the other was first
    Refused: REFUSED,
    TidemarkError: FAILED,
    Terminated: TERMINATED,
    KeyboardInterrupt: INTERRUPTED,
    BrokenPipeError: PIPE_CLOSED,
    BaseException: FAILED,  # nobody foresaw it: it is told with its type
}


def exit_code(ended: Outcome | BaseException, flow: str = "") -> int:
    """The exit code of what ended a command.

    Args:
        ended: The outcome, or the error.
        flow: The flow whose outcome it is.
    """
    if isinstance(ended, Outcome):
        return EXITS.get((flow, ended), EXITS[ended])
    return next(code for known, code in EXITS.items() if isinstance(known, type) and isinstance(ended, known))
