"""A real server and worker: what is killed ends truthful, people are told once, an alarm starts a retraining."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from inbox import Inbox, webhook
from ports import free_port

from flows.services.processes import find
from flows.services.server import Services, down, status, up
from storage.tables.lease import holder
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TOML = """
[store]
uri = "store"
[encoder]
name = "stub"
[drift]
retrain = true
[[sources]]
name = "lines"
kind = "waiting:Waiting"
path = "lines.txt"
[[notify]]
kind = "webhook"
on = ["failed", "died", "stale", "drift", "refused", "approval", "storage", "held"]
url_env = "TIDEMARK_TEST_HOOK"
"""
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass(frozen=True)
class Place:
    """A folder in which services run."""

    services: Services
    inbox: Inbox

    @property
    def folder(self) -> Path:
        return self.services.folder

    @property
    def store(self) -> Store:
        return Store(self.folder / "store")

    def block(self, *, yes: bool) -> None:
        """Let runs wait in their middle, or go on."""
        file = self.folder / "block"
        file.touch() if yes else file.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Make news for the next night."""
        file = self.folder / "lines.txt"
        file.write_text(file.read_text() + f"{text} rises and falls twice a day.\n")

    def start(self, deployment: str = "refresh/refresh-nightly") -> str:
        """Start a run as somebody on the dashboard does."""
        with self.services.dashboard.client() as client:
            found = client.read_deployment_by_name(deployment)
            return str(client.create_flow_run_from_deployment(found.id).id)

    def runs(self, flow: str) -> list[Any]:
        """The flow runs of a flow that are not only scheduled."""
        with self.services.dashboard.client() as client:
            flows = {each.id for each in client.read_flows() if each.name == flow}
            found = [each for each in client.read_flow_runs() if each.flow_id in flows]
        return [each for each in found if each.state_type != "SCHEDULED"]

    def state(self, run: str) -> tuple[str, str, str]:
        """Type, name and message of the state of a flow run."""
        with self.services.dashboard.client() as client:
            state = client.read_flow_run(run).state
        return state.type.value, state.name, state.message or ""

    def ended(self, run: str, seconds: float = 300) -> tuple[str, str, str]:
        """The state in which a flow run ends."""
        until(lambda: self.state(run)[0] in ENDED, seconds)
        return self.state(run)

    def working(self, run: str) -> int:
        """Wait until a run is in its middle, where it has the lease and its record; gives its process."""
        # The lease comes first, the record a moment later: killed between them, a run did nothing and left no row.
        until(lambda: holder(self.store) in [row["run"] for row in Runs(self.store).all(1)], 300)
        return next(each.process.pid for each in find(self.services.home) if each.flow_run == run)

    def kill(self, role: str) -> None:
        """Kill a service as a machine that runs out of memory does."""
        os.kill(int((self.services.home / f"{role}.pid").read_text()), 9)


def until(true: Callable[[], bool], seconds: float) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("watching")
    shutil.copy(ROOT / "tests" / "waiting.py", folder)
    (folder / "lines.txt").write_text("The tide comes in twice a day.\n")
    (folder / "tidemark.toml").write_text(TOML)
    services = Services(folder, free_port(), ROOT / "deployments" / "prefect.yaml")
    with webhook() as inbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEMARK_TEST_HOOK", inbox.url)
        patch.delenv("TIDEMARK_CONFIG", raising=False)
        try:
            up(services)
            yield Place(services, inbox)
        finally:
            down(services)


def test_automations_are_there_once_however_often_they_are_applied(place: Place) -> None:
    def listed() -> dict[str, str]:
        with place.services.dashboard.client() as client:
            return {str(each.id): each.name for each in client.read_automations()}

    before = listed()
    assert len(set(before.values())) == len(before) == 5
    up(place.services)
    assert listed() == before


def test_a_killed_flow_run_is_told_once_and_the_next_one_finishes(place: Place) -> None:
    place.block(yes=True)
    run = place.start()
    os.kill(place.working(run), 9)
    assert place.ended(run, 120)[0] == "CRASHED"
    assert holder(place.store) is None
    assert Runs(place.store).all()[0]["outcome"] == "interrupted"
    until(lambda: place.inbox.events == ["died"], 60)
    place.block(yes=False)
    assert place.ended(place.start()) == ("COMPLETED", "Completed", "release 1 is published")
    time.sleep(2)
    assert place.inbox.events == ["died"]  # by the server; the run that found it dead tells it to nobody again
    assert place.inbox.messages[0]["url"].startswith(place.services.url)


def test_a_killed_worker_costs_its_runs_nothing(place: Place) -> None:
    place.write("The water at the pier")
    place.block(yes=True)
    run = place.start()
    place.working(run)
    place.kill("worker")
    place.block(yes=False)
    assert place.ended(run) == ("COMPLETED", "Completed", "release 2 is published")
    assert not status(place.services)
    up(place.services)
    assert place.ended(place.start())[2].startswith("nothing changed")
    assert place.inbox.events == ["died"]


def test_a_killed_server_costs_no_release_and_the_dashboard_is_truthful_again(place: Place) -> None:
    place.write("The water at the lock")
    place.block(yes=True)
    run = place.start()
    place.working(run)
    place.kill("server")
    place.block(yes=False)
    until(lambda: Releases(place.store).newest() == 3, 300)
    until(lambda: holder(place.store) is None, 60)
    assert Runs(place.store).all()[0]["outcome"] == "published"
    up(place.services)
    assert place.ended(run)[0] in {"COMPLETED", "CRASHED"}  # as the process could say it by then
    assert place.ended(place.start())[2].startswith("nothing changed")


def test_a_hold_keeps_the_release_through_two_nights(place: Place) -> None:
    before = len(place.inbox.messages)
    tidemark(place, "hold", "the locks are measured anew")
    for name in ("ford", "weir"):
        place.write(f"The water at the {name}")
        kind, called, message = place.ended(place.start())
        assert (kind, called) == ("CANCELLED", "Held")
        assert "the locks are measured anew" in message
        assert Releases(place.store).newest() == 3
    tidemark(place, "unhold")
    assert place.ended(place.start())[2] == "release 4 is published"
    assert place.inbox.events[before:] == ["held", "held"]


def test_an_alarm_starts_a_retraining_with_no_hand(place: Place) -> None:
    emit(place)
    until(lambda: bool(place.runs("retrain")), 60)
    (run,) = place.runs("retrain")
    assert run.parameters["proposed"] is True
    kind, called, message = place.ended(str(run.id))
    assert (kind, called) == ("FAILED", "ModelError"), message  # a stub has nothing to learn
    until(lambda: place.inbox.events[-1] == "failed", 60)  # which no record tells, and so the server does
    assert place.inbox.events.count("failed") == 1
    assert [row["kind"] for row in Runs(place.store).all() if row["kind"] == "retrain"] == []


def tidemark(place: Place, *arguments: str) -> None:
    """Run a command in the folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.cli.app", *arguments]
    subprocess.run(command, cwd=place.folder, env=environment, check=True, capture_output=True, timeout=120)


def emit(place: Place) -> None:
    """Say that something drifted, as a refresh does."""
    program = """if True:
        from pathlib import Path
        from flows.dashboard.api import connected
        assert connected(Path.cwd())
        from flows.dashboard.watching import drifted
        drifted(str(Path.cwd() / "store"), {"run": "r1", "release": 4, "alarms": [{"name": "mean_difference"}]})
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["PYTHONPATH"] = str(ROOT)
    subprocess.run([sys.executable, "-c", program], cwd=place.folder, env=environment, check=True, timeout=120)
