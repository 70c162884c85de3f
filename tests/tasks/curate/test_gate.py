"""Limits that stop a run before it publishes."""

from __future__ import annotations

import polars as pl
import pytest

from storage.outcome import Outcome
from tasks.curate.gate import LimitsConfig, losses
from tasks.verdict import NeedsApproval, Refused, Verdict


def sources(**counts: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"source": [name for name, count in counts.items() for _ in range(count)]}, {"source": pl.String}
    )


def test_the_limits_are_a_fifth_lost_and_a_half_refused() -> None:
    limits = LimitsConfig()
    assert (limits.max_lost_share, limits.max_refused_share, limits.refused_floor) == (0.2, 0.5, 10)


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
    assert reason == "source 'notes' lost 4 of its 4 documents (100%; allowed 100%) and lists 0 now"


def test_a_source_that_is_configured_no_more_is_named() -> None:
    [reason] = losses(sources(notes=4, wiki=2), sources(wiki=2), {"notes": 4}, 0.2)
    assert reason == "source 'wiki' lost 2 of its 2 documents (100%; allowed 20%) and is not configured any more"


def test_every_source_is_judged_by_itself() -> None:
    reasons = losses(sources(a=100, b=4, c=4), sources(a=10, b=2, c=1), {"a": 90, "b": 2, "c": 3}, 0.2)
    assert [reason.split("'")[1] for reason in reasons] == ["b", "c"]


def test_verdicts_become_what_the_run_ends_with() -> None:
    Verdict(Outcome.PASSED).enforce()
    with pytest.raises(Refused, match="one; two"):
        Verdict(Outcome.REFUSED, ("one", "two")).enforce()
    with pytest.raises(NeedsApproval, match="three"):
        Verdict(Outcome.NEEDS_APPROVAL, ("three",)).enforce()
