"""A stage outside of Prefect; inside a flow run it is tried in tests/flows/test_artifacts.py, with the one harness."""

import logging
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.stage import stage

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kept:
    kept: int
    counts: dict[str, int] = field(default_factory=dict)


class Stopped(ValueError):
    pass


@stage
def keep(run_context: object, kept: int, *, twice: bool = False) -> Kept:
    """Keep so many."""
    if kept < 0:
        raise Stopped(f"kept is {kept}")
    return Kept(kept * 2 if twice else kept, {"documents": 1234, "kept": kept})


@stage
def pass_on(run_context: object, what: object) -> object:
    return what


def plain(what: int) -> int:
    return what


def test_a_stage_outside_a_flow_run_is_the_plain_function() -> None:
    assert keep(None, 3, twice=True) == Kept(6, {"documents": 1234, "kept": 3})
    assert keep.__name__ == "keep"
    assert keep.__doc__ == "Keep so many."
    thing = object()
    assert pass_on(None, thing) is thing


def test_a_stage_raises_the_very_error_of_its_function() -> None:
    with pytest.raises(Stopped, match=r"^kept is -1$"):
        keep(None, -1)


def test_a_stage_logs_one_line_of_its_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=__name__):
        keep(None, 3)
        pass_on(None, None)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("keep: documents 1,234, kept 3; 0.")
    assert lines[1].startswith("pass_on: 0.")


def test_a_stage_outside_a_flow_run_does_not_import_prefect() -> None:
    program = """
        import sys
        from tasks.stage import stage

        @stage
        def one(run_context: object) -> int:
            return 1

        assert one(None) == 1
        assert "prefect" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=True, env=dict(os.environ))


def test_a_stage_may_have_another_name_than_its_function(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=__name__):
        assert stage(plain, "measured")(3) == 3
    [record] = caplog.records
    assert record.getMessage().startswith("measured: 0.")
