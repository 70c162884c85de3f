"""Two releases and the same questions."""

from __future__ import annotations

from pathlib import Path

import pytest
from shelf import Paper, shelve, stub

from storage.errors import InputError
from tasks.learn.compare import compare
from tasks.search.search import Search

PAPERS = [Paper(f"{name}.md", [f"the {name} is here"]) for name in ("anchor", "buoy", "chart", "dock")]


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Search, Search]:
    """The second release holds other rows in another order, and lost one document."""
    shelve(tmp_path, PAPERS)
    shelve(tmp_path, [*PAPERS[:0:-1], Paper("new.md", ["nothing at all"])])
    first, second = (Search(str(tmp_path), seq, encoder=stub()) for seq in (1, 2))
    return first, second


def test_questions_with_other_answers_are_named(releases: tuple[Search, Search], tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("anchor\n\nbuoy\n")
    found = compare(*releases, tmp_path / "queries.txt")
    assert (found.asked, len(found.changed), found.better, found.ndcg) == (2, 2, None, None)
    first = found.changed[0]
    assert (first.query, first.a[0], first.kept) == ("anchor", {"source": "notes", "document": "anchor.md"}, 3)
    assert {"source": "notes", "document": "new.md"} in first.b
    assert found.to_dict().keys() == {"asked", "changed", "answers"}


def test_a_release_answers_as_it_does_itself(releases: tuple[Search, Search], tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("anchor\nbuoy\nthe\n")
    found = compare(releases[0], releases[0], tmp_path / "queries.txt")
    assert (found.asked, found.changed) == (3, [])


def test_judged_questions_say_which_release_is_better(releases: tuple[Search, Search], tmp_path: Path) -> None:
    lines = [f'{{"query": "anchor {n}", "documents": ["anchor.md"]}}\n' for n in range(5)]
    (tmp_path / "golden.jsonl").write_text("".join(lines))
    found = compare(*releases, tmp_path / "golden.jsonl")
    assert (found.ndcg, found.better) == ((1.0, 0.0), "a")
    assert found.difference is not None and found.difference.n == 5
    assert compare(*releases[::-1], tmp_path / "golden.jsonl").better == "b"
    told = found.to_dict()
    assert (told["better"], told["ndcg@10"]) == ("a", {"a": 1.0, "b": 0.0})


def test_a_file_without_questions_is_told(releases: tuple[Search, Search], tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("\n\n")
    with pytest.raises(InputError, match="holds no question; write one a line"):
        compare(*releases, tmp_path / "queries.txt")
    with pytest.raises(InputError, match="cannot be read"):
        compare(*releases, tmp_path / "none.txt")
