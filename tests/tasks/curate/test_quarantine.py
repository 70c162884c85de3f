"""What is refused stays whatever the run ends with; what goes stale is told once the gate let it through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpus import Scripted, configure, context, held, item, prepared, script

from flows.config.schema import Config
from flows.refresh import refresh
from storage.tables.quarantine import Quarantine
from storage.tables.store import Store
from tasks.curate.quarantine import quarantine, settle
from tasks.tally import Preparation

TORN = item("#6", "", problem="line 6: not valid JSON", revision="torn")


def night(config: Config, through: bool) -> Preparation:
    """A night up to the gate, and a step beyond it where it lets the run through."""
    with context(config) as shared:
        done = prepared(shared, config)
        quarantine(shared, done.plan, done.validated)
        if through:
            settle(shared, done.reading, done.plan, done.validated, done.deduplicated)
    return done


def since(config: Config) -> dict[str, Any]:
    """Documents in quarantine, and since when they are stale."""
    return {row["document"]: row["stale_since"] for row in Quarantine(Store(config.store.uri)).all()}


def test_what_goes_stale_is_written_only_when_the_gate_let_it_through(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"), item("b"), item("c"))
    refresh(config)
    Scripted.write(tmp_path / "script.json", [item("a", "", revision="r2"), item("b"), TORN])
    assert night(config, through=False).deduplicated.newly_stale["id"].sort().to_list() == ["a", "c"]
    assert since(config) == {"#6": None, "a": None, "c": None}
    # The torn line is no new one to the next night: that `c` is here with it keeps `c` from being deleted then.
    assert night(config, through=True).deduplicated.newly_stale["id"].sort().to_list() == ["a", "c"]
    told = since(config)
    assert (told.pop("#6"), None in told.values(), told.keys()) == (None, False, {"a", "c"})
    assert night(config, through=True).deduplicated.newly_stale.is_empty()
    assert {name: when for name, when in since(config).items() if when} == told


def test_what_was_mended_or_is_gone_is_released_and_what_vanished_stays(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"), item("b"), item("c"))
    refresh(config)
    Scripted.write(tmp_path / "script.json", [item(name, "", revision="r2") for name in "abc"])
    night(config, through=True)
    listed = [item("a"), item("c", revision="r3")]
    Scripted.write(tmp_path / "script.json", listed, [listed[:1]])
    before = since(config)
    night(config, through=True)
    assert since(config) == {"c": before["c"]}  # listed, and gone when it was to be read: nothing new is known of it


def test_rows_of_before_staleness_was_known_are_told_with_the_night_they_were_first_seen(tmp_path: Path) -> None:
    config = script(tmp_path, item("a"), item("b"))
    refresh(config)
    Scripted.write(tmp_path / "script.json", [item("a", "", revision="r2"), item("b")])
    night(config, through=True)
    store = Store(config.store.uri)
    [row] = Quarantine(store).all()
    table = store.open("quarantine")
    store.upsert("quarantine", table.schema, "key", [row | {"defect": None, "stale_since": None}])
    assert night(config, through=True).deduplicated.newly_stale.is_empty()
    assert since(config) == {"a": row["first_seen"]}
    assert held(config) == [("a", "content-present", 1)]


def test_a_quiet_night_writes_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": "The tide.", "b.md": ""})
    refresh(config)
    version = Store(config.store.uri).open("quarantine").version
    night(config, through=True)
    assert Store(config.store.uri).open("quarantine").version == version
