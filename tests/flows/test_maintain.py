"""Maintenance: what nothing needs goes, and readers see what they saw."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from corpus import configure, prose, rows, save
from nights import staged

from flows.config.schema import Config
from flows.hold import hold, unhold
from flows.maintain import maintain
from flows.refresh import refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.volume import volume
from tasks.release import publish


def test_what_nothing_needs_goes_and_readers_see_what_they_saw(config: Config) -> None:
    before = rows(config)
    few = config.model_copy(update={"releases": publish.ReleasesConfig(keep=1)})
    result = maintain(few)
    assert (result.outcome, result.counts["released"], rows(config)) == ("unchanged", 1, before)
    assert result.after is not None
    assert 0 < result.after < (volume(Store(config.store.uri)) or 0)  # its own record came after
    assert (row := Runs(Store(config.store.uri)).get(result.run))["kind"] == "maintain"
    assert (row["base"], row["release"], row["counts"]["released"]) == (2, 2, 1)
    with pytest.raises(InputError, match="no longer kept"):
        rollback(config, 1)


def test_files_of_a_write_that_never_ended_go(config: Config) -> None:
    store = Store(config.store.uri)
    torn = Path(store.path("documents")) / "data" / "torn.lance"
    torn.write_bytes(bytes(4096))
    refresh(config)
    assert torn.exists()
    eager = config.model_copy(update={"releases": config.releases.model_copy(update={"cleanup_after_days": 0})})
    maintain(eager)
    assert not torn.exists()
    assert refresh(config).outcome == "unchanged"


def test_what_a_held_night_embedded_stays_however_long_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    hold(Store(config.store.uri), "wait")
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    held = refresh(config)
    monkeypatch.setattr(Store, "idle", lambda *_: timedelta(days=90))
    maintain(config)
    assert staged(config.store.uri, held.space)
    unhold(Store(config.store.uri))
    maintain(config)
    assert not staged(config.store.uri, held.space)
    assert refresh(config).outcome == "published"


def test_an_object_store_tells_no_bytes() -> None:
    assert volume(Store("s3://bucket/store")) is None
