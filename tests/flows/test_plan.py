"""A plan says what the next refresh will do, and writes nothing."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from commands import corpus, tidemark, told
from corpus import configure, context, prose, save
from rich.console import Console

from flows.config.schema import Config
from flows.plan import Forecast, plan
from flows.refresh import refresh
from flows.views.run import plan_view
from models.errors import UnknownModel
from storage.errors import InputError
from storage.tables.releases import Release, Releases
from storage.tables.runs import Runs
from storage.tables.store import Store
from tasks.learn.pair import pair
from tasks.progress import Silent


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def agreed(config: Config) -> Forecast:
    """A plan, compared with the refresh that follows it."""
    forecast = plan(config)
    result = refresh(config)
    assert (forecast.counts, forecast.causes) == (result.counts, result.causes)
    assert forecast.outcome == result.outcome
    return forecast


def test_a_plan_of_a_store_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    forecast = plan(config)
    assert (forecast.release, forecast.outcome, forecast.sources) == (None, "published", {"notes": 1})
    assert forecast.tokens == forecast.counts["tokens"] > 0
    assert forecast.bytes > forecast.counts["chunks"] * 384 * 4
    assert forecast.message == f"a refresh would embed {forecast.counts['chunks']} chunks and re-use 0"
    assert not (tmp_path / "store").exists()


def test_a_plan_foretells_every_kind_of_change_and_writes_nothing(tmp_path: Path) -> None:
    names = ["anchor", "buoy", "chart", "dock", "ebb"]
    config = configure(tmp_path, {f"{name}.md": prose(name, 4) for name in names} | {"bad.md": ""})
    agreed(config)
    notes = tmp_path / "notes"
    (notes / "buoy.md").rename(notes / "moved.md")
    save(notes, {"chart.md": None, "dock.md": prose("dock", 5), "again.md": prose("ebb", 4), "bad.md": "\x01"})
    before = contents(tmp_path / "store")
    plan(config)
    assert contents(tmp_path / "store") == before
    forecast = agreed(config)
    assert forecast.release == 1
    wanted = {"content": 1, "new": 2, "moved": 1, "deleted": 1, "refused": 1, "duplicate": 1}
    assert {name: count for name, count in forecast.causes.items() if name != "moved-chunks"} == wanted
    nothing = agreed(config)
    assert (nothing.outcome, nothing.message) == ("unchanged", "nothing to do: a refresh would embed 0 chunks")
    assert (nothing.tokens, nothing.bytes, nothing.causes) == (0, 0, {"held": 1, "duplicate": 1})


def test_a_plan_names_every_document_that_changes(tmp_path: Path) -> None:
    names = ["anchor", "buoy", "chart", "dock", "ebb"]
    config = configure(tmp_path, {f"{name}.md": prose(name, 4) for name in names} | {"bad.md": ""})
    agreed(config)
    notes = tmp_path / "notes"
    (notes / "buoy.md").rename(notes / "moved.md")
    save(notes, {"chart.md": None, "dock.md": prose("dock", 5), "ebb2.md": prose("ebb", 4), "new.md": prose("new")})
    save(notes, {"bad.md": "\x01", "anchor.md": ""})
    told = {(each["change"], each["document"]): each for each in plan(config).documents}
    assert list(told) == [
        *[("!", "anchor.md"), ("!", "bad.md"), ("-", "chart.md"), ("~", "dock.md")],
        *[(">", "moved.md"), ("+", "new.md"), ("=", "ebb2.md")],
    ]
    assert told[">", "moved.md"]["reason"] == "from buoy.md"
    assert told["=", "ebb2.md"]["reason"] == "the same as ebb.md"
    assert told["-", "chart.md"]["reason"] == "gone from the source"
    assert told["!", "anchor.md"]["rule"]
    assert "the last version stays" in told["!", "anchor.md"]["reason"]
    refresh(config)
    assert plan(config).documents == ()


def test_a_plan_says_what_would_undo_a_rollback_and_ends_as_the_refresh_where_asked(tmp_path: Path) -> None:
    corpus(tmp_path, 3)
    assert tidemark(tmp_path, "refresh").exit_code == 0
    save(tmp_path / "notes", {"c.md": prose("chart")})
    assert tidemark(tmp_path, "refresh").exit_code == 0
    assert tidemark(tmp_path, "rollback").exit_code == 0
    found = told(tmp_path, "plan")
    assert "this would publish again what it took back" in " ".join(tidemark(tmp_path, "plan").stdout.split())
    assert "release 3 gives release 1 back, and this would publish again what it took back" in found["message"]
    assert [each["document"] for each in found["documents"]] == ["c.md"]
    save(tmp_path / "notes", {"n0.md": None, "n1.md": None, "c.md": None})
    assert tidemark(tmp_path, "plan").exit_code == 0
    shown = tidemark(tmp_path, "plan", "--exit-code")
    assert shown.exit_code == 3
    assert "- notes/n0.md" in shown.stdout


def test_a_plan_foretells_another_encoder_and_another_chunker(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    agreed(config)
    other = configure(tmp_path, encoder={"name": "stub:3"})
    assert agreed(other).causes == {"encoder": 1}
    refresh(other, accept_encoder=True)
    assert agreed(
        configure(tmp_path, encoder={"name": "stub:3"}, chunker={"min_tokens": 4, "max_tokens": 9})
    ).causes == {"chunker": 1}


def test_of_another_encoder_each_document_is_told_once(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy"), "c.md": prose("chart")})
    refresh(config)
    save(tmp_path / "notes", {"b.md": prose("buoy", 3), "d.md": prose("dock")})
    forecast = plan(configure(tmp_path, encoder={"name": "stub:3"}))
    assert forecast.causes == {"content": 1, "new": 1, "encoder": 2}


def test_a_plan_says_when_a_refresh_would_stop(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor"), "b.md": prose("buoy")}, limits={"refused_floor": 0})
    agreed(config)
    save(tmp_path / "notes", {"a.md": None})
    forecast = agreed(config)
    assert forecast.outcome == "needs-approval"
    assert "source 'notes' lost 1 of its 2 documents" in forecast.message
    save(tmp_path / "notes", {"a.md": "", "b.md": ""})
    forecast = agreed(config)
    assert (forecast.outcome, forecast.message[:35]) == ("refused", "2 of 2 documents were refused (100%")


def test_a_plan_counts_on_what_an_unfinished_run_has_embedded(tmp_path: Path) -> None:
    class Breakdown(Silent):
        def stage(self, name: str) -> None:
            if name == "write":
                raise OSError("no space left on device")

    config = configure(tmp_path, {"a.md": prose("anchor")})
    with pytest.raises(OSError, match="no space left"):
        refresh(config, console=Breakdown())
    forecast = agreed(config)
    assert (forecast.counts["embedded"], forecast.counts["reused"]) == (0, forecast.counts["chunks"])
    outcomes = [(row["outcome"], row["message"]) for row in Runs(Store(config.store.uri)).all()]
    assert outcomes == [
        ("published", "release 1 is published"),
        ("failed", "OSError: no space left on device"),
    ]


def test_a_plan_estimates_from_the_speed_of_earlier_runs(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor", 10)})
    runs = Runs(Store(config.store.uri))
    forecast = plan(config)
    default = forecast.tokens / 4_000
    assert default <= forecast.estimated_seconds <= default + forecast.seconds["total"] + 0.1
    space = refresh(config).space
    runs.start("slow", "refresh", model={"id": space})
    runs.finish("slow", "published", counts={"tokens": 20_000}, seconds={"embed": 2_000.0}, model={"id": space})
    save(tmp_path / "notes", {"b.md": prose("buoy", 10)})
    slow = plan(config)
    assert slow.estimated_seconds >= slow.tokens / 10


def test_a_plan_says_what_a_retraining_would_cost(tmp_path: Path) -> None:
    names = ("anchor", "buoy", "chart", "dock", "ebb", "flood")
    files = {f"{name}.md": prose(name, 4).replace("# ", "# How to read tables of ") for name in names}
    config = configure(tmp_path, files, learning={"minutes": 2})
    assert plan(config).retrain is None
    refresh(config)
    first = plan(config).retrain
    assert first is not None
    counts = state(Releases(Store(config.store.uri)).get())
    assert (first.pairs, first.minutes, first.chunks, first.tokens) == (None, 2, *counts)
    assert first.estimated_seconds == pytest.approx(120 + first.tokens / 4_000, abs=0.06)
    assert first.chunks * 384 * 4 < first.bytes < first.chunks * (384 * 4 + 1_000)
    generator = {"model": "writer", "url": "http://127.0.0.1:9", "questions": 4, "price": 3.0}
    paid = configure(tmp_path, learning={"generator": generator})
    with context(paid) as each:
        assert each.base is not None
        made = pair(each, each.base, paid.learning.pairs)
    second = plan(paid)
    assert second.retrain is not None and second.retrain.pairs == made.splits
    asked = second.retrain.generator
    assert asked is not None and (asked.model, asked.calls) == ("writer", 4)
    assert asked.price == pytest.approx(asked.tokens * 3e-6)
    view = Console(width=120, record=True, file=StringIO())
    view.print(plan_view(second))
    shown = view.export_text()
    assert f"4 min of training, then {first.tokens:,} tokens to embed" in shown
    assert f"4 calls of writer, about {asked.tokens:,} tokens, price 0.00" in shown
    assert f"{made.splits['train']} train" in shown
    assert plan(paid, rebuild=True).retrain is None


def state(release: Release) -> tuple[int, int]:
    """Chunks of a release, and their tokens."""
    return release.counts["chunks"], release.counts["tokens"]


def test_a_plan_of_a_wrong_configuration_is_refused(tmp_path: Path) -> None:
    config = configure(tmp_path)
    (tmp_path / "notes").rmdir()
    with pytest.raises(InputError, match="does not exist"):
        plan(config)


def test_an_encoder_that_is_not_there_is_told_before_anything_is_written(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")}, encoder={"name": "./nowhere"})
    for run in (plan, refresh):
        with pytest.raises(UnknownModel, match="there is no folder"):
            run(config)
    assert not (tmp_path / "store").exists()


def test_a_plan_names_both_encoders_and_what_the_change_costs(tmp_path: Path) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor")})
    refresh(config)
    forecast = agreed(configure(tmp_path, encoder={"name": "stub:3"}))
    chunks, tokens = forecast.counts["embedded"], forecast.tokens
    assert forecast.outcome == "needs-approval"
    assert forecast.message.startswith(
        f"encoder: stub:3, but release 1 has encoder stub; {chunks} chunks ({tokens} tokens) to embed; "
    )
    assert chunks == forecast.counts["chunks"] > 0
    view = Console(width=120, record=True, file=StringIO())
    view.print(plan_view(forecast))
    assert "tidemark refresh --accept-encoder" in view.export_text()


@pytest.mark.parametrize("command", [("plan",), ("refresh",), ("reembed",)], ids=lambda command: command[0])
def test_a_device_that_is_missing_is_refused_before_anything_is_read(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    corpus(tmp_path, 1)
    monkeypatch.setenv("TIDEMARK_ENCODER__DEVICE", "cuda")
    monkeypatch.setattr("storage.sources.folder.FolderSource.__init__", None)  # nobody may look at a source
    result = tidemark(tmp_path, *command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert 'encoder.device "cuda": this machine has none; choose "auto" or "cpu"' in result.stderr
    assert not (tmp_path / "store").exists()
