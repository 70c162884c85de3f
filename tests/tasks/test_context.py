"""What every stage of a run shares, and the fingerprints that say what is out of date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from corpus import NOTES, configure, context, prose

from flows import context as opening
from flows.refresh import refresh
from models.text.tokenizer import WordTokenizer
from storage.tables.columns import LEDGER
from tasks.build.chunking import cut as chunking
from tasks.build.chunking.cut import ChunkerConfig
from tasks.context import Context


class OtherTokenizer(WordTokenizer):
    digest = "0" * 32


CUTS: dict[str, Callable[[Context], Context]] = {
    "least tokens": lambda shared: replace(shared, chunker=ChunkerConfig(min_tokens=7, max_tokens=24)),
    "most tokens": lambda shared: replace(shared, chunker=ChunkerConfig(min_tokens=8, max_tokens=25)),
    "tokenizer": lambda shared: replace(shared, tokenizer=OtherTokenizer()),
    "window": lambda shared: replace(shared, space=replace(shared.space, window=20)),
}


@pytest.mark.parametrize("name", CUTS)
def test_whatever_moves_a_cut_is_in_the_fingerprint_of_cutting(tmp_path: Path, name: str) -> None:
    with context(configure(tmp_path)) as shared:
        assert CUTS[name](shared).cutting != shared.cutting == replace(shared).cutting


@pytest.mark.parametrize("constant", ["CHUNKER_VERSION", "NORMALISER"])
def test_new_versions_of_chunker_and_normaliser_cut_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constant: str
) -> None:
    with context(configure(tmp_path)) as shared:
        before = shared.cutting
        monkeypatch.setattr(chunking, constant, "next")
        assert shared.cutting != before


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
        encoder={"name": "stub:4"},
        chunker={"min_tokens": 5, "max_tokens": 10},
        limits={"max_lost_share": 0.1},
        index={"min_rows": 300},
    )
    assert others["notes"] == plain["notes"] != others["wiki"]


def test_before_the_first_release_the_ledger_is_empty_and_everything_is_built(tmp_path: Path) -> None:
    with context(configure(tmp_path)) as shared:
        assert (shared.base, shared.rebuilds, shared.ledger().height) == (None, True, 0)
        assert shared.ledger().columns == LEDGER


def test_a_run_rebuilds_for_another_space_or_another_cut_only(tmp_path: Path) -> None:
    refresh(configure(tmp_path, {"a.md": prose("anchor")}))
    with context(configure(tmp_path)) as shared:
        assert not shared.rebuilds
        assert shared.ledger().select("source", "id", "n_chunks").rows()[0][:2] == ("notes", "a.md")
        assert shared.ledger() is shared.ledger()
        assert replace(shared, chunker=ChunkerConfig(min_tokens=5, max_tokens=10)).rebuilds
    with context(configure(tmp_path, encoder={"name": "stub:2"})) as other:
        assert other.rebuilds
        assert other.table != shared.table


def test_the_window_leaves_room_for_two_special_tokens(tmp_path: Path) -> None:
    with context(configure(tmp_path)) as shared:
        assert shared.window == shared.space.window - 2
        assert replace(shared, space=replace(shared.space, window=0)).window == 1_000_000
