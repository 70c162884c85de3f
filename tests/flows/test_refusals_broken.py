"""Nights of sources that are broken in part: what their broken rows may hide is not lost unasked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from corpus import configure, counted, documents, found, held, item, night, prose, save, script
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.audit import audit
from flows.config.schema import Config
from flows.plan import plan
from flows.refresh import RunResult
from storage.tables.quarantine import Quarantine
from storage.tables.store import Store

COUNT = 40


def lines() -> list[str]:
    return [json.dumps({"id": f"r{n}", "body": prose(f"row{n}")}) for n in range(COUNT)]


def jsonl(base: Path, content: list[str] | str) -> Config:
    """A table of JSON lines."""
    save(base, {"rows.jsonl": content if isinstance(content, str) else "\n".join(content) + "\n"})
    columns = {"id": "id", "text": "body"}
    return configure(
        base, sources=[{"name": "rows", "kind": "jsonl", "path": "rows.jsonl", "columns": columns}], limits={}
    )


def csv(base: Path, content: list[str]) -> Config:
    """A table of CSV."""
    save(base, {"rows.csv": "\n".join(["id,body", *content]) + "\n"})
    columns = {"id": "id", "text": "body"}
    return configure(base, sources=[{"name": "rows", "kind": "csv", "path": "rows.csv", "columns": columns}], limits={})


def told(result: RunResult) -> tuple[str, dict[str, int], int, int]:
    """Outcome, counts of documents, how many are stale and how many of those are not listed."""
    return result.outcome, counted(result), result.counts["stale"], result.counts["unlisted"]


def kept(config: Config) -> list[str]:
    """Documents that are kept although nobody lists them."""
    rows = Quarantine(Store(config.store.uri)).all()
    return sorted(row["document"] for row in rows if row["rule"] == "source-broken" and row["stale_since"])


def test_a_line_that_is_cut_keeps_the_document_that_it_held_until_the_table_is_whole(tmp_path: Path) -> None:
    whole = lines()
    night(jsonl(tmp_path, whole))
    config = jsonl(tmp_path, [line[:-20] if n == 5 else line for n, line in enumerate(whole)])
    assert told(night(config)) == ("unchanged", {"unchanged": COUNT, "quarantined": 1}, 1, 1)
    assert found(config, "The row5 of row 1", 1)[0].document == "r5"
    [row] = [row for row in Quarantine(Store(config.store.uri)).all() if row["rule"] == "source-broken"]
    assert (row["document"], row["defect"], row["revision"]) == ("r5", True, None)
    assert row["reason"].startswith(
        "is not listed any more while its source has broken rows, in which it may be (rows.jsonl line 6: not valid JSON"
    )
    assert "or let it go with `tidemark refresh --accept-deletions`" in row["reason"]
    assert told(night(config)) == ("unchanged", {"unchanged": COUNT, "quarantined": 1}, 1, 1)
    assert audit(config, deep=True).failed == []

    assert told(night(jsonl(tmp_path, whole))) == ("unchanged", {"unchanged": COUNT}, 0, 0)
    assert held(config) == []
    gone = night(jsonl(tmp_path, [line for n, line in enumerate(whole) if n != 5]))
    assert told(gone) == ("published", {"unchanged": COUNT - 1, "deleted": 1}, 0, 0)


def test_a_document_that_is_kept_goes_when_its_source_is_whole_again_without_it(tmp_path: Path) -> None:
    whole = lines()
    night(jsonl(tmp_path, whole))
    torn = [line[:-20] if n == 5 else line for n, line in enumerate(whole)]
    night(jsonl(tmp_path, torn))
    later = jsonl(tmp_path, torn[:-1])  # a real deletion, while the line is still torn: an old fault, so it goes
    assert told(night(later)) == ("published", {"unchanged": COUNT - 1, "quarantined": 1, "deleted": 1}, 1, 1)
    config = jsonl(tmp_path, [line for n, line in enumerate(torn[:-1]) if n != 5])
    assert told(night(config)) == ("published", {"unchanged": COUNT - 2, "deleted": 1}, 0, 0)
    assert (held(config), "rows/r5" in documents(config)) == ([], False)


def test_deletions_that_are_approved_take_what_a_broken_source_does_not_list(tmp_path: Path) -> None:
    whole = lines()
    night(jsonl(tmp_path, whole))
    config = jsonl(tmp_path, [line[:-20] if n == 5 else line for n, line in enumerate(whole)])
    night(config)
    agreed = night(config, accept_deletions=True)
    assert told(agreed) == ("published", {"unchanged": COUNT - 1, "quarantined": 1, "deleted": 1}, 0, 0)
    assert [rule for _, rule, _ in held(config)] == ["readable"]


def test_a_file_that_is_cut_loses_nothing(tmp_path: Path) -> None:
    config = jsonl(tmp_path, lines())
    night(config)
    raw = (tmp_path / "rows.jsonl").read_text()
    result = night(jsonl(tmp_path, raw[: int(len(raw) * 0.85)]))
    assert (result.outcome, result.counts["deleted"], len(documents(config))) == ("unchanged", 0, COUNT)
    assert result.counts["unlisted"] == len(kept(config)) > 4


@pytest.mark.parametrize("at", [38, 5])
def test_an_unclosed_quote_loses_no_row_that_it_swallows(tmp_path: Path, at: int) -> None:
    whole = [f"r{n},{prose(f'row{n}', 1).splitlines()[-1]}" for n in range(COUNT)]
    night(csv(tmp_path, whole))
    config = csv(tmp_path, [f'r{n},"An opening quote only' if n == at else row for n, row in enumerate(whole)])
    forecast = plan(config)
    result = night(config)
    hidden = [f"r{n}" for n in range(at, COUNT)]
    assert (forecast.outcome, forecast.causes["stale"]) == (result.outcome, len(hidden))
    assert result.outcome == ("unchanged" if at == 38 else "needs-approval")
    assert kept(config) == ([] if at == 5 else hidden)
    agreed = night(config, accept_stale=True)
    assert told(agreed) == ("unchanged", {"unchanged": COUNT, "quarantined": 1}, len(hidden), len(hidden))
    assert kept(config) == sorted(hidden)
    assert told(night(csv(tmp_path, whole))) == ("unchanged", {"unchanged": COUNT}, 0, 0)


def test_a_row_with_too_many_values_keeps_its_document(tmp_path: Path) -> None:
    whole = [f"r{n},{prose(f'row{n}', 1).splitlines()[-1]}" for n in range(COUNT)]
    night(csv(tmp_path, whole))
    config = csv(tmp_path, [f"{row},more" if n == 5 else row for n, row in enumerate(whole)])
    result = night(config)
    assert (result.outcome, result.counts["stale"], len(documents(config))) == ("unchanged", 1, COUNT)


def test_a_line_that_was_never_sound_stops_no_deletion_of_later_nights(tmp_path: Path) -> None:
    whole = ["# exported by hand", *lines()]
    night(jsonl(tmp_path, whole))
    for gone, left in ((3, COUNT - 1), (0, COUNT - 2)):  # the comment moves up when a line above it goes
        whole.pop(gone + 1)
        whole.append(whole.pop(0))
        result = night(jsonl(tmp_path, whole))
        assert told(result) == ("published", {"unchanged": left, "quarantined": 1, "deleted": 1}, 0, 0)


ROWS = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["good", "other", "broken", "unwanted"]))
LINES = st.lists(st.sampled_from(["torn 1", "torn 2"]), max_size=2)
NIGHTS = st.lists(st.tuples(ROWS, LINES, st.booleans()), min_size=2, max_size=5)


class Model:
    """What the index holds by the rules, told in a page: the oracle of the test below."""

    def __init__(self) -> None:
        self.index: dict[str, str] = {}
        self.kept: set[str] = set()
        self.torn: list[str] = []
        self.stale: set[str] = set()

    def night(self, rows: dict[str, str], torn: list[str], accept: bool) -> None:
        """Take one night in."""
        hidden = {name for name in self.index if name not in rows}
        unknown = torn + [f"row {name}" for name, kind in rows.items() if kind == "broken" and name not in self.index]
        fresh = any(unknown.count(one) > self.torn.count(one) for one in unknown)
        whole = not torn and "broken" not in rows.values()
        self.kept = set() if accept or whole else {name for name in hidden if fresh or name in self.kept}
        self.stale = {name for name in self.index if rows.get(name) == "broken"} | self.kept
        sound = {name: kind for name, kind in rows.items() if kind in ("good", "other")}
        self.index = {name: self.index[name] for name in self.stale} | sound
        self.torn = torn + [f"row {name}" for name, kind in rows.items() if kind == "broken"]


def listed(rows: dict[str, str], torn: list[str]) -> list[dict[str, Any]]:
    """The script of one night."""
    texts = {"good": "A good text of {}.", "other": "Another text of {}.", "broken": "", "unwanted": "x" * 1_001}
    items = [
        item(
            name,
            texts[kind].format(name),
            revision=f"{kind} {name}" if kind != "broken" else f"row {name}",
            problem=f"row {name} is torn" if kind == "broken" else None,
        )
        for name, kind in rows.items()
    ]
    return items + [item(f"#{n}", "", revision=one, problem=f"line {n}: {one}") for n, one in enumerate(torn)]


@settings(max_examples=4, deadline=None)
@given(nights=NIGHTS)
def test_every_document_is_counted_once_and_the_index_is_what_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, nights: list[tuple[dict[str, str], list[str], bool]]
) -> None:
    base = tmp_path_factory.mktemp("nights")
    model = Model()
    limits = {"max_lost_share": 1.0, "max_refused_share": 1.0, "max_stale_share": 1.0}
    for rows, torn, accept in nights:
        items = [*listed(rows, torn), item("anchor")]  # a source that lists nothing is another matter
        config = script(base, *items, limits=limits, validation={"max_chars": 1_000})
        result = night(config, accept_deletions=accept)  # which checks that every document is counted once
        model.night(rows | {"anchor": "good"}, torn, accept)
        assert {row["id"] for row in documents(config).values()} == model.index.keys()
        for name, kind in model.index.items():
            text = documents(config)[f"script/{name}"]["text"]
            assert name == "anchor" or text.startswith("Another" if kind == "other" else "A good")
        rows_held = Quarantine(Store(config.store.uri)).all()
        assert {row["document"] for row in rows_held if row["stale_since"]} == model.stale
        assert (result.counts["stale"], result.counts["unlisted"]) == (len(model.stale), len(model.kept))
        assert audit(config).failed == []
