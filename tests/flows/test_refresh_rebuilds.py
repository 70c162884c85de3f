"""Nights on which all is made anew: another chunker, another encoder, an index, releases that expire."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from corpus import (
    configure,
    counted,
    found,
    night,
    prose,
    rows,
    save,
)

from flows.audit import audit
from flows.rollback import rollback
from storage.errors import InputError
from storage.reader import Reader
from storage.registry import Registry
from storage.tables.releases import Releases
from storage.tables.store import Store
from storage.tables.vectors import vectors_table


def test_another_chunker_cuts_everything_anew_and_embeds_only_new_cuts(tmp_path: Path) -> None:
    files = {"short.md": "One short sentence.", "long.md": prose("anchor", 8)}
    config = configure(tmp_path, files)
    night(config)
    coarse = configure(tmp_path, chunker={"min_tokens": 30, "max_tokens": 90})
    result = night(coarse)
    assert (result.outcome, counted(result), result.causes) == ("published", {"unchanged": 2}, {"chunker": 2})
    assert result.counts["reused"] >= 1  # the short document is one chunk under either
    assert result.counts["embedded"] >= 1
    assert night(coarse).outcome == "unchanged"
    back = night(config)
    assert (back.counts["embedded"], back.counts["chunks"]) == (0, len(rows(config, 1)))
    assert [row["hash"] for row in rows(config)] == [row["hash"] for row in rows(config, 1)]
    assert audit(config, deep=True).ok


def test_another_encoder_fills_a_table_of_its_own_and_the_way_back_embeds_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy"), "c.md": prose("buoy")})
    first = night(config)
    other = configure(tmp_path, encoder={"name": "stub:7"})
    second = night(other, accept_encoder=True)
    assert (second.counts["embedded"], second.causes["encoder"]) == (first.counts["chunks"], 2)
    assert second.space != first.space
    assert Reader.open(config.store.uri, 1).release.chunks != Reader.open(config.store.uri, 2).release.chunks
    for release in (1, 2):  # each is asked with the encoder that it keeps
        assert found(config, "row of the anchor", 1, release)[0].document == "a.md"
    save(tmp_path / "notes", {"d.md": prose("dock")})
    third = night(config, accept_encoder=True)
    docks = sum(row["document"] == "d.md" for row in rows(config))
    assert (third.counts["embedded"], third.space) == (docks, first.space)
    assert audit(config, deep=True).ok


def test_weights_changed_in_place_are_another_space(tmp_path: Path, tiny_model: Path) -> None:
    from tiny import nudge

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "model"})
    first = night(config)
    nudge(model)
    waiting = night(config)
    assert (waiting.outcome, waiting.release) == ("needs-approval", 1)
    assert "encoder: model is not what it was in release 1 (other weights);" in waiting.message
    second = night(config, accept_encoder=True)
    assert (second.outcome, second.counts["embedded"]) == ("published", first.counts["chunks"])
    assert second.space != first.space
    assert found(config, "anchor", 1, release=1)[0].document == "a.md"
    assert night(config).outcome == "unchanged"


def test_the_same_weights_at_another_path_or_device_are_the_same_space(tmp_path: Path, tiny_model: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": str(tiny_model)})
    night(config)
    shutil.copytree(tiny_model, tmp_path / "copy")
    moved = configure(tmp_path, encoder={"name": "copy", "device": "cpu", "batch_tokens": 64})
    assert night(moved).outcome == "unchanged"


def test_an_index_is_built_over_the_floor_and_extended_the_next_night(tmp_path: Path) -> None:
    files = {f"{n:03}.md": prose(f"word{n}", 8) for n in range(40)}
    config = configure(tmp_path, files, index={"min_rows": 256})
    result = night(config)
    facts = Releases(Store(config.store.uri)).get().text.index
    assert (facts.kind, facts.rows) == ("IVF_RQ", result.counts["chunks"])
    assert facts.recall is not None and facts.recall >= 0.9
    save(tmp_path / "notes", {"new.md": prose("lighthouse", 8), "000.md": None})
    night(config)
    checks = {check.name: check for check in audit(config).checks}
    assert checks["index.coverage"].detail == "100.0% of the rows are in the index"
    assert checks["index.recall"].ok
    assert {hit.document for hit in found(config, "row 3 of the lighthouse", 5)} == {"new.md"}
    assert "000.md" not in {hit.document for hit in found(config, "row 3 of the word0", 20)}
    assert {hit.document for hit in found(config, "row 3 of the word0", 3, release=1)} == {"000.md"}

    cut = configure(tmp_path, index={"min_rows": 256}, chunker={"min_tokens": 4, "max_tokens": 12})
    night(cut)  # every row is written anew: the index starts again
    checks = {check.name: check for check in audit(cut).checks}
    assert (checks["index.coverage"].detail, checks["index.recall"].ok) == ("100.0% of the rows are in the index", True)

    save(tmp_path / "notes", dict.fromkeys(list(files)[1:]))
    night(cut)  # few rows are left: compared one by one
    assert Releases(Store(config.store.uri)).get().text.index.kind == "exact"
    assert {hit.document for hit in found(cut, "row 3 of the lighthouse", 5)} == {"new.md"}


def test_old_releases_expire_with_the_tables_and_encoders_that_only_they_need(tmp_path: Path) -> None:
    keep = {"releases": {"keep": 2}}
    first = night(configure(tmp_path, {"a.md": prose("anchor")}, **keep))
    config = configure(tmp_path, encoder={"name": "stub:7"}, **keep)
    night(config, accept_encoder=True)
    store, registry = Store(config.store.uri), Registry(Store(config.store.uri))
    old = Releases(store).get(1).chunks
    assert store.find(old) is not None and registry.has(first.space)
    save(tmp_path / "notes", {"b.md": prose("buoy")})
    last = night(config)
    assert (store.find(old), registry.has(first.space), registry.has(last.space)) == (None, False, True)
    assert store.find(vectors_table(last.space)) is None  # staged vectors lie in the release now
    assert [release.seq for release in Releases(store).retained()] == [3, 2]
    with pytest.raises(InputError, match="release 1 is no longer kept"):
        Reader.open(config.store.uri, 1)
    with pytest.raises(InputError, match="one of: 3, 2"):
        rollback(config, 1)
    assert audit(config, deep=True).ok
