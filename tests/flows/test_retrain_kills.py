"""A retraining killed with -9 at any moment goes on where it was, and ends as one that nothing befell."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lessons
import pytest
from nights import State, current, staged, state
from trainings import Schools

from flows.audit import audit
from storage.tables.models import Models
from storage.tables.runs import Runs
from storage.tables.store import Store

SECTIONS: dict[str, Any] = {"learning": {"steps": 24}}
HARDENED: dict[str, Any] = {"learning": {"steps": 6, "negatives": 2, "batch": 8}}
CROSSED: dict[str, Any] = {
    "learning": {"steps": 24, "rerankers": ["cross"], "cross_steps": 12},
    "quality": {"max_latency": 20, "max_rerank_ms": 60_000},
}
DONE = "before commit execute leases 2"  # the run is recorded, and all is tidy
# In the order in which a retraining comes to them, each of which is the first of its kind also in a resumed one.
BEFORE_HOLD = (
    *("after commit insert pairs 1", "after commit create pairs 1", "after stage lay_out 1"),
    *("step 3", "step 11", "step 20", "before stage export 1", "before stage average 1", "after stage average 1"),
    *("before stage choose 1", "after commit insert vectors 1", "after stage embed_beside 1"),
)
HELD = (
    *("after commit execute leases 1", "after commit execute models 1", "after commit insert chunks 1"),
    *("after stage trial 1", "after commit execute evaluations 1", "after stage register 2"),
    "after commit create documents 1",
)
AFTER = (
    *("after commit execute releases 1", "after stage publish_built 1", "before stage clear_trainings 2"),
    DONE,
)


@dataclass(frozen=True)
class Course:
    """A retraining that nothing befell.

    Attributes:
        school: Forks a process for each run.
        folder: The store as it was before, and all cases.
        told: What it came to.
        old: What release 1 holds.
        new: What release 2 holds.
    """

    school: Schools
    folder: Path
    told: dict[str, Any]
    old: State
    new: State

    def case(self, name: str, of: str = "base") -> Path:
        """A copy of a store."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return Path(shutil.copytree(self.folder / of, self.folder / name, symlinks=True))

    def run(
        self, base: Path, at: int | str | None = None, sections: dict[str, Any] = SECTIONS
    ) -> dict[str, Any] | None:
        """Retrain; None where it was killed."""
        found: dict[str, Any] | None = self.school.do("retrained", base, sections, at)
        return found


