"""A store that an earlier version wrote: read as it is, and grown by the first run that writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest
from killing import Child, Orders, command, refreshed, rolled_back
from nights import VALUES
from oldstore import answers, copied

from flows.audit import audit
from flows.config.schema import Config
from flows.refresh import refresh
from flows.rollback import rollback
from storage.diff import diff
from storage.reader import Reader
from storage.tables.format import FORMAT, FORMATS, number
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from storage.tables.vectors import vectors_table
from tasks.search.search import Search

COMMANDS = (
    *(("search", "ebb"), ("releases",), ("runs",), ("show",), ("diff", "1", "2"), ("quarantine", "list")),
    *(("explain", "ab"), ("plan",), ("refresh",), ("rollback",), ("audit",)),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied(tmp_path)


def opened(folder: Path) -> tuple[Config, Store]:
    config = Config.load(folder / "tidemark.toml")
    return config, Store(config.store.uri)


def hits(uri: str, release: int, queries: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found = Search(uri, release, device="cpu").find(queries, 5)
    return {query: [json.loads(json.dumps(asdict(hit))) for hit in each] for query, each in found}


def answers_as_recorded(store: Store, *numbers: int) -> bool:
    """Whether releases give the recorded answers, hit by hit."""
    recorded = answers()["hits"]
    for seq in numbers or (1, 2, 3):
        # A rollback points back to another release's tables, so it answers as that one does.
        like = Releases(store).get(seq).restored or seq
        assert hits(store.uri, seq, list(recorded[str(like)])) == recorded[str(like)]
    return True


def test_it_is_read_as_it_is(folder: Path) -> None:
    config, store = opened(folder)
    recorded = answers()
    assert answers_as_recorded(store)
    releases = [[one.seq, one.outcome, one.restored, one.space, one.counts] for one in Releases(store).all()]
    assert releases == recorded["releases"]
    [(chunk, wanted)] = recorded["explained"].items()
    told = json.loads(json.dumps(Reader.open(store.uri).explain(chunk), default=str))
    assert {name: told[name] for name in wanted} == wanted  # more is told today
    assert json.loads(json.dumps(diff(store.uri, 1, 2).to_dict())) == recorded["difference"]
    rows = [[row["document"], row["rule"], row["attempts"]] for row in Quarantine(store).all()]
    assert rows == recorded["quarantine"]
    assert [row["outcome"] for row in Runs(store).all()] == ["interrupted", "published", "published", "published"]
    assert (number(store), store.find("format")) == (1, None)
    assert config.store.uri == store.uri


def test_an_audit_migrates_it_and_finds_every_release_whole(folder: Path) -> None:
    config, store = opened(folder)
    assert [audit(config, deep=True, release=seq).failed for seq in (None, 1, 2, 3)] == [[]] * 4
    assert number(store) == FORMAT
    assert answers_as_recorded(store)


def test_a_refresh_after_a_checkout_embeds_nothing_and_judges_by_the_rules_of_today(folder: Path) -> None:
    config, store = opened(folder)
    result = refresh(config)
    assert (result.outcome, result.release, result.counts["embedded"]) == ("published", 4, 0)
    assert (result.counts["added"], result.counts["changed"]) == (0, 0)
    assert refresh(config).outcome == "unchanged"
    assert (result.counts["documents"], result.counts["quarantined"]) == (11, 1)
    assert [row["outcome"] for row in Runs(store).all(3)] == ["unchanged", "published", "interrupted"]
    assert audit(config, deep=True).failed == []
    assert answers_as_recorded(store)


def test_a_changed_document_embeds_its_chunk_and_the_way_back_stays(folder: Path) -> None:
    config, store = opened(folder)
    (folder / "notes" / "moon.md").write_text("# Moon\n\nA moon over another reef.\n")
    result = refresh(config)
    assert (result.outcome, result.release, result.counts["embedded"]) == ("published", 4, 1)
    release = Releases(store).get()
    units = store.open(release.chunks, release.tag).to_table(columns=["key", "unit"]).to_pylist()
    assert sorted({str(row["unit"]) for row in units}) == ["characters"]  # all are written anew by the rules of today
    assert "blob" in store.open("documents", release.tag).schema.names
    assert audit(config, deep=True).failed == []
    assert answers_as_recorded(store)
    for to in (1, 2, 3):
        back = rollback(config, to)
        assert audit(config, deep=False).failed == []
        assert answers_as_recorded(store, back.release)
    assert refresh(config).counts["embedded"] == 0
    assert audit(config, deep=True).failed == []


def test_vectors_that_the_killed_run_left_are_taken_over(folder: Path) -> None:
    config, store = opened(folder)
    left = store.open(vectors_table(Releases(store).get().space)).count_rows()
    assert left > 0
    (folder / "notes" / "storm.md").write_text(
        "# Storm\n\n"
        + "\n\n".join(
            f"The storm of day {day} lay {day + 3} fathoms from the pier and {2 * day} from the wreck."
            for day in range(12)
        )
        + "\n"
    )
    result = refresh(config)
    fresh = result.counts["embedded"]
    assert result.outcome == "published"
    assert sum(1 for row in hits(store.uri, 4, ["storm of day"])["storm of day"] if row["document"] == "storm.md")
    chunks = store.open(Releases(store).get().chunks).to_table(columns=["document"])["document"].to_pylist()
    assert fresh == chunks.count("storm.md") - left


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_every_command_refuses_a_newer_format_by_name(folder: Path, arguments: tuple[str, ...]) -> None:
    _, store = opened(folder)
    row = {"number": 7, "name": "later", "applied": datetime.now(UTC), "code": "9.0"}
    store.insert_new("format", FORMATS, "number", row)
    versions = {name: store.open(name).version for name in store.tables()}
    with Child(command, "-c", str(folder / "tidemark.toml"), *arguments) as child:
        code, out, err = child.end().value
    assert (code, out) == (2, "")
    told = " ".join(err.split())
    assert f"has format 7, made by a later Tidemark; this one knows up to {FORMAT}: upgrade tidemark" in told
    assert {name: store.open(name).version for name in store.tables()} == versions


def settings(folder: Path) -> dict[str, Any]:
    config, _ = opened(folder)
    return json.loads(config.to_json()) | {"store": {"uri": str(folder / "store")}}  # type: ignore[no-any-return]


def migrating(folder: Path, at: int | str | None = None, signal: int | None = None) -> Child:
    orders = Orders(at, **({} if signal is None else {"signal": signal}), values=VALUES)
    return Child(refreshed, settings(folder), folder, orders=orders)


def test_a_migration_can_be_killed_at_each_second_moment(tmp_path: Path) -> None:
    die_migrating(tmp_path, every=2)


@pytest.mark.slow
def test_a_migration_can_be_killed_at_every_moment(tmp_path: Path) -> None:
    die_migrating(tmp_path, every=1)


def die_migrating(tmp_path: Path, every: int) -> None:
    with migrating(copied(tmp_path / "whole")) as child:
        end = child.end()
    assert end.value is not None, end.failure
    moments = end.moments
    began = next(at for at, one in enumerate(moments) if "add_columns" in one)
    ended = moments.index("after commit execute format 1")
    assert ended - began >= 11

    def die(at: int) -> str | None:
        folder = copied(tmp_path / f"at-{at}")
        config, store = opened(folder)
        with migrating(folder, at) as killed:
            assert killed.end().killed
        answers_as_recorded(store)
        with migrating(folder) as again:
            done = again.end()
        good = done.value is not None and (done.value.outcome, done.value.counts["embedded"]) == ("published", 0)
        whole = good and number(store) == FORMAT and not audit(config, deep=True).failed
        return None if whole else f"{moments[at]}: {done.failure}"

    with ThreadPoolExecutor(2) as pool:
        assert [told for told in pool.map(die, range(began - 1, ended + 1, every)) if told] == []


def test_of_two_writers_one_migrates_and_the_other_is_told(folder: Path) -> None:
    _, store = opened(folder)
    with ExitStack() as stack:
        first = stack.enter_context(migrating(folder, "before commit add_columns documents 1", SIGSTOP))
        first.stopped()
        second = stack.enter_context(migrating(folder))
        third = stack.enter_context(Child(rolled_back, settings(folder), folder, 2))
        failures = [child.end().failure for child in (second, third)]
        assert [failure.kind for failure in failures if failure] == ["LeaseHeld", "LeaseHeld"]
        first.send(SIGCONT)
        assert first.end().value.outcome == "published"
    assert number(store) == FORMAT
    assert answers_as_recorded(store)
