"""Whose turn a file is: each comes once in seven runs, whatever is published beside them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from drafts import drafted
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.tables.releases import Release
from tasks.release.proof import NIGHTS, due

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
PROVED = {"checks": [{"name": "files.base", "ok": True, "detail": ""}]}


def release(seq: int, **facts: Any) -> Release:
    draft = drafted({"documents": 1}, **facts)
    return Release(seq=seq, created=WHEN, tag=f"rel-{seq}", **{name: getattr(draft, name) for name in asdict(draft)})


@settings(deadline=None)
@given(
    file=st.text(min_size=1),
    events=st.lists(st.sampled_from(("night", "night", "night", "rollback", "reranker", "lost")), max_size=60),
    keep=st.integers(2, 12),
)
def test_any_seven_runs_prove_a_file_whatever_comes_between(file: str, events: list[str], keep: int) -> None:
    line, waiting = [release(2, audit=PROVED), release(1)], 0
    for event in events:
        # Lost: an older copy of the releases was put back, so that the night skips the numbers that are given already.
        seq = line[0].seq + (4 if event == "lost" else 1)
        if event in ("night", "lost"):
            waiting = 0 if due(file, line) else waiting + 1
            assert waiting < NIGHTS
            line.insert(0, release(seq, audit=PROVED))
        elif event == "rollback":  # it carries the checks of what it gives back
            line.insert(0, release(seq, audit=PROVED, restored=line[-1].seq))
        else:  # a re-ranker
            line.insert(0, release(seq, audit={"checks": []}))
        line = line[:keep]


@settings(deadline=None)
@given(file=st.text(min_size=1))
def test_a_file_is_left_unread_in_six_of_seven_nights(file: str) -> None:
    releases = [release(seq, audit=PROVED) for seq in range(1, 40)]
    lines = [releases[at::-1] for at in range(1, len(releases))]
    assert sum(due(file, line) for line in lines[NIGHTS : 4 * NIGHTS]) == 3


def test_where_nothing_is_known_of_the_past_every_file_is_due() -> None:
    assert due("data/a.lance", [release(5, audit=PROVED)])
    assert due("data/a.lance", [release(5, restored=3), release(4, audit=PROVED)])