@pytest.fixture(scope="module")
def course(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    folder = tmp_path_factory.mktemp("course")
    (folder / "base").mkdir()
    lessons.fill(folder / "base", tiny_model, 140)
    with Schools(lessons.__file__) as school:
        assert school.do("refreshed", folder / "base", SECTIONS) == ["published", 1, 140]
        old = held(folder / "base")
        course = Course(school, folder, {}, old, State())
        whole = course.case("whole")
        told = course.run(whole)
        assert told is not None
        assert (told["outcome"], told["release"]) == ("published", 2), told["message"]
        yield Course(school, folder, told, old, held(whole))


def held(base: Path) -> State:
    release = current(base / "store")
    assert release is not None
    return state(base / "store", release)


def outcomes(base: Path) -> list[str]:
    """Outcomes of the retrainings, the oldest first."""
    return [row["outcome"] for row in reversed(Runs(Store(base / "store")).all()) if row["kind"] == "retrain"]


def unpublished(course: Course, base: Path, moment: str) -> None:
    """Readers have the old release, whole, and nothing claims to run that is dead."""
    release = current(base / "store")
    assert release is not None
    assert release.seq == 1, moment
    assert held(base) == course.old, moment


def finished(course: Course, base: Path) -> None:
    """The release is the one of the retraining that nothing befell, and nothing is left of the way to it."""
    release = current(base / "store")
    assert release is not None
    assert (release.seq, release.space) == (2, course.told["space"])
    assert held(base) == course.new
    record = Models(Store(base / "store")).find(release.space)
    assert record is not None
    assert record.metrics["verdict"] == "passed"
    assert audit(lessons.configured(base, **SECTIONS), deep=True).failed == []
    assert staged(base / "store", release.space) == []


def tidy(base: Path) -> None:
    """No work folder is left, and no training."""
    assert [name for name in (".work", "training") if (base / "store" / name).exists()] == []
    assert len(list((base / "store" / "models").iterdir())) == 2


def night(course: Course, base: Path) -> None:
    """The night after it finds nothing to do, and embeds nothing."""
    assert course.school.do("refreshed", base, SECTIONS) == ["unchanged", 2, 0]


def test_a_retraining_that_is_killed_again_and_again_ends_as_one_that_is_not(course: Course) -> None:
    base = course.case("chain")
    for moment in (*BEFORE_HOLD, *HELD):
        assert course.run(base, moment) is None, f"it did not come to: {moment}"
        unpublished(course, base, moment)
        left = list((base / "store" / ".work").glob("stage-*"))
        assert len(left) <= 1, moment  # what the killed run before it left is gone
    assert outcomes(base) == ["interrupted"] * (len(HELD) - 1)  # the first died before it was recorded
    shutil.copytree(base, course.folder / "ready", symlinks=True)
    told = course.run(base)
    assert told is not None
    assert {name: told[name] for name in ("outcome", "release", "weights", "space")} == {
        name: course.told[name] for name in ("outcome", "release", "weights", "space")
    }
    assert [moment for moment in told["moments"] if moment.startswith("step ")] == []  # a training is done once
    finished(course, base)
    tidy(base)
    assert outcomes(base) == ["interrupted"] * (len(HELD) - 1) + ["published"]
    night(course, base)


@pytest.mark.parametrize("moment", AFTER)
def test_once_published_a_killed_retraining_is_one_that_was_done(course: Course, moment: str) -> None:
    ready = course.folder / "ready"
    base = course.case("after", "ready" if ready.is_dir() else "base")
    assert course.run(base, moment) is None
    release = current(base / "store")
    assert release is not None
    assert (release.seq, release.space) == (2, course.told["space"])
    assert held(base) == course.new
    night(course, base)
    assert outcomes(base)[-1] == ("published" if moment == DONE else "interrupted")
    assert (moment == DONE) == (not any(base.glob("store/training/*")))


def test_a_retraining_that_is_killed_while_it_mines_learns_from_the_same_negatives(course: Course) -> None:
    whole, torn = course.case("hardened"), course.case("torn")
    told = course.run(whole, sections=HARDENED)
    assert told is not None
    moments = ("before stage harden 1", "before stage mine 1", "after stage mine 1", "after stage harden 1", "step 2")
    for moment in moments:
        assert moment in told["moments"]
        assert course.run(torn, moment, HARDENED) is None, f"it did not come to: {moment}"
        unpublished(course, torn, moment)
    again = course.run(torn, sections=HARDENED)
    assert again is not None
    same = ("outcome", "release", "weights", "space")
    assert {name: again[name] for name in same} == {name: told[name] for name in same}
    assert again["weights"] != course.told["weights"]


@pytest.mark.slow
def test_a_retraining_that_is_killed_while_it_trains_a_reranker_goes_on_there(course: Course) -> None:
    whole, torn = course.case("crossed"), course.case("torn")
    told = course.run(whole, sections=CROSSED)
    assert told is not None and told["cross"]["steps"] == 12
    assert [kind for kind, *_ in told["rerankers"]] == ["cross-encoder trained here"]
    moments = (
        *("before stage train_on_pairs 1", "cross step 2", "cross step 5", "cross step 8", "cross step 11"),
        *("after stage train_on_pairs 1", "before stage rerank 1", "after stage rerank 1"),
    )
    for moment in moments:
        assert course.run(torn, moment, CROSSED) is None, f"it did not come to: {moment}"
        unpublished(course, torn, moment)
    again = course.run(torn, sections=CROSSED)
    assert again is not None
    assert [step for step in again["moments"] if "step " in step] == []  # both trainings are done once
    assert {name: again[name] for name in ("outcome", "release", "weights", "space")} == {
        name: told[name] for name in ("outcome", "release", "weights", "space")
    }
    # Beside the time of a step, which the clock says, the same: weights, steps and losses.
    assert {**again["cross"], "step_seconds": 0} == {**told["cross"], "step_seconds": 0}
    assert not (torn / "store" / "training").exists()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_retraining_can_be_killed_at_any_moment(course: Course) -> None:
    published = course.told["moments"].index("after commit execute releases 1")
    for at in range(0, len(course.told["moments"]), 3):
        base, moment = course.case("at"), course.told["moments"][at]
        assert course.run(base, at) is None
        if at < published:
            unpublished(course, base, moment)
            told = course.run(base)
            assert told is not None
            assert (told["outcome"], told["weights"]) == ("published", course.told["weights"]), moment
            finished(course, base)
            tidy(base)
        night(course, base)
