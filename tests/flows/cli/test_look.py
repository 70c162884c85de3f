"""The commands that look: shapes, order, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import tidemark, told

HIT = {"score", "document", "source", "title", "text", "start", "end", "chunk", "file", "line", "line_end"}


def test_a_search_tells_hits_best_first(published: Path) -> None:
    found = told(published, "search", "moon", "-k", "2")
    assert found["release"] == 2
    assert [set(hit) for hit in found["hits"]] == [HIT, HIT]
    assert found["hits"][0]["document"] == "n0.md"
    assert found["hits"][0]["score"] >= found["hits"][1]["score"]
    older = told(published, "search", "moon", "-k", "1", "--release", "1")
    assert older["release"] == 1
    assert "moon" not in older["hits"][0]["text"]


def test_a_search_says_how_it_searched(published: Path) -> None:
    assert told(published, "search", "moon")["mode"] == "dense"  # nothing showed that words help
    found = {mode: told(published, "search", "moon", "--mode", mode) for mode in ("dense", "text", "hybrid")}
    assert [answer["mode"] for answer in found.values()] == list(found)
    assert {hit["document"] for hit in found["text"]["hits"]} == {"n0.md"}
    assert found["hybrid"]["hits"][0]["document"] == "n0.md"
    assert [set(answer["hits"][0]) for answer in found.values()] == [HIT, HIT, HIT]
    assert tidemark(published, "search", "moon", "--mode", "both").exit_code == 2


def test_a_search_is_narrowed_by_what_its_conditions_name(published: Path) -> None:
    narrowed = told(published, "search", "tide", "--where", "document=n3.md", "--where", "document=n4.md")["hits"]
    assert {hit["document"] for hit in narrowed} == {"n3.md", "n4.md"}
    assert told(published, "search", "tide", "--where", "document=n3.md", "--where", "source=none")["hits"] == []


def test_queries_of_a_file_are_answered_one_a_line_in_order(published: Path, tmp_path: Path) -> None:
    queries = ["moon", "", *(f"tide at pier {number % 6}" for number in range(70))]
    file = tmp_path / "queries.txt"
    file.write_text("\n".join(queries) + "\n", encoding="utf-8")
    result = tidemark(published, "search", "--queries", str(file), "-k", "1", "--json")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["query"] for answer in answers] == queries
    assert [len(answer["hits"]) for answer in answers] == [1, 0] + [1] * 70
    assert answers[0]["hits"][0]["document"] == "n0.md"


def test_lists_are_newest_first(published: Path) -> None:
    releases = told(published, "releases")
    assert [row["release"] for row in releases] == [2, 1]
    assert all({"release", "created", "outcome", "space", "run"} <= row.keys() for row in releases)
    assert [row["current"] for row in releases] == [True, False]
    assert all(row["stub"] for row in releases)
    runs = told(published, "runs")
    assert [row["run"] for row in runs] == [row["run"] for row in releases]
    (refused,) = told(published, "quarantine", "list")
    assert {"document": "empty.md", "source": "notes", "attempts": 1}.items() <= refused.items()
    assert refused["rule"]
    assert refused["reason"]


def test_the_quarantine_of_one_source_is_asked_for_with_and_without_list(published: Path) -> None:
    for lead in (["quarantine"], ["quarantine", "list"]):
        (refused,) = told(published, *lead, "--source", "notes")
        assert refused["document"] == "empty.md"
        unknown = tidemark(published, *lead, "--source", "nosuch")
        assert unknown.exit_code == 2
        assert "no source 'nosuch'; there are notes" in unknown.stderr
    misplaced = tidemark(published, "quarantine", "--source", "notes", "show", "empty.md")
    assert misplaced.exit_code == 2
    assert "quarantine show --help" in misplaced.stderr


def test_releases_and_runs_are_shown_in_full(published: Path) -> None:
    current = told(published, "show")
    assert current["release"] == 2
    assert told(published, "show", "1")["release"] == 1
    run = told(published, "show", current["run"])
    assert run["run"] == current["run"]
    assert run["libraries"]
    assert run["data"]
    assert told(published, "show", current["run"][:-2]) == run


def test_two_releases_are_compared(published: Path) -> None:
    found = told(published, "diff", "1", "2")
    assert found["counts"] == {"added": 0, "changed": 1, "metadata": 0, "moved": 1, "removed": 1}
    assert found["changed"] == [{"source": "notes", "document": "n0.md"}]
    assert found["moved"] == [
        {"source": "notes", "document": "moved.md", "before": {"source": "notes", "document": "n1.md"}}
    ]


def test_a_chunk_is_traced_to_where_it_comes_from(published: Path) -> None:
    hit = told(published, "search", "moon", "-k", "1")["hits"][0]
    traced = told(published, "explain", hit["chunk"])
    assert traced["chunk"] == hit["chunk"]
    assert traced["document"]["id"] == "n0.md"
    assert traced["place"] == {"file": str(published / "notes" / "n0.md"), "line": None, "row": None}
    assert (traced["span"]["line"], traced["span"]["line_end"]) == (hit["line"], hit["line_end"]) == (1, 3)
    assert traced["release"]["release"] == 2
    assert traced["run"]["run"] == told(published, "show")["run"]


def test_a_difference_is_of_the_last_two_unless_somebody_says_otherwise(published: Path) -> None:
    whole = told(published, "diff", "1", "2")
    assert told(published, "diff") == whole
    assert told(published, "diff", "1") == whole
    assert not any(told(published, "diff", "2")["counts"].values())


def test_a_chunk_is_named_by_the_beginning_of_its_id(published: Path) -> None:
    ids = [hit["chunk"] for hit in told(published, "search", "tide", "-k", "9")["hits"]]
    short = next(length for length in range(1, 33) if len({chunk[:length] for chunk in ids}) == len(ids))
    assert told(published, "explain", ids[0][:short])["chunk"] == ids[0]


def test_a_chunk_is_explained_with_file_settings_and_dates_in_place_of_hashes(published: Path) -> None:
    chunk = told(published, "search", "moon", "-k", "1")["hits"][0]["chunk"]
    traced = told(published, "explain", chunk)
    file = traced["place"]["file"]
    assert file.endswith("notes/n0.md")
    assert traced["cut"]["max_tokens"] == 256
    shown = tidemark(published, "explain", chunk, "-q").stdout
    assert all(words in shown for words in (f"{file}:1", "max_tokens = 256", " UTC (", "chunk 1 of 1"))
    assert not any(traced["document"][name] in shown for name in ("judged", "record_hash", "revision"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan",),
        ("refresh",),
        ("search", "moon"),
        ("releases",),
        ("runs",),
        ("show",),
        ("show", "1"),
        ("diff", "1", "2"),
        ("quarantine", "list"),
        ("audit",),
    ],
)
def test_every_command_has_a_view_for_people(published: Path, arguments: tuple[str, ...]) -> None:
    result = tidemark(published, *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()
    assert not result.stdout.startswith(("{", "["))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serch", "x"), "no such command"),
        (("search",), "either a text"),
        (("search", "x", "--queries", "q.txt"), "either a text"),
        (("search", " "), "blank"),
        (("search", "x", "--where", "source"), "where 'source': write COLUMN=VALUE"),
        (("search", "x", "--where", "text=x"), "no column 'text' to filter; there are source, document, key"),
        (("search", "x", "-k", "0"), "-k"),
        (("search", "--queries", "none.txt"), "none.txt: the queries cannot be read"),
        (("search", "x", "--release", "9"), "no release 9"),
        (("search", "x", "--role", "image"), "release 2 has no role 'image'; it has: text"),
        (("show", "9"), "no release 9"),
        (("show", "no-run"), "no run 'no-run'"),
        (("diff", "1", "9"), "no release 9"),
        (("rollback", "--to", "9"), "no release 9"),
        (("rollback", "--to", "2"), "nothing to roll back"),
        (("explain", "' OR true"), "no chunk"),
    ],
)
def test_wrong_input_is_told_and_ends_with_2(published: Path, arguments: tuple[str, ...], message: str) -> None:
    result = tidemark(published, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
