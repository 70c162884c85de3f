"""Whatever changes what a release holds is seen: vectors, titles, indexes, records, by whatever hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from corpus import configure, prose, save

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import refresh
from flows.rollback import rollback
from storage.digests import digests, prove
from storage.errors import InputError
from storage.pinned import Pinned
from storage.tables.releases import Releases
from storage.tables.store import Store
from tasks.build import index as building

INDEX = {"min_rows": 256}
TEXTS = {f"{n:02}.md": prose(f"word{n}", 8) for n in range(20)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two releases, with both indexes."""
    base = tmp_path_factory.mktemp("made")
    config = configure(base, TEXTS, index=INDEX)
    refresh(config)
    save(base / "notes", {"01.md": prose("other", 8), "new.md": prose("new", 4)})
    refresh(config)
    return base


@pytest.fixture
def config(made: Path, tmp_path: Path) -> Config:
    """A copy of it, to be damaged."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return configure(tmp_path, index=INDEX)


def failed(config: Config, *, deep: bool = True, release: int | None = None) -> dict[str, str]:
    return {check.name: check.detail for check in audit(config, deep=deep, release=release).failed}


def rewrite(config: Config, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Put other rows in the place of a table's, and have release and tag name them, as an attacker would."""
    store = Store(config.store.uri)
    release = Releases(store).get()
    rows = change(store.open(name, release.tag).to_table())
    head = store.replace(name, rows.schema, rows.to_batches())
    head.tags.update(release.tag, head.version)
    tables = json.dumps(release.tables | {name: head.version})
    roles = {each: role.to_dict() | {"version": head.version} for each, role in release.roles.items()}
    store.open("releases").update(
        {"tables": f"'{tables}'", "roles": f"'{json.dumps(roles)}'"}, where=f"seq = {release.seq}"
    )


def all_the_first(rows: pa.Table) -> pa.Table:
    """Every row with the vector of the first: of unit norm, finite, and wrong."""
    at = rows.schema.get_field_index("vector")
    return rows.set_column(at, rows.schema.field(at), rows["vector"].take(pa.array(np.zeros(len(rows), int))))


def swapped(rows: pa.Table) -> pa.Table:
    """Two vectors in each other's place: no sum over the column would notice."""
    order = np.arange(len(rows))
    order[[0, len(rows) - 1]] = order[[len(rows) - 1, 0]]
    at = rows.schema.get_field_index("vector")
    return rows.set_column(at, rows.schema.field(at), rows["vector"].take(pa.array(order)))


def poisoned(column: str) -> Callable[[pa.Table], pa.Table]:
    def change(rows: pa.Table) -> pa.Table:
        at = rows.schema.get_field_index(column)
        return rows.set_column(at, rows.schema.field(at), pa.array(["poison"] * len(rows)))

    return change


REWRITES: dict[str, tuple[str, Callable[[pa.Table], pa.Table]]] = {
    "all vectors are the first": ("chunks", all_the_first),
    "two vectors are swapped": ("chunks", swapped),
} | {f"another {name}": ("documents", poisoned(name)) for name in ("title", "metadata", "licence", "revision")}


@pytest.mark.parametrize("kind", REWRITES)
def test_rows_that_were_rewritten_are_told_also_where_release_and_tag_name_them(config: Config, kind: str) -> None:
    table, change = REWRITES[kind]
    rewrite(config, Releases(Store(config.store.uri)).get().chunks if table == "chunks" else table, change)
    assert {"release.record", "release.files"} <= failed(config, deep=False).keys()
    with pytest.raises(InputError, match="release 2 is damaged: its record was changed"):
        Pinned.open(config.store.uri)


def test_a_night_refuses_what_was_rewritten_until_everything_is_made_anew(config: Config) -> None:
    rewrite(config, Releases(Store(config.store.uri)).get().chunks, swapped)
    assert refresh(config).outcome == "refused"
    assert refresh(config, rebuild=True).outcome == "published"
    assert failed(config) == {}


