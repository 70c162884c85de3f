"""What every stage of a run shares, and the fingerprints that say what is out of date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from corpus import NOTES, configure, context, prepared, prose

from flows import context as opening
from flows.refresh import refresh
from models.config import EncoderConfig
from models.encoder import resolve
from storage.registry import Registry
from storage.tables.documents import LEDGER
from storage.tables.roles import chunks_table
from tasks.build.chunk import chunk
from tasks.build.embed import embed, find_pending
from tasks.build.write import write
from tasks.work import Once


def judged(base: Path, **sections: object) -> dict[str, str]:
    with context(configure(base, **sections)) as shared:
        return dict(shared.rules_fingerprints)


def test_whatever_may_change_a_verdict_or_a_text_is_in_what_judged_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("- expectation: expect_column_values_to_not_be_null\n  kwargs: {column: title}\n")
    plain = judged(tmp_path)
    seen = [
        plain,
        judged(tmp_path, validation={"min_chars": 2}),
        judged(tmp_path, validation={"expectations": "rules.yaml"}),
        judged(tmp_path, sources=[NOTES | {"licence": "MIT"}]),
        judged(tmp_path, sources=[NOTES | {"include": ["*.md"]}]),
    ]
    rules.write_text("- expectation: expect_column_values_to_not_be_null\n  kwargs: {column: licence}\n")
    seen.append(judged(tmp_path, validation={"expectations": "rules.yaml"}))
    monkeypatch.setattr(opening, "NORMALISER", "next")
    seen.append(judged(tmp_path))
    assert len({found["notes"] for found in seen}) == len(seen)


def test_what_changes_no_verdict_is_not_in_what_judged_it(tmp_path: Path) -> None:
    plain = judged(tmp_path)
    wiki = {**NOTES, "name": "wiki"}
    others = judged(
        tmp_path,
        sources=[NOTES, wiki],
        store={"uri": "elsewhere"},
        encoder={"name": "owner/model", "revision": "v2", "window": 64},
        chunker={"min_tokens": 5, "max_tokens": 10},
        limits={"max_lost_share": 0.1},
        index={"min_rows": 300},
    )
    assert others["notes"] == plain["notes"] != others["wiki"]


def test_before_the_first_release_the_ledger_is_empty(tmp_path: Path) -> None:
    with context(configure(tmp_path)) as shared:
        assert (shared.base, shared.ledger().height) == (None, 0)
        assert shared.ledger().columns == LEDGER


def test_the_ledger_is_that_of_the_base_release_read_once_unless_everything_is_made_anew(tmp_path: Path) -> None:
    refresh(configure(tmp_path, {"a.md": prose("anchor")}))
    with context(configure(tmp_path)) as shared:
        assert shared.ledger().select("source", "id").rows() == [("notes", "a.md")]
        assert shared.ledger() is shared.ledger()
    with context(configure(tmp_path)) as shared:
        assert replace(shared, rebuild=True).ledger().is_empty()


def test_one_run_holds_two_encoders_whose_vectors_never_mix(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor", 4), "b.md": prose("buoy", 4)})
    encoders = [resolve(EncoderConfig(name=name)) for name in ("stub:0", "stub:1")]
    with context(config) as shared:
        done = prepared(shared, config)
        changes = [chunk(shared, found, config.chunker, done.deduplicated, done.validated) for found in encoders]
        pending = [find_pending(shared, *both) for both in zip(encoders, changes, strict=True)]
        for found, change, wanted in zip(encoders, changes, pending, strict=True):
            assert embed(shared, found, change, wanted).embedded == change.upserts.rows > 0
        for found, change in zip(encoders, changes, strict=True):
            write(shared, found, done.plan, done.reading, done.validated, Once(done.deduplicated), change)
        tables = {change.table: shared.store.open(change.table).to_table().to_pylist() for change in changes}
    assert list(tables) == [chunks_table(found.space.id) for found in encoders]
    assert set(Registry(shared.store).spaces()) == {found.space.id for found in encoders}
    for found, rows in zip(encoders, tables.values(), strict=True):
        vectors = found.open().encode_documents([row["text"] for row in rows])
        assert [row["vector"] for row in rows] == vectors.tolist()
