"""A rebuild takes nothing over: it mends a store whose tables are damaged, and is guarded like any other night."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus import configure, counted, documents, found, prose, rows, save

from flows.audit import audit
from flows.config.schema import Config
from flows.plan import plan
from flows.refresh import refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.reader import Reader
from storage.tables.releases import Releases
from storage.tables.store import Store
from tasks.verdict import Refused


def lose(*patterns: str) -> Callable[[Path], None]:
    """Delete files of a store."""

    def delete(store: Path) -> None:
        for pattern in patterns:
            files = list(store.glob(pattern))
            assert files
            for file in files:
                shutil.rmtree(file) if file.is_dir() else file.unlink()

    return delete


def spoil(store: Path) -> None:
    """Overwrite a file of the encoder."""
    next((store / "models").glob("*/tidemark_stub.json")).write_text("{}")


@pytest.mark.parametrize(
    "damage",
    [
        lose("documents.lance/data/*"),
        lose("chunks__*.lance/data/*"),
        lose("chunks__*.lance/data/*", "documents.lance/data/*"),
        lose("documents.lance"),
        lose("chunks__*.lance"),
        lose("models"),
        spoil,
    ],
)
def test_a_damaged_store_is_made_anew(config: Config, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    sound = [(row["id"], row["text"], row["vector"]) for row in rows(config)]
    before = found(config, "row of the buoy", 9)
    damage(tmp_path / "store")
    assert not audit(config, deep=True).ok
    forecast = plan(config, rebuild=True)
    assert (forecast.causes["rebuild"], forecast.counts["embedded"]) == (2, len(sound))
    result = refresh(config, rebuild=True)
    assert (result.outcome, result.release, counted(result)) == ("published", 3, {"added": 2})
    assert result.counts["embedded"] == result.counts["chunks"] == len(sound)
    assert [(row["id"], row["text"], row["vector"]) for row in rows(config)] == sound
    assert found(config, "row of the buoy", 9) == before
    assert audit(config, deep=True).failed == []
    assert refresh(config).outcome == "unchanged"


def put_back(store: Path) -> None:
    """Put the chunk table of release 1 back."""
    [table] = store.glob("chunks__*.lance")
    keep = Store(store).open(table.stem, Releases(Store(store)).get(1).tag)
    rows, tags = keep.to_table(), {name: facts["version"] for name, facts in keep.tags.list().items()}
    shutil.rmtree(table)
    made = Store(store).append(table.stem, keep.schema, rows.to_batches())
    made.tags.create(next(name for name in tags if name.startswith("rel-1-")), made.version)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lose("chunks__*.lance/data/*"), r"chunks__\w+\.lance/data/\w+\.lance is missing"),
        (lose("models"), r"models/\w+ is missing"),
        (lose("*.lance/_refs/tags/*"), r"there is no table 'chunks__\w+' at version rel-2-"),
        (put_back, r"there is no table 'chunks__\w+' at version rel-2-"),
    ],
)
@pytest.mark.parametrize("news", [False, True])
def test_a_release_that_no_reader_can_use_is_neither_unchanged_nor_built_upon(
    config: Config, tmp_path: Path, damage: Callable[[Path], None], told: str, news: bool
) -> None:
    damage(tmp_path / "store")
    if news:
        save(tmp_path / "notes", {"c.md": prose("chart")})
    with pytest.raises(Refused) as foretold:
        plan(config)
    result = refresh(config)
    assert (result.outcome, result.release, result.message) == ("refused", 2, str(foretold.value))
    assert re.match(rf"release 2 cannot be read: .*{told}", result.message)
    assert result.message.endswith("sets lost tags again, `tidemark refresh --rebuild` makes it anew")
    assert not audit(config).ok
    assert refresh(config, rebuild=True).outcome == "published"
    assert refresh(config).outcome == "unchanged"
    assert {hit.document for hit in found(config, "row of the buoy", 9)} >= {"a.md", "b.md"}


def test_a_release_of_a_lost_table_is_not_mistaken_for_the_rows_that_came_after(config: Config, tmp_path: Path) -> None:
    lose("documents.lance", "chunks__*.lance")(tmp_path / "store")
    refresh(config, rebuild=True)
    for number in range(4):  # until the new tables have the numbers that the old releases name
        save(tmp_path / "notes", {"b.md": prose(f"buoy{number}")})
        refresh(config)
    for seq in (1, 2):
        with pytest.raises(InputError, match=f"release {seq} is no longer kept"):
            Reader.open(config.store.uri, seq)
        with pytest.raises(InputError, match=f"release {seq} is no longer kept"):
            rollback(config, seq)
    assert [release.seq for release in Releases(Store(config.store.uri)).retained()] == [7, 6, 5, 4, 3]


def test_a_rebuild_of_a_sound_store_can_be_rolled_back(config: Config) -> None:
    before = documents(config)
    refresh(config, rebuild=True)
    assert rollback(config).restored == 2
    assert documents(config) == before


def test_a_rebuild_that_would_lose_documents_waits_for_approval(config: Config, tmp_path: Path) -> None:
    strict = configure(tmp_path, limits={"max_lost_share": 0.2})
    save(tmp_path / "notes", {"b.md": None})
    lose("documents.lance/data/*")(tmp_path / "store")
    waiting = refresh(strict, rebuild=True)
    assert (waiting.outcome, waiting.release) == ("needs-approval", 2)
    assert "the rebuild would hold 1 document where release 2 holds 2" in waiting.message
    assert "run `tidemark refresh --rebuild --accept-deletions`" in waiting.message
    assert refresh(strict, rebuild=True, accept_deletions=True).outcome == "published"
    assert list(documents(strict)) == ["notes/a.md"]
