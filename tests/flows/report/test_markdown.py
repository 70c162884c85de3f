"""The Markdown report of a run."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from flows.report.markdown import _text, write_plan, write_quality, write_report
from flows.report.words import say

REPORT: dict[str, Any] = {
    "run": "r1",
    "release": 7,
    "outcome": "published",
    "message": "release 7: 2 added",
    "space": "9f3a",
    "counts": {"documents": 1234, "added": 2},
    "seconds": {"scan": 0.25, "embed": 9.5, "total": 10.0},
}


def test_the_report_says_what_happened_in_a_table_and_draws_the_seconds() -> None:
    text = write_report(REPORT)
    assert text.startswith("# Published\n\nrelease 7: 2 added\n")
    assert "| release | `7` |" in text
    assert "| took | 10 s |" in text
    assert "| documents | 1,234 |" in text
    (chart,) = re.findall(r"!\[[^]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", text)
    drawn = "".join(ElementTree.fromstring(base64.b64decode(chart)).itertext())
    assert ["total" in drawn, "embed" in drawn, "9.5 s" in drawn] == [False, True, True]


def test_a_plan_names_documents_as_text_and_says_what_it_costs() -> None:
    rows = [
        {"change": "+", "source": "docs", "document": f"n{at}.md", "rule": None, "reason": None} for at in range(25)
    ]
    rows[0] |= {"change": "!", "document": "a|b.md", "rule": "valid-utf8", "reason": "2 <places>"}
    report = {
        "release": 7,
        "message": "a refresh would embed 3 chunks",
        "counts": {"embedded": 3, "chunks": 436},
        "tokens": 268,
        "estimated_seconds": 61.0,
        "bytes": 57_500,
        "documents": rows,
        "passed_over": {"docs": {"unknown suffix .png": 2}},
    }
    told = write_plan(report)
    assert told.startswith("# A plan, on top of release 7\n\na refresh would embed 3 chunks\n")
    for line in ("| chunks to embed | 3 of 436 |", "| bytes to write | 57.5 kB |", "And 5 more", "25 documents would"):
        assert line in told
    assert "| refused or stale | docs | a\\|b.md | valid-utf8: 2 \\<places\\> |" in told
    assert "Left out by the sources: unknown suffix .png 2." in told
    assert write_plan(report | {"release": None, "documents": []}).startswith("# A plan, the first release")


MARKS = st.text(st.sampled_from("\\\\`*_{}[]()<>#+!|~&@:;.=-/ ax1"), max_size=40)
TRAPS = st.sampled_from(["http://a.de/x", "www.a.de", "me@a.de", "<b>", "&lt;", "![i](u)", "[a](b)", "- a", "=="])


@given(st.lists(MARKS | TRAPS, max_size=4).map("".join))
def test_what_somebody_else_wrote_is_text_in_a_line_and_in_a_cell(wrote: str) -> None:
    markdown = MarkdownIt("commonmark").enable("table")
    for around, text in (("{}", _text(wrote)), ("| heading |\n|---|\n| x{}x |", f"{_text(wrote)}")):
        found = [
            each for each in markdown.parse(around.format(text)) if each.type == "inline" and each.content != "heading"
        ]
        told = "".join(part for line in found for part in _texts(line))
        assert told == (say(wrote).strip() if around == "{}" else f"x{say(wrote)}x")


def _texts(line: Token) -> Iterator[str]:
    for part in line.children or []:
        assert part.type in {"text", "text_special"}, part
        yield part.content


def test_a_report_of_a_run_that_did_nothing_has_no_charts() -> None:
    assert "data:" not in write_report({"outcome": "failed", "message": "no source", "release": None})


def test_the_report_of_an_evaluation_has_a_table_and_a_chart_a_set() -> None:
    metrics = {"ndcg@10": 0.5, "recall@10": 0.45, "recall@100": 0.8, "mrr@10": 0.7, "map": 0.4, "interval": [0.4, 0.6]}
    part = {"by": "noise", "value": "typos", "questions": 9, "ndcg@10": 0.3, "interval": [0.2, 0.4]}
    each = {"name": "terms", "questions": 9, "modes": {"dense": metrics}, "slices": [part], "detectable": 0.21}
    text = write_quality({"release": 3, "sets": [each]})
    assert text.startswith("# Quality of release 3\n\n## terms\n")
    assert "| dense | 0.500 | 0.400 to 0.600 | 0.450 | 0.800 | 0.700 | 0.400 |" in text
    assert "9 questions show a difference of 0.210 in four of five cases." in text
    (chart,) = re.findall(r"base64,([A-Za-z0-9+/=]+)\)", text)
    assert "noise: typos" in "".join(ElementTree.fromstring(base64.b64decode(chart)).itertext())
