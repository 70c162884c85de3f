"""Flipped bytes and lost files: readers answer right or not at all, an audit tells, and a rebuild ends whole."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, documents, found, prose, save
from damage import damaged

from flows.audit import audit
from flows.config.schema import Config
from flows.maintain import maintain
from flows.refresh import refresh
from storage.errors import InputError, RecordDamaged, failures, panics
from storage.tables.mend import ailing
from storage.tables.place import manifest_names
from storage.tables.releases import RELEASES, Releases
from storage.tables.store import Store, read

INDEX = {"min_rows": 256}
QUESTIONS = ("word3 of row 2", "night1 of row 1", "fresh2 of row 0")
SEED = int(os.environ.get("TIDEMARK_SEED", random.SystemRandom().randrange(10**6)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three releases with both indexes."""
    base = tmp_path_factory.mktemp("made")
    config = configure(base, {f"{n:02}.md": prose(f"word{n}", 8) for n in range(20)}, index=INDEX)
    for night in range(3):
        changed = {f"{night:02}.md": prose(f"night{night}", 8), f"new{night}.md": prose(f"fresh{night}", 4)}
        save(base / "notes", changed)
        refresh(config)
    return base


def answers(config: Config) -> list[Any]:
    return [[(hit.document, hit.score, hit.text, hit.title) for hit in found(config, text)] for text in QUESTIONS]


def drill(made: Path, place: Path, flips: int, losses: int) -> None:
    """Damage copies one after the other, and hold each against what was answered before."""
    random_, wanted = random.Random(SEED), answers(configure(made, index=INDEX))
    for number in range(flips + losses):
        base = place / f"{number}"
        shutil.copytree(made, base)
        config = configure(base, index=INDEX)
        told = f"seed {SEED}: {damaged(random_, base / 'store', lost=number >= flips)}"
        try:
            right = answers(config) == wanted
        except failures():  # an error is no wrong answer, whichever it is
            right = True
        whole = audit(config, deep=True).ok
        assert right or not whole, f"{told}: a wrong answer, and the deep audit holds"
        if not whole:
            result = refresh(config, rebuild=True)
            assert result.outcome == "published", f"{told}: {result.message}"
            failed = audit(config, deep=True).failed
            assert not failed, f"{told}: {[check.to_dict() for check in failed]}"
            assert answers(config) == wanted, told
        shutil.rmtree(base)


def test_some_damage_is_told_and_mended(made: Path, tmp_path: Path) -> None:
    drill(made, tmp_path, flips=6, losses=2)


@pytest.mark.parametrize(
    ("was", "now"),
    [('"weights": "', '"weights": "x'), ('"table": "chunks', '"table": "chuncs'), ('"table": "', '"tabel": "')],
    ids=["another encoder", "a table that never was", "no table"],
)
def test_a_record_that_says_something_else_is_told_and_stands_in_no_rebuilds_way(
    made: Path, tmp_path: Path, was: str, now: str
) -> None:
    base = tmp_path / "changed"
    shutil.copytree(made, base)
    config = configure(base, index=INDEX)
    store = Store(config.store.uri)
    newest = max(read(store.open("releases"), RELEASES).to_pylist(), key=lambda row: row["seq"])
    assert was in newest["roles"]
    store.upsert("releases", RELEASES, "seq", [newest | {"roles": newest["roles"].replace(was, now)}])
    assert "release.record" in [check.name for check in audit(config, deep=True).failed]
    with pytest.raises(InputError, match="its record was changed"):
        answers(config)
    result = refresh(config, rebuild=True)
    assert result.outcome == "published", result.message
    assert not audit(config, deep=True).failed
    assert len(answers(config)) == len(QUESTIONS)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_three_hundred_flips_and_fifty_losses_are_told_and_mended(made: Path, tmp_path: Path) -> None:
    drill(made, tmp_path, flips=300, losses=50)


@pytest.mark.parametrize(
    ("table", "part"),
    [
        *((table, "data") for table in ("runs", "leases", "format", "releases", "documents")),
        *((table, "_versions") for table in ("releases", "documents")),
        *(pytest.param(table, "_versions", marks=pytest.mark.slow) for table in ("runs", "leases", "format")),
    ],
)
def test_no_damaged_table_makes_every_command_fail(made: Path, tmp_path: Path, table: str, part: str) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    config = configure(tmp_path, index=INDEX)
    for file in (tmp_path / "store" / f"{table}.lance" / part).iterdir():
        file.write_bytes(file.read_bytes()[:20])
    assert not audit(config).ok
    assert refresh(config, rebuild=True).outcome == "published"
    assert audit(config, deep=True).failed == []


def test_a_text_that_is_no_unicode_any_more_is_told_by_the_deep_audit_and_mended(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    config = configure(tmp_path, index=INDEX)
    text = documents(config)["notes/02.md"]["text"].encode()
    holders = [file for file in (tmp_path / "store/documents.lance/data").iterdir() if text in file.read_bytes()]
    for file in holders:
        file.write_bytes(file.read_bytes().replace(text, b"\xff" + text[1:]))
    failed = {check.name: check.detail for check in audit(config, deep=True).failed}
    assert set(failed) == {"release.files", "tables.readable"}
    assert "tidemark rollback" in failed["tables.readable"]
    assert refresh(config, rebuild=True).outcome == "published"
    assert audit(config, deep=True).failed == []


def test_records_that_cannot_be_decoded_are_told_and_mended(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    config = configure(tmp_path, index=INDEX)
    store = Store(config.store.uri)
    packed = {"releases": "roles", "runs": "counts", "drift": "detail", "canaries": "made_with"}
    for table, column in packed.items():
        head = store.open(table).to_table()
        row = next(each for each in reversed(head.to_pylist()) if each[column])
        store.upsert(table, head.schema, head.column_names[0], [row | {column: row[column][:-1]}])
    with pytest.raises(RecordDamaged, match=r"record of release 3 is damaged .*`tidemark maintain`"):
        answers(config)
    told = " ".join(check.detail for check in audit(config).checks if not check.ok)
    assert "canaries: 1 of its 1 records cannot be decoded" in told
    assert set(ailing(store)) == set(packed)
    maintain(config)
    assert ailing(store) == {}
    assert refresh(config).outcome == "published"  # release 3 is lost, which the next one makes good
    assert audit(config, deep=True).failed == []


def test_a_manifest_at_which_lance_gives_up_is_an_error_that_is_told_and_mended(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    config = configure(tmp_path, index=INDEX)
    release = Releases(Store(config.store.uri)).get()
    names = manifest_names(release.tables["documents"])
    [manifest] = [file for file in (tmp_path / "store/documents.lance/_versions").iterdir() if file.name in names]
    manifest.write_bytes(manifest.read_bytes().replace(b"string", b"strinf"))
    with pytest.raises(BaseException, match="Unsupported logical type") as gave_up:
        answers(config)
    assert isinstance(gave_up.value, panics())
    assert not audit(config).ok
    result = refresh(config, rebuild=True)
    assert (result.outcome, "documents: what could not be read was set aside" in result.message) == ("published", True)
    assert audit(config, deep=True).failed == []
    assert [seq.seq for seq in Releases(Store(config.store.uri)).retained()] == [4, 2, 1]
