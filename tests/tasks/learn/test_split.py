"""The split into train, dev and test."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.hashing import digest
from tasks.learn.split import PLACES, Division, divide

ALIKE = {"a": pl.String, "b": pl.String}
NO_ALIKE = pl.DataFrame(schema=ALIKE)

# Each question is of one document of a few; some documents are in groups, some are judged.
PAIR = st.tuples(
    st.integers(0, 30),
    st.sampled_from([None, "notes/a", "notes/b", "notes/c", "notes/d"]),
    st.integers(0, 60),
    st.sampled_from([None, None, None, "train", "dev", "test"]),
)
PAIRS = st.lists(PAIR, max_size=40, unique_by=lambda pair: (pair[0], pair[2]))
LINKS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)


def frame(pairs: list[tuple[Any, ...]]) -> pl.DataFrame:
    groups: dict[int, str | None] = {}
    rows = [
        (digest(f"{c} {q} {fixed}"), "notes", digest(f"c{c}"), groups.setdefault(c, g), digest(f"q{q}"), fixed)
        for c, g, q, fixed in pairs
    ]
    return pl.DataFrame(rows, schema=PLACES, orient="row")


def linked(links: list[tuple[int, int]]) -> pl.DataFrame:
    return pl.DataFrame([(digest(f"c{a}"), digest(f"c{b}")) for a, b in links], schema=ALIKE, orient="row")


def parts(division: Division) -> dict[str, str]:
    return dict(division.placed.select("id", "split").iter_rows())


def many(count: int, group: str | None = None, first: int = 0) -> list[tuple[Any, ...]]:
    return [(number, group, number, None) for number in range(first, first + count)]


@settings(max_examples=60, deadline=None)
@given(PAIRS, LINKS)
def test_no_cluster_is_trained_on_and_judged_by(pairs: list[tuple[Any, ...]], links: list[tuple[int, int]]) -> None:
    given_ = frame(pairs)
    found = divide(given_, linked(links), dev=0.2, test=0.2)
    assert found.placed.height + sum(found.dropped.values()) == given_.height
    assert set(found.placed["split"]) <= {"train", "dev", "test"}
    whole = found.placed.join(given_, on="id")
    for column in ("cluster", "content", "asked"):
        for _, rows in whole.group_by(column):
            held = set(rows["split"]) & {"dev", "test"}
            assert not ("train" in rows["split"] and held)
    for a, b in linked(links).iter_rows():
        ends = whole.filter(pl.col("content").is_in([a, b]))
        assert ends["cluster"].n_unique() <= 1
    free = whole.filter(pl.col("fixed").is_null())
    for _, rows in free.group_by("cluster"):
        assert rows["split"].n_unique() == 1
    if not found.notes:
        for _, rows in free.filter(pl.col("group").is_not_null()).group_by("group"):
            assert rows["split"].n_unique() == 1
    kept = whole.filter(pl.col("fixed").is_not_null())
    assert kept["fixed"].to_list() == kept["split"].to_list()


@settings(max_examples=30, deadline=None)
@given(PAIRS, LINKS, st.randoms())
def test_the_order_of_pairs_is_nothing_to_the_split(
    pairs: list[tuple[Any, ...]], links: list[tuple[int, int]], random: Any
) -> None:
    first = frame(pairs)
    again = first.sample(fraction=1, shuffle=True, seed=random.randrange(1_000))
    found, other = (divide(rows, linked(links), dev=0.2, test=0.2) for rows in (first, again))
    assert found.placed.sort("id").equals(other.placed.sort("id"))
    assert (found.dropped, found.notes) == (other.dropped, other.notes)


def test_shares_are_about_those_that_were_asked_for() -> None:
    found = divide(frame(many(4_000)), NO_ALIKE, dev=0.1, test=0.2)
    counts = dict(found.placed["split"].value_counts().iter_rows())
    assert 700 < counts["test"] < 900
    assert 330 < counts["dev"] < 470


def test_new_documents_move_no_old_ones() -> None:
    old = [*many(200), *many(50, "notes/a", 200), *many(50, "notes/b", 250)]
    new = [*many(80, None, 300), *many(40, "notes/a", 400), *many(60, "notes/c", 500)]
    before, after = (parts(divide(frame(rows), NO_ALIKE, dev=0.1, test=0.2)) for rows in (old, old + new))
    assert {name: after[name] for name in before} == before


def test_a_cluster_that_reaches_into_two_groups_stays_in_one() -> None:
    rows = [*many(10, "notes/a"), *many(10, "notes/b", 10), *many(10, "notes/c", 20)]
    found = divide(frame(rows), linked([(0, 10), (1, 20)]), dev=0.1, test=0.2)
    assert found.dropped == {"spanning": 2}
    assert found.placed.height == 28


def test_one_group_that_is_the_source_is_split_by_its_clusters() -> None:
    found = divide(frame(many(300, "notes/a")), linked([(0, 1), (1, 2)]), dev=0.1, test=0.2)
    assert set(found.placed["split"]) == {"train", "dev", "test"}
    assert found.notes == (
        "source 'notes': the group 'notes/a' holds 300 of 300 pairs, so its clusters are split instead",
    )


def test_few_components_still_have_every_part() -> None:
    rows = [*many(10, "notes/a"), *many(10, "notes/b", 10), *many(10, "notes/c", 20), *many(9, "notes/d", 30)]
    found = divide(frame(rows), NO_ALIKE, dev=0.01, test=0.01)
    assert set(found.placed["split"]) == {"train", "dev", "test"}


def test_judged_pairs_keep_their_part_and_their_documents_are_not_trained_on() -> None:
    judged = [(0, None, 900, "test"), (0, None, 901, "train"), (1, None, 902, "train"), (2, None, 903, "dev")]
    found = divide(frame([*many(40), *judged]), NO_ALIKE, dev=0.1, test=0.2)
    of = parts(found)
    assert of[digest("0 900 test")] == of[digest("0 0 None")] == "test"
    assert of[digest("2 903 dev")] == of[digest("2 2 None")] == "dev"
    assert of[digest("1 902 train")] == "train"
    assert digest("0 901 train") not in of
    assert found.dropped["judged"] >= 1


def test_a_judged_document_holds_its_group_back() -> None:
    groups = [row for number, name in enumerate("abcdefgh") for row in many(10, f"notes/{name}", number * 10)]
    found = divide(frame([*groups, (5, "notes/a", 900, "test")]), NO_ALIKE, dev=0.1, test=0.2)
    assert {parts(found)[digest(f"{number} {number} None")] for number in range(10)} == {"test"}


def test_judged_documents_in_most_groups_hold_back_no_more_than_themselves() -> None:
    groups = [row for number, name in enumerate("abcd") for row in many(100, f"notes/{name}", number * 100)]
    judged = [(number * 100, f"notes/{name}", 900 + number, "test") for number, name in enumerate("abc")]
    found = divide(frame([*groups, *judged]), NO_ALIKE, dev=0.1, test=0.2)
    assert "judged sets hold back groups" in found.notes[0]
    assert found.placed.filter(pl.col("split") == "train").height > 200


def test_nothing_is_split_into_nothing() -> None:
    found = divide(frame([]), NO_ALIKE, dev=0.1, test=0.2)
    assert (found.placed.height, found.dropped, found.notes) == (0, {}, ())
