"""On a real server: a scheduled night drifts, which starts a retraining with no hand; one is promoted, one refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import lessons
import pytest
from inbox import Inbox, webhook
from ports import free_port

from flows.services.server import Services, down, up
from storage.tables.drift import Drift
from storage.tables.models import Models
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TOML = """
[store]
uri = "store"
[encoder]
name = "tiny"
threads = 1
[chunker]
min_tokens = 4
max_tokens = 60
[index]
text = false
[learning]
steps = 30
learning_rate = 1e-2
batch = 32
patience = 10
[quality]
max_latency = 50
min_gain = {least}
[drift]
retrain = true
retrain_days = 0
least = 4
least_nights = 3
nights = 6
cool_down = 0
[[sources]]
name = "docs"
kind = "jsonl"
path = "docs.jsonl"
columns = {{ id = "id", text = "text" }}
[[evaluation]]
name = "own"
path = "judged"
source = "docs"
[[notify]]
kind = "webhook"
on = ["failed", "drift", "refused"]
url_env = "TIDEMARK_TEST_HOOK"
"""
SHIFTS = (
    "The committee adopted the amended budget after a long debate about taxes number {n}.",
    "Preheat the oven, whisk two eggs with sugar and bake the cake for {n} minutes until golden.",
)
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Place:
    """A folder with a served index, whose nights come every other minute."""

    services: Services
    inbox: Inbox
    random: Random
    common: list[str]
    rare: list[str]

    @property
    def folder(self) -> Path:
        return self.services.folder

    @property
    def store(self) -> Store:
        return Store(self.folder / "store")

    def set(self, least: float) -> None:
        """Ask for so much of a challenger."""
        (self.folder / "tidemark.toml").write_text(TOML.format(least=least))

    def usual(self, night: str, count: int = 24) -> None:
        """Documents as they always come."""
        words = [self.random.sample(self.rare, 4) + self.random.sample(self.common, 4) for _ in range(count)]
        self.add(night, [" ".join(self.random.sample(each, 8)) for each in words])

    def add(self, night: str, texts: list[str]) -> None:
        """Let documents arrive, all at once."""
        file = self.folder / "docs.jsonl"
        lines = [json.dumps({"id": f"{night}-{at}", "text": text}) for at, text in enumerate(texts)]
        fresh = self.folder / "docs.new"
        fresh.write_text(file.read_text() + "".join(f"{line}\n" for line in lines))
        fresh.replace(file)

    def command(self, *arguments: str) -> None:
        """Run a command in the folder."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "flows.cli.app", *arguments]
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True, timeout=300)

    def retrainings(self) -> list[Any]:
        """The flow runs of retrainings that have begun, the oldest first."""
        with self.services.dashboard.client() as client:
            flows = {each.id for each in client.read_flows() if each.name == "retrain"}
            found = [each for each in client.read_flow_runs() if each.flow_id in flows]
        begun = [each for each in found if each.state_type.value not in {"SCHEDULED", "PENDING"}]
        return sorted(begun, key=lambda each: each.start_time)

    def retrained(self, number: int) -> tuple[str, str, str]:
        """Type, name and message of the state in which the retraining of that number ends."""
        until(lambda: len(self.retrainings()) >= number, 400)
        until(lambda: self.retrainings()[number - 1].state_type.value in ENDED, 900)
        state = self.retrainings()[number - 1].state
        return state.type.value, state.name, state.message or ""

    def published(self, documents: str) -> int:
        """Wait until a night of the schedule has published what arrived; gives its release."""

        def there() -> bool:
            release = Releases(self.store).get()
            table = self.store.open("documents", release.tables["documents"])
            return bool(table.count_rows(f"id LIKE '{documents}-%'"))

        until(there, 500)
        return Releases(self.store).get().seq


def until(true: Callable[[], bool], seconds: float) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(1)


@pytest.fixture
def place(tiny_model: Path, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "loop"
    folder.mkdir()
    common = lessons.fill(folder, tiny_model, 140)
    vocabulary = json.loads((tiny_model / "tokenizer.json").read_text())["model"]["vocab"]
    rare = sorted({word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 4} - set(common))
    described = (ROOT / "deployments" / "prefect.yaml").read_text()
    assert described.count('cron: "0 2 * * *"') == 1
    shutil.copytree(ROOT / "deployments", folder / "deployments")
    (folder / "deployments" / "prefect.yaml").write_text(described.replace('"0 2 * * *"', '"*/2 * * * *"'))
    services = Services(folder, free_port(), folder / "deployments" / "prefect.yaml")
    with webhook() as inbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEMARK_TEST_HOOK", inbox.url)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.delenv("TIDEMARK_CONFIG", raising=False)
        place = Place(services, inbox, Random(2), common, rare)
        place.set(0.01)
        for night in range(5):
            place.usual(f"usual{night}")
            place.command("refresh")
        try:
            up(services)
            yield place
        finally:
            down(services)


def alarms(place: Place) -> list[dict[str, Any]]:
    """Figures that alarmed, of all nights."""
    return [row for row in Drift(place.store).all() if row["alarm"]]


def kinds(place: Place) -> list[tuple[str, str, str]]:
    """What the retrainings of the store were started by, and came to, the oldest first."""
    rows = reversed(Runs(place.store).all())
    return [(row["kind"], row["trigger"], row["outcome"]) for row in rows if row["kind"] == "retrain"]


def test_drift_leads_to_a_better_encoder_and_its_gate_refuses_another(place: Place) -> None:
    before = Releases(place.store).get()
    assert (before.seq, alarms(place)) == (5, [])
    place.add("budget", [SHIFTS[0].format(n=n) for n in range(60)])
    shifted = place.published("budget")
    assert alarms(place), "the shift does not alarm"
    kind, name, message = place.retrained(1)
    assert (kind, name) == ("COMPLETED", "Completed"), message
    promoted = Releases(place.store).get()
    assert promoted.space != before.space
    assert promoted.seq > shifted
    record = Models(place.store).find(promoted.space)
    assert record is not None
    assert (record.parent, record.metrics["verdict"]) == (before.space, "passed")
    assert kinds(place) == [("retrain", "drift", "published")]
    assert place.inbox.events.count("drift") == 1

    told = len(alarms(place))
    place.usual("after")
    quiet = place.published("after")
    assert quiet > promoted.seq
    assert Releases(place.store).get().space == promoted.space
    assert len(alarms(place)) == told, alarms(place)[:3]
    assert len(place.retrainings()) == 1

    place.set(0.9)  # more than any encoder gains
    place.add("cake", [SHIFTS[1].format(n=n) for n in range(60)])
    place.published("cake")
    assert len(alarms(place)) > told, "the second shift does not alarm"
    kind, name, message = place.retrained(2)
    assert (kind, name) == ("FAILED", "Refused"), message
    assert "at least +0.900 is asked" in message
    assert Releases(place.store).get().space == promoted.space
    assert kinds(place) == [("retrain", "drift", "published"), ("retrain", "drift", "refused")]
    until(lambda: place.inbox.events.count("refused") == 1, 60)
