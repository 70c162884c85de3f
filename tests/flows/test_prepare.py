"""The stages that only read, timed."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import configure, context, encoder, prose

from flows.clock import Clock
from flows.prepare import prepare
from tasks.curate.validation import load_suite
from tasks.progress import Silent


class Heard(Silent):
    """Remembers which stages began."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)


def test_a_clock_times_stages_also_those_that_fail() -> None:
    clock = Clock(Silent())
    with clock.stage("scan"):
        pass
    with pytest.raises(KeyError), clock.stage("plan"):
        raise KeyError
    total = clock.total()
    assert list(total) == ["scan", "plan", "total"]
    assert all(seconds >= 0 for seconds in total.values())


def test_stages_run_in_order_and_write_nothing_to_the_store(tmp_path: Path) -> None:
    heard = Heard()
    config = configure(tmp_path, {"a.md": prose("anchor")})
    with context(config) as shared:
        done = prepare(shared, encoder(config), load_suite(config.validation), config, Clock(heard))
        assert [path.name for path in (tmp_path / "store").iterdir()] == [".work"]
    assert heard.stages == ["scan", "plan", "read", "validate", "deduplicate", "chunk"]
    assert done.pending.contents == done.changes.upserts.rows > 0
