"""Maintenance: what nothing needs goes, and readers see what they saw."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from corpus import configure, prose, rows, save
from nights import staged

from flows.audit import audit
from flows.config.schema import Config
from flows.hold import hold, unhold
from flows.maintain import maintain
from flows.refresh import refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.pinned import Pinned
from storage.reader import Reader
from storage.tables import housekeeping
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.tables.tags import tags_of
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


def test_a_document_is_gone_from_all_files_once_everything_was_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"secret.md": prose("xyzzycanary"), "torn.md": b"caf\xe9 xyzzycanary, a text that is torn."}
    config = configure(tmp_path, {f"{word}.md": prose(word) for word in ("anchor", "buoy")} | secrets)
    assert refresh(config).counts["quarantined"] == 1
    save(tmp_path / "notes", dict.fromkeys(secrets))
    refresh(config, rebuild=True)
    # A day later.
    monkeypatch.setattr(housekeeping, "_YOUNG", timedelta(0))
    few = publish.ReleasesConfig.model_construct(keep=1, cleanup_after_days=0)
    maintain(config.model_copy(update={"releases": few}))
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path for path in files if b"xyzzycanary" in path.read_bytes()] == []
    assert any(b"buoy" in path.read_bytes() for path in files)
    assert audit(config).ok


def lost(tag: Path) -> None:
    tag.unlink()


def torn(tag: Path) -> None:
    tag.write_bytes(tag.read_bytes()[:30])


def moved(tag: Path) -> None:
    named = json.loads(tag.read_text())
    tag.write_text(json.dumps(named | {"version": 1}))


@pytest.mark.parametrize("harm", [lost, torn, moved])
@pytest.mark.parametrize("table", ["documents", "chunks__*"])
def test_a_tag_that_came_to_harm_is_told_and_set_again(
    config: Config, tmp_path: Path, table: str, harm: Callable[[Path], None]
) -> None:
    before, store = rows(config), Store(config.store.uri)
    [folder] = (tmp_path / "store").glob(f"{table}.lance")
    for tag in (folder / "_refs" / "tags").iterdir():
        harm(tag)
    told = {check.name: check.detail for check in audit(config).failed}
    assert "`tidemark maintain` sets the tag again" in told["release.pinned"]
    with pytest.raises((InputError, OSError, ValueError)):
        Reader.open(config.store.uri)
    result = maintain(config)
    for seq in (1, 2):
        assert f"the tag of release {seq} was set again for {folder.stem}" in result.message
        assert Pinned.open(config.store.uri, seq).release.seq == seq
    assert audit(config, deep=True).failed == []
    assert rows(config) == before
    assert [release.seq for release in Releases(store).retained()] == [2, 1]
    assert refresh(config).outcome == "unchanged"
    assert "set again" not in maintain(config).message


def test_no_tag_is_set_for_a_version_that_is_not_what_was_published(config: Config, tmp_path: Path) -> None:
    for tag in (tmp_path / "store" / "documents.lance" / "_refs" / "tags").iterdir():
        tag.unlink()
    for data in (tmp_path / "store" / "documents.lance" / "data").iterdir():
        data.unlink()
    assert "set again" not in maintain(config).message
    assert not tags_of(Store(config.store.uri).open("documents"))


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
