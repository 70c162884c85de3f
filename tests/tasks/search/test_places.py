"""Lines of files: of which a chunk was made, and where nothing can be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpus import configure, prose, rows, save

from flows.refresh import refresh
from storage.reader import Hit
from tasks.search.places import Located, Places

ROUGH = (
    "\ufeff\r\n  \r\n# Tide \r\n\r\nThe tide at the pier rises.  \rThe ebb\x0bfalls by the reef.\n\n\n"
    "The moon is bright.\n"
)


def hit(row: dict[str, Any]) -> Hit:
    return Hit(1.0, row["document"], row["source"], None, row["text"], row["start"], row["end"], row["id"])


def test_a_chunk_is_found_in_the_lines_that_an_editor_shows(tmp_path: Path) -> None:
    config = configure(
        tmp_path, {"rough.md": ROUGH, "long.md": prose("long", 9)}, chunker={"min_tokens": 4, "max_tokens": 8}
    )
    refresh(config)
    places = Places(config.sources, config.base)
    for row in rows(config):
        (found,) = places.located([hit(row)])
        assert found.line is not None and found.line_end is not None
        # universal newlines are what editors count
        lines = (tmp_path / "notes" / row["document"]).open(encoding="utf-8-sig").read().split("\n")
        stood = "\n".join(lines[found.line - 1 : found.line_end])
        for word in row["text"].split():
            assert word in stood
        assert row["text"].split()[0] in lines[found.line - 1]
        assert row["text"].split()[-1] in lines[found.line_end - 1]
        assert found.told == f"{tmp_path / 'notes' / row['document']}:{found.line}"


def test_of_a_file_that_was_changed_since_no_line_is_told(tmp_path: Path, monkeypatch: Any) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.html": "<p>The tide at the pier rises today.</p>"})
    refresh(config)
    anchor, page = (hit(next(row for row in rows(config) if row["document"] == name)) for name in ("a.md", "b.html"))
    monkeypatch.chdir(tmp_path)
    before = Places(config.sources, config.base).located([anchor, page])
    assert [each.told for each in before] == ["notes/a.md:1", "notes/b.html"]  # markup has no lines of the text
    save(tmp_path / "notes", {"a.md": "A line more.\n" + prose("anchor"), "b.html": None})
    assert [each.told for each in Places(config.sources, config.base).located([anchor, page])] == ["notes/a.md", None]
    assert Places((), config.base).located([anchor]) == [Located(anchor)]


def test_rows_of_tables_and_objects_of_packages_are_found(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('id,text\na,"two\nlines"\nb,one\n')
    (tmp_path / "log.jsonl").write_text(json.dumps({"id": "x", "text": "y"}) + "\n{torn\n")
    sources = [
        {"name": "csv", "kind": "csv", "path": "log.csv"},
        {"name": "jsonl", "kind": "jsonl", "path": "log.jsonl"},
        {"name": "far", "kind": "jsonl", "path": "https://example.org/log.jsonl"},
        {"name": "python", "kind": "python", "packages": ["json"]},
    ]
    config = configure(tmp_path, sources=sources)
    places = Places(config.sources, config.base)
    asked = [("csv", "b"), ("csv", "none"), ("jsonl", "x"), ("jsonl", "log.jsonl#L2"), ("far", "x"), ("other", "x")]
    assert [(place and place.line) for place in (places.place(*each) for each in asked)] == [4, None, 1, 2, None, None]
    found = places.place("python", "json.dumps")
    assert found is not None and found.line is not None
    assert "def dumps(" in Path(found.file).read_text().splitlines()[found.line - 1]
