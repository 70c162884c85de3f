"""What must be read: fingerprints compared, nothing opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.hashing import document_key
from storage.tables.documents import EMPTY_LEDGER, LEDGER
from storage.tables.quarantine import HELD, QUARANTINE
from tasks.ingest.plan import SOURCE_BROKEN, Plan, classify
from tasks.ingest.scan import LISTED

NIGHT = datetime(2026, 1, 31, tzinfo=UTC)
JUDGED = {"notes": "rules1", "wiki": "rules1"}


def listed(*rows: dict[str, object]) -> pl.DataFrame:
    plain = {"source": "notes", "occurrence": 1, "revision": "r1", "problem": None}
    full = [plain | row for row in rows]
    for row in full:
        row["key"] = document_key(str(row["source"]), str(row["id"]))
        row["row"] = row["key"] if row["occurrence"] == 1 else f"{row['key']}#{row['occurrence']}"
    return pl.DataFrame([{name: row[name] for name in LISTED} for row in full], schema=LISTED)


def ledger(*rows: dict[str, object]) -> pl.DataFrame:
    plain = dict.fromkeys(LEDGER) | {"source": "notes", "revision": "r1", "judged": "rules1"}
    full = [plain | row for row in rows]
    for row in full:
        row["key"] = document_key(str(row["source"]), str(row["id"]))
    return pl.DataFrame(full, schema=EMPTY_LEDGER.schema)


def quarantined(*rows: dict[str, object]) -> pl.DataFrame:
    plain = {"source": "notes", "revision": "r1", "rule": "content-present", "judged": "rules1", "defect": True}
    plain |= {"stale_since": None, "first_seen": NIGHT, "last_seen": NIGHT}
    full = [plain | {"key": document_key("notes", str(row["id"])), "document": row["id"]} | row for row in rows]
    schema = pa.schema([QUARANTINE.field(name) for name in HELD])
    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(full, schema)))


def causes(plan: Plan) -> dict[str, str]:
    return dict(pl.concat([part.select("id", "cause") for part in (plan.candidates, plan.held)]).iter_rows())


@pytest.mark.parametrize(
    ("item", "cause"),
    [
        ({"id": "same"}, None),
        ({"id": "fresh"}, "new"),
        ({"id": "same", "revision": "r2"}, "revision"),
        ({"id": "old-rules"}, "rules"),
        ({"id": "old-rules", "revision": "r2"}, "revision"),
        ({"id": "same", "source": "wiki"}, "new"),
    ],
)
def test_each_document_has_one_cause(item: dict[str, object], cause: str | None) -> None:
    known = ledger({"id": "same"}, {"id": "old-rules", "judged": "rules0"})
    found = classify(listed(item), known, quarantined(), JUDGED)
    assert causes(found) == ({} if cause is None else {item["id"]: cause})
    assert found.same == (cause is None)


@pytest.mark.parametrize(
    ("row", "item", "cause"),
    [
        ({}, {}, "held"),
        ({}, {"revision": "r2"}, "new"),
        ({"judged": "rules0"}, {}, "new"),
        ({"rule": "readable"}, {}, "new"),  # it could not be read: perhaps it can now
        ({"rule": "readable"}, {"problem": "not valid JSON"}, "held"),  # the listing itself says what is wrong
    ],
)
def test_what_was_refused_is_tried_again_when_row_or_rules_changed(
    row: dict[str, str], item: dict[str, object], cause: str
) -> None:
    found = classify(listed({"id": "a"} | item), EMPTY_LEDGER, quarantined({"id": "a"} | row), JUDGED)
    assert causes(found) == {"a": cause}


def test_a_repeated_row_is_compared_with_itself_and_not_with_its_document() -> None:
    first, second = {"id": "a"}, {"id": "a", "occurrence": 2}
    found = classify(listed(first, second), ledger(first), quarantined(), JUDGED)
    assert (found.same, found.candidates.select("id", "occurrence", "cause").rows()) == (1, [("a", 2, "new")])
    key = document_key("notes", "a")
    found = classify(listed(first, second), ledger(first), quarantined({"id": "a", "key": f"{key}#2"}), JUDGED)
    assert (found.same, found.held.height, found.candidates.height) == (1, 1, 0)


def test_what_is_listed_no_more_is_gone_also_with_its_source() -> None:
    known = ledger({"id": "a"}, {"id": "b"}, {"id": "a", "source": "dropped"})
    found = classify(listed({"id": "a"}), known, quarantined(), {"notes": "rules1"})
    assert found.gone.select("source", "id").rows() == [("notes", "b"), ("dropped", "a")]


def test_new_rules_of_one_source_concern_that_source_alone() -> None:
    rows = [{"id": "a"}, {"id": "a", "source": "wiki"}]
    found = classify(listed(*rows), ledger(*rows), quarantined(), JUDGED | {"wiki": "rules2"})
    assert found.candidates.select("source", "cause").rows() == [("wiki", "rules")]
    assert found.same == 1


@pytest.mark.parametrize(
    ("row", "known", "stays"),
    [
        ({}, {"revision": "r0"}, True),  # an empty file is broken: the version before it stays
        ({"defect": None}, {"revision": "r0"}, True),  # a row of before that column: its rule says so
        ({"defect": False}, {"revision": "r0"}, False),  # a policy
        ({"defect": None, "rule": "content-length"}, {"revision": "r0"}, False),
        ({}, {"revision": "r1", "judged": "rules0"}, False),  # the very version that is refused now
        ({}, None, False),  # the index has none
    ],
)
def test_a_held_row_leaves_the_version_of_the_index_where_it_is_if_it_is_broken(
    row: dict[str, object], known: dict[str, object] | None, stays: bool
) -> None:
    before = EMPTY_LEDGER if known is None else ledger({"id": "a"} | known)
    found = classify(listed({"id": "a"}), before, quarantined({"id": "a"} | row), JUDGED)
    assert found.held["stays"].to_list() == [stays]


def test_what_was_stale_before_is_told_with_its_night_while_the_index_has_a_version() -> None:
    rows = quarantined(
        {"id": "a", "stale_since": NIGHT},
        {"id": "b"},
        {"id": "c", "defect": None, "first_seen": NIGHT - timedelta(days=3)},  # of before these columns
        {"id": "gone", "stale_since": NIGHT},
    )
    known = ledger(*({"id": name, "revision": "r0"} for name in "abc"))
    found = classify(listed({"id": "a"}, {"id": "b"}, {"id": "c"}), known, rows, JUDGED)
    since = {document_key("notes", "a"): NIGHT, document_key("notes", "c"): NIGHT - timedelta(days=3)}
    assert dict(found.stale_since.iter_rows()) == since


TORN = {"id": "rows.jsonl#L6", "problem": "rows.jsonl line 6: not valid JSON", "revision": "torn"}
OLD = {"id": "rows.jsonl#L6", "rule": "readable", "revision": "torn"}  # that line, as the quarantine has it
KEPT_A = {"id": "a", "rule": SOURCE_BROKEN, "revision": None}


@pytest.mark.parametrize(
    ("rows", "held", "kept"),
    [
        ([TORN], [], ["a", "b"]),  # broken tonight: nothing is lost
        ([TORN], [OLD], []),  # broken since always: deletions are deletions
        ([TORN | {"id": "rows.jsonl#L4"}], [OLD], []),  # the old line moved up, since a line above it was deleted
        ([TORN, TORN | {"id": "rows.jsonl#L9"}], [OLD], ["a", "b"]),  # one more of the same
        ([TORN | {"revision": "torn otherwise"}], [OLD], ["a", "b"]),
        ([TORN], [OLD, KEPT_A], ["a"]),  # kept before, and the source is still not whole
        ([], [OLD, KEPT_A], []),  # whole again, and does not list it: gone
        ([TORN | {"id": "c"}], [KEPT_A], ["a"]),  # a broken row of a known document hides no other
        ([TORN | {"source": "wiki"}], [], []),  # another source is broken
    ],
)
def test_a_source_that_is_broken_in_part_loses_nothing_unasked(
    rows: list[dict[str, object]], held: list[dict[str, object]], kept: list[str]
) -> None:
    known = ledger({"id": "a"}, {"id": "b"}, {"id": "c"})
    items = [{"id": "c"}, *rows] if all(row["id"] != "c" for row in rows) else rows
    found = classify(listed(*items), known, quarantined(*held), JUDGED)
    assert found.kept["id"].to_list() == kept
    assert found.gone["id"].to_list() == [name for name in ("a", "b") if name not in kept]
    asked = classify(listed(*items), known, quarantined(*held), JUDGED, keep=False)
    assert (asked.kept["id"].to_list(), asked.gone["id"].to_list()) == ([], ["a", "b"])


def test_a_document_that_is_kept_and_listed_again_is_compared_with_the_ledger_and_not_held() -> None:
    known = ledger({"id": "a"})
    assert classify(listed({"id": "a"}), known, quarantined(KEPT_A), JUDGED).same == 1
    found = classify(listed({"id": "a", "revision": "r2"}), known, quarantined(KEPT_A), JUDGED)
    assert causes(found) == {"a": "revision"}


NAMES = st.sampled_from("abcdef")
REVISIONS = st.sampled_from(["r1", "r2"])
RULES = st.sampled_from(["rules0", "rules1"])
STATES = st.dictionaries(NAMES, st.tuples(REVISIONS, RULES))


@settings(max_examples=50, deadline=None)
@given(now=st.lists(st.tuples(NAMES, REVISIONS), max_size=10), before=STATES, refused=STATES)
def test_every_listed_row_has_one_fate_and_every_ledger_row_another(
    now: list[tuple[str, str]], before: dict[str, tuple[str, str]], refused: dict[str, tuple[str, str]]
) -> None:
    times: dict[str, int] = {}
    items: list[dict[str, object]] = []
    for name, revision in now:
        times[name] = times.get(name, 0) + 1
        items.append({"id": name, "revision": revision, "occurrence": times[name]})
    known = ledger(*({"id": name, "revision": r, "judged": j} for name, (r, j) in before.items()))
    found = classify(
        listed(*items),
        known,
        quarantined(*({"id": n, "revision": r, "judged": j} for n, (r, j) in refused.items())),
        JUDGED,
    )
    rows = listed(*items)["row"].to_list()
    assert found.counts == {
        "candidates": found.candidates.height,
        "same": len(rows) - found.candidates.height - found.held.height,
        "held": found.held.height,
        "gone": len(set(before) - set(times)),
        "kept": 0,
    }
    fates = [*found.candidates["row"], *found.held["row"]]
    assert len(set(fates)) == len(fates)
    assert set(fates) <= set(rows)
