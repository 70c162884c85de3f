"""The audit on demand: of any kept release, down to the sources, with a way to repair what it finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from corpus import Scripted, configure, prose, rows, save

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.release.audit import BACK

CHANGED = {"release.record", "release.files"}  # beside what the rows say: record and files are not what was published


def damage(config: Config, table: str, where: str) -> None:
    """Delete rows and make the release pin what is left, as if it had been published like that."""
    store = Store(config.store.uri)
    release = Releases(store).get()
    dataset = store.open(table)
    dataset.delete(where)
    dataset.tags.update(release.tag, dataset.version)
    tables = json.dumps(release.tables | {table: dataset.version})
    store.open("releases").update({"tables": f"'{tables}'"}, where=f"seq = {release.seq}")


def failed(config: Config, *, deep: bool = False, release: int | None = None) -> dict[str, str]:
    result = audit(config, deep=deep, release=release)
    assert result.ok == (not result.failed)
    return {check.name: check.detail for check in result.failed}


def test_a_sound_release_passes_every_check_and_the_audit_is_recorded(config: Config) -> None:
    result = audit(config, deep=True)
    assert [check.name for check in result.checks] == [
        "tables.present",
        "documents.unique",
        "documents.duplicates",
        "documents.content",
        "chunks.unique",
        "chunks.conserved",
        "chunks.spans",
        "run.documents",
        "run.chunks",
        "vectors.sound",
        "encoder.kept",
        "text.coverage",
        "store.tables",
        "release.newest",
        "release.record",
        "release.pinned",
        "release.files",
        "deep.texts",
        "deep.encoder",
        "deep.sources",
    ]
    assert result.ok
    row = Runs(Store(config.store.uri)).all()[0]
    assert (row["kind"], row["outcome"], row["base"], row["message"]) == ("audit", "passed", 2, "20 checks hold")


def test_an_older_release_is_audited_by_number(config: Config) -> None:
    damage(config, Releases(Store(config.store.uri)).get().chunks, "document = 'a.md' AND ordinal = 0")
    assert failed(config, deep=True, release=1) == {}
    assert set(failed(config)) == {"chunks.conserved", "chunks.spans", "run.chunks", *CHANGED}
    with pytest.raises(InputError, match="there is no release 3"):
        audit(config, release=3)


def test_what_the_audit_advises_repairs_a_damaged_release(config: Config) -> None:
    damage(config, "documents", "id = 'a.md'")
    found = failed(config)
    assert set(found) == {"chunks.conserved", "run.documents", *CHANGED}
    for detail in found.values():
        assert detail.endswith(BACK)
    row = Runs(Store(config.store.uri)).all()[0]
    assert (row["outcome"], row["message"].split(":")[0]) == ("failed", "chunks.conserved")
    rollback(config)
    refresh(config)
    assert failed(config, deep=True) == {}
    assert {row["document"] for row in rows(config)} == {"a.md", "b.md"}


def test_a_lost_tag_is_found(config: Config) -> None:
    store = Store(config.store.uri)
    store.open("documents").tags.delete(Releases(store).get().tag)
    [(name, detail)] = failed(config).items()
    assert (name, "is gone: clean-up may remove its files" in detail) == ("release.pinned", True)


def test_a_lost_encoder_is_found(config: Config, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store" / "models")
    [(name, detail)] = failed(config).items()
    assert (name, "restore the folder, or `tidemark refresh --rebuild`" in detail) == ("encoder.kept", True)


def test_a_changed_file_of_the_encoder_is_found_by_a_deep_audit(config: Config, tmp_path: Path) -> None:
    space = Releases(Store(config.store.uri)).get().space
    (tmp_path / "store" / "models" / space / "tidemark_stub.json").write_text("{}")
    assert failed(config) == {}
    assert failed(config, deep=True) == {"deep.encoder": f"models/{space}/tidemark_stub.json is changed"}


@pytest.mark.parametrize("deep", [False, True])
def test_a_lost_table_is_found(config: Config, tmp_path: Path, deep: bool) -> None:
    shutil.rmtree(tmp_path / "store" / "documents.lance")
    found = failed(config, deep=deep)
    assert "there is no table 'documents'" in found["tables.present"]


def test_a_lost_file_of_a_table_is_found(config: Config, tmp_path: Path) -> None:
    for file in (tmp_path / "store" / "documents.lance" / "data").iterdir():
        file.unlink()
    assert list(failed(config)) == ["tables.readable", "release.files"]


def test_an_edit_that_its_revision_hides_is_found_by_a_deep_audit(tmp_path: Path) -> None:
    items = [{"id": name, "text": prose(name)} for name in ("a", "b", "c")]
    Scripted.write(tmp_path / "script.json", items)
    config = configure(tmp_path, sources=[Scripted.config()])
    refresh(config)
    items[1]["text"] = prose("other")
    Scripted.write(tmp_path / "script.json", items)
    assert refresh(config).outcome == "unchanged"
    assert failed(config) == {}
    detail = "1 document changed without a new revision; touch them and run `tidemark refresh`"
    assert failed(config, deep=True) == {"deep.sources": detail}


def test_a_file_that_changed_since_is_no_damage(config: Config, tmp_path: Path) -> None:
    save(tmp_path / "notes", {"a.md": "Edited.", "b.md": None, "d.md": "New."})
    assert failed(config, deep=True) == {}


def test_nothing_published_cannot_be_audited(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is published yet"):
        audit(configure(tmp_path))
