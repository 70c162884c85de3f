"""What is drawn for people: complete, within the width, and harmless."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import RenderableType

from flows.plan import Forecast
from flows.result import RunResult
from flows.rollback import RollbackResult
from flows.views.lines import Terminal
from flows.views.look import (
    age,
    diff_view,
    excerpt,
    facts_view,
    hits_view,
    quarantine_view,
    releases_view,
    runs_view,
)
from flows.views.parts import clean, size
from flows.views.run import CAUSES, audit_view, plan_view, refresh_view, rollback_view
from storage.diff import Difference
from storage.outcome import Outcome
from storage.reader import Hit
from tasks.release.checks import AuditResult, Check

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COUNTS = {
    "documents": 1_010,
    "added": 3,
    "changed": 2,
    "moved": 1,
    "deleted": 4,
    "unchanged": 1_000,
    "quarantined": 4,
    "duplicates": 0,
    "chunks": 5_000,
    "embedded": 12,
    "reused": 4_988,
}
WIDTHS = (40, 80, 200)


def drawn(view: RenderableType, width: int = 100) -> str:
    stream = io.StringIO()
    Terminal(file=stream, width=width).draw(view)
    return stream.getvalue()


def forecast(**changed: Any) -> Forecast:
    facts: dict[str, Any] = {
        "release": 3,
        "outcome": Outcome.PUBLISHED,
        "counts": COUNTS,
        "causes": {"new": 4, "content": 2, "moved": 1, "deleted": 4},
        "tokens": 1_234,
        "estimated_seconds": 75.0,
        "bytes": 1_500_000,
        "seconds": {"scan": 0.1},
        "message": "",
        "sources": {"notes": 1_010},
    }
    return Forecast(**(facts | changed))


def result(outcome: Outcome, **changed: Any) -> RunResult:
    facts: dict[str, Any] = {
        "run": "20260301-120000-abcdef",
        "release": 4,
        "outcome": outcome,
        "counts": COUNTS,
        "seconds": {"scan": 0.5, "embed": 2.0, "total": 2.6},
        "message": "what was said",
    }
    return RunResult(**(facts | changed))


def release(number: int, **changed: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "release": number,
        "created": NOW - timedelta(hours=number),
        "outcome": "published",
        "space": "ab" * 16,
        "run": "20260301-120000-abcdef",
        "restored": None,
        "current": False,
        "kept": True,
        "rolled_back_by": None,
        "encoder": "all-MiniLM-L6-v2",
        "stub": False,
        "bridged": None,
        "counts": COUNTS,
        "message": "",
    }
    return facts | changed


HITS = [Hit(0.71, "a.md", "notes", "[bold]A[/bold] \x1b[31mtitle", "tides rise " * 60, 0, 660, "c1" * 16)]
DIFFERENCE = Difference(
    a=1,
    b=2,
    added=[{"source": "notes", "document": f"{n}.md"} for n in range(40)],
    changed=[],
    metadata=[],
    moved=[{"source": "notes", "document": "new.md", "before": {"source": "notes", "document": "old.md"}}],
    removed=[{"source": "notes", "document": "gone.md"}],
    facts={"config.chunker.max_tokens": (256, 200)},
)
AUDIT = AuditResult(
    (Check("a.good", ok=True, detail="5 rows"), Check("b.bad", ok=False, detail="3 lost; run it again"))
)
REFUSED = {"document": "a.md", "source": "notes", "rule": "content.present", "reason": "it is empty", "attempts": 2}
VIEWS = {
    "plan": plan_view(forecast()),
    "refresh": refresh_view(result(Outcome.PUBLISHED)),
    "rollback": rollback_view(RollbackResult(5, 3, "run")),
    "audit": audit_view(AUDIT),
    "hits": hits_view(4, "tides", HITS),
    "releases": releases_view([release(2, current=True), release(1)], NOW),
    "quarantine": quarantine_view([REFUSED]),
    "diff": diff_view(DIFFERENCE),
    "facts": facts_view("release 1", {"release": 1, "config": {"store": {"uri": "x" * 300}}}),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", VIEWS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    # A single word that is wider is left to the terminal, whole.
    lines = drawn(VIEWS[name], width).splitlines()
    assert [line for line in lines if len(line) > width and len(line.split()) > 1] == []


@pytest.mark.parametrize("name", VIEWS)
def test_nothing_is_cut_off_in_a_narrow_terminal(name: str) -> None:
    assert "…" not in drawn(VIEWS[name], 40)


def test_a_plan_tells_documents_by_cause_and_what_they_cost() -> None:
    told = drawn(plan_view(forecast()))
    for words in ("would publish", "on top of release 3", "1,234", "1 min 15 s", "1.5 MB", "12 of 5,000"):
        assert words in told
    # Of four that are new where they are, one has moved there.
    assert "3  new in a source" in told
    assert f"1  {CAUSES['moved']}" in told
    assert "1,000  unchanged" in told


def test_the_rows_of_a_plan_add_up_where_all_is_written_anew() -> None:
    told = drawn(plan_view(forecast(causes={"encoder": 990, "rules": 10})))
    assert [line.split()[0] for line in told.splitlines() if line.strip()[:1].isdigit()] == ["10", "990", "0"]


def test_what_is_told_beside_a_good_outcome_is_shown_and_the_outcome_is_told_once() -> None:
    stale = "1 document is stale: its last version stays"
    for message in ("release 4 is published", "nothing changed: 0 chunks embedded"):
        assert message not in drawn(refresh_view(result(Outcome.PUBLISHED, message=message)))
        told = drawn(refresh_view(result(Outcome.PUBLISHED, message=f"{message}; {stale}")))
        assert stale in told and message not in told
    told = drawn(plan_view(forecast(message=f"a refresh would embed 1,012 chunks and re-use 3; {stale}")))
    assert stale in told and "would embed" not in told


def test_a_plan_names_a_cause_that_it_does_not_know() -> None:
    assert "7  eclipse" in drawn(plan_view(forecast(causes={"eclipse": 7})))


def test_a_plan_that_needs_approval_says_why_and_how() -> None:
    told = drawn(plan_view(forecast(outcome=Outcome.NEEDS_APPROVAL, message="source 'notes' lost 900 of 1,000")))
    assert "lost 900 of 1,000" in told
    assert "tidemark refresh --accept-deletions" in told


def test_what_needs_approval_names_the_options_that_its_message_names() -> None:
    message = "mend the source, or, if that is right, run `tidemark refresh --accept-deletions --accept-stale`"
    step = "tidemark refresh --accept-deletions --accept-stale"
    assert step in drawn(plan_view(forecast(outcome="needs-approval", message=message)), 200).splitlines()[-2]
    assert "tidemark refresh --rebuild" in drawn(
        plan_view(forecast(outcome="needs-approval", message="run `tidemark refresh --rebuild --accept-deletions`"))
    )


@pytest.mark.parametrize(
    ("outcome", "step"),
    [
        (Outcome.PUBLISHED, "tidemark diff 3 4"),
        (Outcome.UNCHANGED, 'tidemark search "..."'),
        (Outcome.NEEDS_APPROVAL, "tidemark refresh --accept-deletions"),
        (Outcome.REFUSED, "tidemark quarantine list"),
        (Outcome.FAILED, "tidemark show 20260301-120000-abcdef"),
    ],
)
def test_a_run_ends_with_what_to_do_next(outcome: Outcome, step: str) -> None:
    assert step in drawn(refresh_view(result(outcome)))


def test_a_run_shows_counts_and_the_share_of_each_stage_in_the_total() -> None:
    lines = drawn(refresh_view(result(Outcome.PUBLISHED))).splitlines()
    rows = {line.split("  ")[0]: [*line.split()[-3:-1], line.count("█")] for line in lines if "█" in line}
    # What no stage accounts for has its row; with it all shares are the whole.
    assert rows == {
        "scan": ["0.50", "19%", 6],
        "embed": ["2.00", "77%", 24],
        "start and records": ["0.10", "4%", 1],
    }
    assert [line.split() for line in lines if line.startswith("total")] == [["total", "2.60"]]
    assert any("12 embedded, 4,988 re-used" in line for line in lines)


def test_documents_are_those_indexed_and_the_others_are_told_apart() -> None:
    counts = COUNTS | {"documents": 1_011, "duplicates": 1}
    told = drawn(refresh_view(result(Outcome.PUBLISHED, counts=counts)), 120)
    assert "documents  1,006  3 added, 2 changed, 1 moved, 1,000 unchanged; apart: 4 refused, 1 duplicate" in told
    line = drawn(releases_view([release(1, counts=counts)], NOW), 160).splitlines()[3]
    assert "1,006" in line and "4 refused, 1 duplicate" in line
    record = drawn(facts_view("run r", {"counts": counts})).splitlines()
    assert [line.split() for line in record if line[:6] in ("docume", "listed", "refuse")] == [
        ["documents", "1006"],
        ["listed", "1011"],
        ["refused", "4"],
    ]


def test_a_long_message_is_cut_between_words_and_a_long_word_within() -> None:
    row = {
        "run": "r",
        "kind": "refresh",
        "started": NOW,
        "finished": NOW,
        "seconds": {},
        "outcome": "held",
        "release": 1,
    }
    for message, cut in (("since eleven " * 9, "since eleven since ..."), ("x" * 120, f"{'x' * 96} ...")):
        told = " ".join(drawn(runs_view([row | {"message": message}]), 300).split())
        assert told.endswith(cut)


def test_a_first_build_shares_and_later_ones_re_use() -> None:
    assert "chunks shared" in drawn(plan_view(forecast(release=None)))
    assert "chunks re-used" in drawn(plan_view(forecast()))
    assert "shared with equal ones" in drawn(refresh_view(result(Outcome.PUBLISHED, release=1)))
    quiet = drawn(refresh_view(result(Outcome.UNCHANGED, release=1)))  # a night after the first, which had them all
    assert "re-used" in quiet and "shared with" not in quiet


def test_a_record_of_a_run_that_ended_early_says_that_its_counts_are_the_plan() -> None:
    for outcome, planned in (("interrupted", True), ("failed", True), ("published", False)):
        told = drawn(facts_view("run r", {"run": "r", "outcome": outcome, "counts": {"embedded": 417}}))
        assert ("as planned" in told) is planned


def test_a_record_tells_counts_before_libraries() -> None:
    facts = {"libraries": {"torch": "2"}, "seconds": {"scan": 1.0, "total": 1.0}, "counts": {"chunks": 3}}
    told = drawn(facts_view("run r", facts))
    assert told.index("chunks") < told.index("scan") < told.index("torch")


def test_an_empty_list_of_releases_tells_of_the_run_that_is_at_work() -> None:
    told = drawn(releases_view([], writer="20260301-120000-abcdef"))
    assert "20260301-120000-abcdef is at work" in told
    assert "tidemark plan" not in told
    assert "20260301-120000-abcdef is at work" in drawn(releases_view([release(1)], NOW, "20260301-120000-abcdef"))


def test_a_run_that_ended_before_it_counted_is_shown_too() -> None:
    assert "refused" in drawn(refresh_view(result(Outcome.REFUSED, release=None, counts={}, seconds={})))


def test_an_audit_begins_with_what_failed() -> None:
    lines = drawn(audit_view(AUDIT)).splitlines()
    assert "1 of 2 checks failed" in lines[1]
    assert lines[4].split()[:2] == ["FAILED", "b.bad"]
    assert "run it again" in lines[4]


def test_releases_mark_the_current_one_and_what_was_taken_back() -> None:
    rows = [
        release(4, current=True, restored=2),
        release(3, rolled_back_by=4, stub=True),
        release(2),
        release(1, kept=False),
    ]
    lines = drawn(releases_view(rows, NOW), 160).splitlines()[3:]
    assert lines[0].startswith("●")
    assert "back to 2" in lines[0]
    assert "taken back by 4" in lines[1]
    assert "fake vectors" in lines[1]
    assert "no longer kept" in lines[3]


def test_the_quarantine_tells_of_which_documents_the_last_version_stays() -> None:
    lines = drawn(quarantine_view([REFUSED, REFUSED | {"document": "b.md", "stale_since": NOW}]), 200)
    assert lines.count("stays") == 2
    assert f"it is empty; last version of {NOW:%Y-%m-%d} stays" in lines
    assert "2 refused; each is tried again when its content or its rule changes; of 1 the version from before" in lines


def test_empty_lists_say_so_and_what_to_do() -> None:
    assert "tidemark refresh" in drawn(releases_view([]))
    assert "no run yet" in drawn(runs_view([]))
    assert "quarantine is empty" in drawn(quarantine_view([]))
    assert "nothing found in release 2" in drawn(hits_view(2, "x", []))


def test_runs_show_how_long_they_took_and_why_they_failed() -> None:
    rows = [
        {"run": "r2", "kind": "refresh", "started": NOW, "finished": None, "outcome": "running", "release": None}
        | {"message": None},
        {"run": "r1", "kind": "refresh", "started": NOW - timedelta(hours=3), "outcome": "failed", "release": None}
        | {"finished": NOW - timedelta(hours=2, minutes=58), "message": "OSError: disk full\nand more"},
        # Killed before its first sign of life.
        {"run": "r0", "kind": "refresh", "started": NOW, "finished": NOW, "outcome": "interrupted", "release": None}
        | {"message": "killed"},
    ]
    told = drawn(runs_view(rows, NOW))
    assert "just now" in told
    assert "3 h ago" in told
    assert "2 min 0 s" in told
    assert "OSError: disk full" in told
    assert "and more" not in told
    assert "0.0 s" not in told


def test_a_hit_cannot_steer_the_terminal_nor_the_markup() -> None:
    told = drawn(hits_view(1, "tides", HITS))
    assert "\x1b" not in told
    assert "[bold]A[/bold] [31mtitle" in told


def test_no_character_that_nobody_sees_reaches_the_terminal() -> None:
    unseen = "\u200b\u202e\u2066\u2028\ufeff\U000e0041\U000e0100"
    hit = replace(HITS[0], document=f"a{unseen}.md", title=f"b{unseen}", text=f"tides{unseen} rise")
    told = drawn(hits_view(1, f"tides{unseen}", [hit]))
    told += drawn(quarantine_view([REFUSED | {"document": f"c{unseen}.md", "reason": unseen}]))
    told += drawn(diff_view(replace(DIFFERENCE, added=[{"source": "notes", "document": f"d{unseen}.md"}])))
    assert not set(told) & set(unseen)
    assert (
        clean("\U0001f469\u200d\U0001f52c \u0645\u06cc\u200c\u062e")
        == "\U0001f469\u200d\U0001f52c \u0645\u06cc\u200c\u062e"
    )


def test_a_name_stays_on_one_line_and_is_cut_where_it_is_long() -> None:
    forged, endless = "nl\n+ notes/forged.md", "x" * 100_000
    lines = drawn(diff_view(replace(DIFFERENCE, added=[{"source": "notes", "document": forged}])), 200).splitlines()
    assert "+ notes/nl\\n+ notes/forged.md" in [line.strip() for line in lines]
    assert "nl\\n+ notes/" in drawn(quarantine_view([REFUSED | {"document": forged}]), 200)
    assert "nl\\n+ notes/" in drawn(hits_view(1, "x", [replace(HITS[0], title=None, document=forged)]), 200)
    for view in (
        quarantine_view([REFUSED | {"document": endless}]),
        hits_view(1, "x", [replace(HITS[0], document=endless)]),
    ):
        assert drawn(view).count("x") < 1_000


def test_what_was_passed_over_is_told_by_source() -> None:
    passed = {"notes": {"unknown suffix .pdf": 2_000, "hidden": 1}}
    for view in (plan_view(forecast(passed_over=passed)), refresh_view(result(Outcome.PUBLISHED, passed_over=passed))):
        assert "passed over in notes  2,000 unknown suffix .pdf, 1 hidden" in drawn(view, 120)


def test_an_excerpt_is_the_passage_with_the_words_of_the_query() -> None:
    text = "filler words " * 100 + "The tide at the harbour rises. " + "other words " * 100
    shown = excerpt(text, "harbour tide", 120)
    assert "The tide at the harbour rises." in shown.plain
    assert len(shown.plain) <= 130
    marked = {shown.plain[span.start : span.end] for span in shown.spans if "bold" in str(span.style)}
    assert marked == {"tide", "harbour"}


def test_a_short_text_is_shown_whole() -> None:
    assert excerpt("  a\n\n b  ", "zebra").plain == "a b"


def test_an_excerpt_of_one_endless_word_is_cut() -> None:
    assert len(excerpt("x" * 100_000, "tide", 100).plain) < 120


def test_a_difference_names_some_documents_and_counts_the_rest() -> None:
    told = drawn(diff_view(DIFFERENCE))
    assert "40 added, 1 moved, 1 removed" in told
    assert "and 25 more added" in told
    assert "notes/old.md is now notes/new.md" in told
    assert "config.chunker.max_tokens" in told


def test_a_record_leaves_out_what_is_empty_and_keeps_zero() -> None:
    told = drawn(facts_view("run r", {"a": 0, "b": None, "c": "", "d": [], "e": {"x": None, "y": False}}))
    assert told.split() == ["run", "r", "a", "0", "e", "y", "false"]


def test_ages_and_sizes_are_written_as_people_read_them() -> None:
    ages = [age(NOW - timedelta(seconds=seconds), NOW) for seconds in (5, 300, 7200)]
    assert ages == ["just now", "5 min ago", "2 h ago"]
    assert age(NOW - timedelta(days=9), NOW).startswith("2026-02-20")
    assert [size(count) for count in (812, 4_100_000, 2.5e9, 1e13)] == ["812 bytes", "4.1 MB", "2.5 GB", "10.0 TB"]
    assert clean("a\x00b\x1b[0mc\u009bd\te") == "ab[0mcd\te"
