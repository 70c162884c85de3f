"""The table of flows: a row is all that the command line and the dashboard need."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import TOML, invoke, tidemark

from flows.cli.app import app
from flows.cli.run import add_flow
from flows.table import FLOWS, FlowRow, Option, Parameter, resolve, shown
from storage.tables.runs import Runs
from storage.tables.store import Store

FLOW = '''
"""Count what a store holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from flows.config.schema import Config
from flows.run import recorded
from flows.table import Option
from storage.outcome import Outcome
from storage.tables.store import Store


@dataclass(frozen=True)
class Sum:
    outcome: Outcome
    message: str
    total: int


def count(
    config: Config, *, times: Annotated[int, Option(metavar="N")] = 1, cross: bool = False, trigger: str = "manual"
) -> Sum:
    """Count the tables.

    Args:
        config: The configuration.
        times: How often,
            and over again.
        cross: Count crossly.
        trigger: Who started it.
    """
    if cross:
        raise KeyError("a bug of the flow")
    with recorded(Store(config.store.uri), "count", config=config, trigger=trigger, lease=True) as run:
        total = times * len(Store(config.store.uri).tables())
        run.conclude(Outcome.UNCHANGED, f"{total} tables")
    return Sum(run.outcome, run.message, total)


def count_view(result: Sum) -> str:
    return f"counted {result.total}"
'''
ROW = FlowRow("counting:count", "counting:count_view", "Count the tables.")


@pytest.fixture
def sixth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One flow more: its file, its row, its view."""
    (tmp_path / "counting.py").write_text(FLOW)
    (tmp_path / "tidemark.toml").write_text(TOML)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FLOWS, "count", ROW)
    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    add_flow(app, "count", ROW)
    yield tmp_path
    sys.modules.pop("counting", None)


def runs(folder: Path) -> list[tuple[Any, ...]]:
    rows = Runs(Store(folder / "store")).all()
    return [(row["kind"], row["outcome"], row["trigger"], row["message"]) for row in rows]


@pytest.mark.parametrize("name", FLOWS)
def test_every_row_names_what_is_there(name: str) -> None:
    row = FLOWS[name]
    function = resolve(row.function)
    assert callable(resolve(row.view))
    assert next(iter(row.signature.parameters)) == "config"
    assert (inspect.getdoc(function) or "").splitlines()[0] == row.help  # it is told before the flow is imported
    assert row.takes("trigger") == row.recorded
    for parameter in row.parameters():
        assert parameter.help, parameter.name
        assert parameter.default is not inspect.Parameter.empty


def test_the_parameters_of_a_row_are_those_of_its_function() -> None:
    assert list(FLOWS["audit"].parameters()) == [
        Parameter(
            "deep", bool, False, "Read every file of the release, and hash every document of the sources too.", Option()
        ),
        Parameter("release", int | None, None, "Another than the current one.", Option(metavar="N")),
    ]


def test_a_result_that_is_no_dataclass_is_a_bug() -> None:
    with pytest.raises(TypeError, match="not int"):
        shown(3)


def test_a_sixth_flow_is_a_command(sixth: Path) -> None:
    listed = invoke("--help")
    assert "Count the tables." in listed.stdout
    helped = invoke("count", "--help").stdout
    assert all(words in helped for words in ("--times", "How often, and over again.", "--cross", "--json"))
    found = json.loads(tidemark(sixth, "count", "--times", "3", "--json").stdout)
    assert found == {"outcome": "unchanged", "message": "9 tables", "total": 9}
    assert tidemark(sixth, "count").stdout == "counted 3\n"
    assert runs(sixth) == [("count", "unchanged", "manual", "3 tables"), ("count", "unchanged", "manual", "9 tables")]
    assert tidemark(sixth, "count", "--times", "many").exit_code == 2


def test_a_bug_of_a_sixth_flow_is_told_with_its_type(sixth: Path) -> None:
    broken = tidemark(sixth, "count", "--cross", "--json")
    assert (broken.exit_code, json.loads(broken.stdout)["outcome"]) == (1, "failed")
    assert "KeyError: 'a bug of the flow'" in broken.stderr


def test_the_list_of_commands_imports_no_flow(sixth: Path) -> None:
    invoke("--help")
    assert "counting" not in sys.modules


@pytest.mark.usefixtures("prefect")
def test_a_sixth_flow_is_a_flow_of_the_dashboard(sixth: Path) -> None:
    from prefect.flows import load_flow_from_entrypoint

    from flows.dashboard.deployed import call, deployed

    loaded: Any = load_flow_from_entrypoint("flows.dashboard.deployed.count")
    asked = loaded.parameters.model_dump()["properties"]
    assert list(asked) == ["config", "times", "cross"]
    assert (asked["times"]["type"], asked["times"]["description"]) == ("integer", "How often, and over again.")
    state = loaded(config=str(sixth / "tidemark.toml"), times=2, return_state=True)
    assert (state.type.value, state.message) == ("COMPLETED", "6 tables")
    assert call(deployed("count"), config=str(sixth / "tidemark.toml")).total == 3
    assert [outcome for _, outcome, _, _ in runs(sixth)] == ["unchanged", "unchanged"]
    deployed.cache_clear()
