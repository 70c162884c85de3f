"""What was prepared is let go once nobody asks for it: while a million chunks are indexed, memory is short."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, context, prepared, prose, save

from flows import build
from flows.refresh import refresh
from storage.outcome import Outcome
from tasks.build.embed import Pending
from tasks.curate.deduplicate import DeduplicationResult
from tasks.ingest.scan import Scan
from tasks.tally import Preparation, causes, tally
from tasks.work import Once, Work


def alive(*kinds: type) -> list[str]:
    gc.collect()
    return sorted(type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds))


def test_something_is_given_away_once() -> None:
    gift = Once("a")
    assert gift.take() == "a"
    with pytest.raises(IndexError):
        gift.take()


def test_work_is_what_was_prepared_without_the_listing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    with context(config) as shared:
        done = prepared(shared, config)
        work = Work.of(done, tally(shared, done), causes(shared, done))
    assert work.counts["documents"] == work.counts["added"] == 2
    assert work.plan.candidates.is_empty()
    assert work.plan.candidates.schema == done.plan.candidates.schema
    assert work.deduplicated.take() is done.deduplicated
    assert work.pending.take() is done.pending
    assert work.changes is done.changes


@pytest.mark.parametrize("first", [True, False])
def test_a_night_holds_no_row_of_every_document_while_it_writes_and_indexes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")})
    if not first:
        refresh(config)
        save(tmp_path / "notes", {"b.md": prose("chart")})
    held: dict[str, list[str]] = {}

    def spied(name: str, *kinds: type) -> None:
        stage = getattr(build, name)

        def look(*given: Any, **options: Any) -> Any:
            held[name] = alive(*kinds)
            return stage(*given, **options)

        monkeypatch.setattr(build, name, look)

    spied("write", Scan, Preparation, Pending)
    spied("index", Scan, Preparation, Pending, DeduplicationResult)
    assert refresh(config).outcome is Outcome.PUBLISHED
    assert held == {"write": [], "index": []}
