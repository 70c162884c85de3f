"""Limits that stop a run before it publishes."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from storage.outcome import Outcome
from tasks.curate.gate import LimitsConfig, losses, staleness
from tasks.verdict import NeedsApproval, Refused, Verdict


def sources(door: str = "gone", **counts: int) -> pl.DataFrame:
    rows = [(name, f"{name}{n}.md", door) for name, count in counts.items() for n in range(count)]
    return pl.DataFrame(rows, {"source": pl.String, "id": pl.String, "door": pl.String}, orient="row")


def test_the_limits_are_a_fifth_lost_and_a_half_refused() -> None:
    limits = LimitsConfig()
    assert (limits.max_lost_share, limits.max_refused_share, limits.refused_floor) == (0.2, 0.5, 10)
    assert (limits.max_stale_share, limits.stale_floor) == (0.2, 2)


@pytest.mark.parametrize(
    ("lost", "listed", "stops"),
    [
        ({}, {"notes": 10}, False),
        ({"notes": 2}, {"notes": 8}, False),  # a fifth is allowed
        ({"notes": 3}, {"notes": 7}, True),
        ({"notes": 3}, {"notes": 97}, True),  # what came does not make up for what went
        ({"notes": 1}, {"notes": 0}, True),  # it lists nothing
        ({"notes": 1}, {"notes": 9, "wiki": 0}, False),  # another source was empty before
    ],
)
def test_a_source_may_lose_its_share(lost: dict[str, int], listed: dict[str, int], stops: bool) -> None:
    assert bool(losses(sources(notes=10), sources(**lost), listed, 0.2)) == stops


def test_a_source_that_lists_nothing_stops_whatever_share_is_allowed() -> None:
    [reason] = losses(sources(notes=4), sources(notes=4), {"notes": 0}, 1.0)
    assert reason == (
        "source 'notes' lost 4 of its 4 documents (100%; allowed 100%) and lists 0 now "
        '(4 gone: "notes0.md", "notes1.md", "notes2.md" and 1 more)'
    )


def test_a_source_that_is_configured_no_more_is_named() -> None:
    [reason] = losses(sources(notes=4, wiki=2), sources(wiki=2), {"notes": 4}, 0.2)
    assert reason == (
        "source 'wiki' lost 2 of its 2 documents (100%; allowed 20%) and is not configured any more "
        '(2 gone: "wiki0.md", "wiki1.md")'
    )


def test_every_source_is_judged_by_itself() -> None:
    reasons = losses(sources(a=100, b=4, c=4), sources(a=10, b=2, c=1), {"a": 90, "b": 2, "c": 3}, 0.2)
    assert [reason.split("'")[1] for reason in reasons] == ["b", "c"]


def test_what_leaves_is_counted_by_whatever_door() -> None:
    lost = pl.concat([sources(notes=2), sources("refused", notes=1)])
    [reason] = losses(sources(notes=10), lost, {"notes": 8}, 0.2)
    assert "lost 3 of its 10 documents (30%; allowed 20%) and lists 8 now (2 gone, 1 refused: " in reason


@pytest.mark.parametrize(
    ("stale", "limits", "stops"),
    [
        ({}, {}, False),
        ({"notes": 2}, {}, False),  # a fifth is allowed
        ({"notes": 3}, {}, True),
        ({"wiki": 2}, {}, False),  # a handful never stops a night, though it be all
        ({"wiki": 2}, {"stale_floor": 1}, True),
        ({"notes": 3}, {"max_stale_share": 0.3}, False),
    ],
)
def test_a_share_of_a_source_may_break_at_once(stale: dict[str, int], limits: dict[str, Any], stops: bool) -> None:
    assert bool(staleness(sources(notes=10, wiki=2), sources(**stale), LimitsConfig(**limits))) == stops


def test_the_reason_names_source_count_share_limit_and_documents() -> None:
    [reason] = staleness(sources(notes=10), sources(notes=5), LimitsConfig())
    assert reason == (
        "source 'notes' is broken in 5 of its 10 documents, whose last versions would go on answering (50%; allowed "
        '20%: "notes0.md", "notes1.md", "notes2.md" and 2 more)'
    )


def test_verdicts_become_what_the_run_ends_with() -> None:
    Verdict(Outcome.PASSED).enforce()
    with pytest.raises(Refused, match="one; two"):
        Verdict(Outcome.REFUSED, ("one", "two")).enforce()
    with pytest.raises(NeedsApproval, match="three"):
        Verdict(Outcome.NEEDS_APPROVAL, ("three",)).enforce()
