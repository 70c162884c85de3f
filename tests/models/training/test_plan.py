"""From a budget to a number of steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ModelError
from models.training.plan import Course, History, Plan, budgeted
from models.training.recipe import Recipe

SECONDS = st.floats(0.001, 100)


@given(
    minutes=st.floats(0.01, 600),
    rows=st.integers(2, 1_000_000),
    step=SECONDS,
    look=st.just(0.0) | SECONDS,
    taught=st.none() | SECONDS,
)
def test_a_course_stays_within_budget_and_epochs_and_ends_with_a_look(
    minutes: float, rows: int, step: float, look: float, taught: float | None
) -> None:
    recipe = Recipe(minutes=minutes, layers=None if taught is None else 2)
    course = budgeted(recipe, rows, 64, step, look, taught or 0)

    looks = -(-course.steps // course.look_every)
    spent = course.steps * step + course.distilling * (taught or 0) + looks * look
    # At least one step of each kind and one look are taken, however little the budget.
    assert spent <= minutes * 60 * (1 + 1e-9) or course.steps == 1 or course.distilling == 1 or looks == 1
    assert 1 <= course.steps <= max(1, rows // 64)
    assert 1 <= looks <= 10
    assert (course.distilling > 0) == (taught is not None)


def test_steps_of_the_recipe_hold_whatever_they_take() -> None:
    assert budgeted(Recipe(steps=70, minutes=0.1), 100, 64, 9.0, 9.0, 0) == Course(70, 0, 7)
    assert budgeted(Recipe(steps=5, layers=2), 100, 64, 9.0, 9.0, 9.0) == Course(5, 5, 1)


def test_a_plan_is_read_back_and_holds_for_one_training(tmp_path: Path) -> None:
    plan = Plan("a", Course(24, 0, 3), 64, 4.2, 0.655, 2, "cpu", False)
    file = tmp_path / "plan.json"
    assert Plan.read(file, "a") is None

    plan.write(file)

    assert Plan.read(file, "a") == plan
    with pytest.raises(ModelError, match="a training that was begun with another base"):
        Plan.read(file, "b")


def test_a_history_is_read_back() -> None:
    history = History(2, ((1, 0.5), (2, 0.25)), ((2, 0.7),), None)

    content = {"steps": 2, "losses": [[1, 0.5], [2, 0.25]], "curve": [[2, 0.7]], "seconds": None}
    assert History.from_json(content) == history
