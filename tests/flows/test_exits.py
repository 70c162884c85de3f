"""The table of exit codes has a row for whatever ends a command."""

from __future__ import annotations

import inspect

import pytest

import flows.run
import flows.services.errors
import models.errors
import storage.errors
import tasks.verdict
from flows.exits import EXITS, exit_code
from flows.stop import Terminated
from storage.outcome import Outcome

CODES = {
    "InputError": 2,
    "TableMissing": 2,
    "ModelError": 2,
    "ProbeMismatch": 1,
    "NeedsApproval": 3,
    "Held": 3,
    "LeaseHeld": 4,
    "Refused": 5,
    "ReleaseMoved": 4,
    "SourceFailed": 1,
    "Unreachable": 1,
    "TidemarkError": 1,
    "ServicesError": 1,
    "Exited": 1,
}
CLASSES = {
    name: found
    for module in (storage.errors, tasks.verdict, models.errors, flows.run, flows.services.errors)
    for name, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, Exception)
}


def test_every_outcome_has_a_row() -> None:
    assert {name: exit_code(name) for name in Outcome} == {
        "running": 1,
        "published": 0,
        "unchanged": 0,
        "passed": 0,
        "needs-approval": 3,
        "held": 3,
        "refused": 5,
        "failed": 1,
        "interrupted": 130,
        "lease-held": 4,
    }


def test_an_audit_that_finds_damage_has_a_code_of_its_own() -> None:
    assert exit_code(Outcome.FAILED, "audit") == 5
    assert exit_code(Outcome.FAILED, "refresh") == 1


def test_a_plan_that_foretells_a_stop_is_done() -> None:
    assert [exit_code(outcome, "plan") for outcome in (Outcome.NEEDS_APPROVAL, Outcome.REFUSED, Outcome.HELD)] == [
        0,
        0,
        0,
    ]


def test_every_error_of_ours_has_the_code_of_the_readme() -> None:
    assert CODES.keys() <= CLASSES.keys()
    for name, found in CLASSES.items():
        nearest = next(parent for parent in found.__mro__ if parent.__name__ in CODES)
        assert exit_code(found("why")) == CODES[nearest.__name__], name


def test_the_most_specific_row_comes_first() -> None:
    classes = [known for known in EXITS if isinstance(known, type)]
    for position, known in enumerate(classes):
        assert not any(issubclass(later, known) for later in classes[position + 1 :])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("x"), 1),
        (TypeError("x"), 1),
        (KeyError("x"), 1),
        (SystemExit(0), 1),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
        (BrokenPipeError(), 141),
    ],
)
def test_what_nobody_foresaw_is_a_failure(error: BaseException, code: int) -> None:
    assert exit_code(error) == code
