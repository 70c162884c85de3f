"""Every document and every chunk is counted once, and why there was work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from corpus import configure, context, prepared, prose, save

from flows.refresh import refresh
from tasks.tally import causes, tally

DOCUMENTS = ("documents", "added", "changed", "moved", "deleted", "unchanged", "quarantined", "duplicates")


def test_documents_are_counted_from_the_listing_and_from_their_fates(tmp_path: Path) -> None:
    files: dict[str, str | bytes | None] = {f"{name}.md": prose(name) for name in "abcdefg"}
    config = configure(tmp_path, files | {"a2.md": prose("a"), "bad.md": "", "worse.md": "\x01"})
    refresh(config)
    notes = tmp_path / "notes"
    (notes / "b.md").rename(notes / "z.md")
    (notes / "g.md").touch()
    save(
        notes,
        {
            "a.md": None,
            "c.md": None,
            "d.md": "Edited.",
            "e.md": "x" * 5_000_001,
            "f.md": "\x02",
            "bad.md": "Mended.",
            "new.md": prose("g"),
        },
    )
    with context(config) as shared:
        done = prepared(shared, config)
        counts = tally(shared, done)
        found = causes(shared, done)
        # Nothing would have been found out about a document that is counted twice or not at all.
        short = replace(done, scan=replace(done.scan, listed=done.scan.listed.head(3)))
        wrong = tally(shared, short)
    assert {name: counts[name] for name in DOCUMENTS} == {
        "documents": 9,
        "added": 1,  # the mended one
        "changed": 1,
        "moved": 1,
        "deleted": 2,
        "unchanged": 3,  # a2 takes the place of a
        "quarantined": 2,
        "duplicates": 1,
    }
    assert (counts["touched"], counts["unreadable"], counts["stale"], counts["unlisted"]) == (1, 0, 1, 0)
    assert found | {"moved-chunks": 0} == {
        "new": 2,  # the moved and the mended one; the third is a duplicate
        "content": 1,
        "moved": 1,
        "deleted": 2,
        "refused": 1,
        "stale": 1,  # its last version stays
        "held": 1,
        "duplicate": 1,
        "moved-chunks": 0,
    }
    assert wrong["documents"] == 3 != sum(wrong[name] for name in DOCUMENTS[1:] if name != "deleted")


def test_chunks_are_those_that_stay_and_those_that_are_written(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor", 6), "b.md": prose("buoy", 6)})
    before = refresh(config).counts
    save(tmp_path / "notes", {"b.md": None, "c.md": prose("buoy", 6), "d.md": prose("dock", 6)})
    with context(config) as shared:
        done = prepared(shared, config)
        counts = tally(shared, done)
        assert done.publishes
        assert counts["embedded"] == done.pending.contents > 0
    after = refresh(config).counts
    assert counts == after
    assert after["chunks"] == before["chunks"] * 3 // 2 == after["embedded"] + before["chunks"]


def test_a_night_without_news_changes_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "bad.md": ""})
    refresh(config)
    (tmp_path / "notes" / "a.md").touch()
    with context(config) as shared:
        done = prepared(shared, config)
        assert not done.publishes
        assert causes(shared, done) == {"held": 1}
    config = configure(tmp_path, chunker={"min_tokens": 5, "max_tokens": 15})
    with context(config) as shared:
        done = prepared(shared, config)
        assert done.publishes
        assert causes(shared, done) == {"held": 1, "chunker": 1}