def test_nothing_is_built_upon_a_file_that_was_changed(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of an index would keep a wrong vector, or a wrong word, under a digest of its own."""
    monkeypatch.setattr(building, "merged", lambda parts, new: len(parts))
    store = Store(config.store.uri)
    chunks = store.open(Releases(store).get().chunks)
    file = Path(chunks.uri) / "data" / chunks.get_fragments()[0].data_files()[0].path
    content = bytearray(file.read_bytes())
    content[1_000] ^= 4  # in the vectors, or at least in what is read as whole
    file.write_bytes(content)
    save(tmp_path / "notes", {"02.md": prose("later", 8)})
    result = refresh(config)
    assert result.outcome == "refused"
    assert f"{file.parent.parent.name}/data/{file.name} is changed" in result.message
    assert "tidemark refresh --rebuild" in result.message
    assert failed(config, deep=False) == {}  # nothing that came with the release; the deep audit reads the rest
    assert list(failed(config)) == ["release.files"]
    assert refresh(config, rebuild=True).outcome == "published"
    assert failed(config) == {}


def test_compaction_precision_index_and_rollback_keep_the_proof(config: Config, tmp_path: Path) -> None:
    store = Store(config.store.uri)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "FRAGMENTS", 1)
        save(tmp_path / "notes", {"03.md": prose("third", 8)})
        assert refresh(config).outcome == "published"
    assert len(store.open("documents").get_fragments()) == 1  # chunks wait until their full-text index is merged
    assert failed(config) == {}
    rollback(config, 1)
    assert failed(config) == {}
    for index in ({"precision": "float16"}, {"kind": "int8"}):
        assert refresh(configure(tmp_path, index=INDEX | index)).outcome == "published"
        assert failed(config) == {}
    assert [failed(config, release=seq) for seq in (1, 2, 3)] == [{}, {}, {}]


def test_a_night_digests_what_it_wrote_and_no_more(made: Path) -> None:
    store = Store(made / "store")
    release = Releases(store).get()
    chunks, version = release.chunks, release.tables[release.chunks]
    before = Releases(store).get(1).digests[chunks]
    fresh = prove(store, chunks, version, release.digests[chunks], before)
    assert 0 < fresh.files < len(release.digests[chunks])
    lying = dict.fromkeys(release.digests[chunks], "as known")  # what is known is not read, but for the manifest
    told = digests(store, chunks, version, lying)
    assert [name.split("/")[0] for name, found in told.items() if found != "as known"] == ["_versions"]


def test_a_tag_that_names_another_version_is_an_error_and_no_answer(config: Config) -> None:
    store = Store(config.store.uri)
    release = Releases(store).get()
    store.open(release.chunks).tags.update(release.tag, release.tables[release.chunks] - 1)
    with pytest.raises(InputError, match="release 2 is damaged: its tag names version"):
        Pinned.open(config.store.uri)
    assert "names version" in failed(config, deep=False)["release.pinned"]


def test_an_older_copy_of_the_releases_is_told_and_no_number_is_given_again(config: Config, tmp_path: Path) -> None:
    table = tmp_path / "store" / "releases.lance"
    shutil.copytree(table, tmp_path / "older")
    for night in range(2):
        save(tmp_path / "notes", {f"night{night}.md": prose(f"night{night}", 4)})
        assert refresh(config).outcome == "published"
    shutil.rmtree(table)
    shutil.move(tmp_path / "older", table)
    assert failed(config, deep=False)["release.newest"].startswith("release 3 to 4 was published and is not in")
    assert refresh(config).release == 5
    assert failed(config) == {}


def test_a_release_of_an_older_tidemark_is_audited_as_before_and_says_so(config: Config) -> None:
    store = Store(config.store.uri)
    store.open("releases").update({"digests": "NULL", "seal": "NULL"}, where="seq = 2")
    told = {check.name: check.detail for check in audit(config).checks}
    assert failed(config) == {}
    assert "published by an older Tidemark, which recorded no digests" in told["release.files"]
    assert "which sealed no record" in told["release.record"]
