"""A plan that is kept: its work is taken over as it is, or refused with the reason."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import corpus, tidemark
from corpus import configure, documents, held, prose, rows, save

from flows.config.schema import Config
from flows.plan import plan
from flows.quarantine import waive
from flows.refresh import refresh
from flows.rollback import rollback
from storage.errors import InputError
from storage.sources.folder import FolderSource
from storage.tables.runs import Runs
from storage.tables.store import Store

NAMES = ("anchor", "buoy", "chart", "dock")
RULES = {"min_chars": 20}


def changed(base: Path, **sections: Any) -> Config:
    """A release, and since then news of every kind: new, edited, moved, gone, refused, a duplicate."""
    config = configure(base, {f"{name}.md": prose(name, 4) for name in NAMES}, **{"validation": RULES} | sections)
    refresh(config)
    (base / "notes" / "buoy.md").rename(base / "notes" / "moved.md")
    news = {"chart.md": None, "dock.md": prose("dock", 5), "short.md": "short", "again.md": prose("anchor", 4)}
    save(base / "notes", {**news, "new.md": prose("ebb", 3)})
    return config


def kept(config: Config, **options: Any) -> str:
    file = str(config.base / "night.plan")
    assert plan(config, out=file, **options).out == file
    return file


def seen(config: Config) -> tuple[Any, ...]:
    """What readers and operators see, but for what names the store itself."""
    mine = [{name: row[name] for name in ("key", "text", "start", "end", "hash", "vector")} for row in rows(config)]
    texts = {name: (row["text"], row["duplicate_of"], row["n_chunks"]) for name, row in documents(config).items()}
    return mine, texts, held(config)


def test_a_refresh_by_a_plan_does_what_it_would_have_done_and_reads_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, other = changed(tmp_path / "one"), changed(tmp_path / "two")
    wanted = refresh(other)
    file = kept(config)
    assert Path(file).stat().st_mode & 0o077 == 0
    monkeypatch.setattr(FolderSource, "read", None)
    result = refresh(config, plan=file)
    assert (result.outcome, result.release, result.counts) == ("published", 2, wanted.counts)
    assert result.causes == wanted.causes
    assert seen(config) == seen(other)
    assert not list((tmp_path / "one" / "store").glob(".work/*"))
    with pytest.raises(InputError, match="it starts from release 1, and readers see release 2 now"):
        refresh(config, plan=file)


def edited(config: Config) -> dict[str, Any]:
    save(config.base / "notes", {"new.md": prose("flood", 3), "more.md": prose("gale")})
    return {}


def configured(config: Config) -> dict[str, Any]:
    return {"config": configure(config.base, validation=RULES, chunker={"min_tokens": 8, "max_tokens": 20})}


def taken_back(config: Config) -> dict[str, Any]:
    refresh(config)
    rollback(config, 1)
    return {}


def waived(config: Config) -> dict[str, Any]:
    waive(config, "early.md", None, "it is short")
    return {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edited, r"source 'notes' changed: more\.md, new\.md; make it anew"),
        (configured, r"the configuration changed: chunker\.max_tokens"),
        (taken_back, "it starts from release 1, and readers see release 3 now"),
        (waived, "what is waived changed"),
        (lambda _: {"rebuild": True}, "it was made with other options: give --rebuild to both or to neither"),
    ],
    ids=["source", "configuration", "release", "waiver", "option"],
)
def test_a_plan_that_is_out_of_date_is_refused_before_anything_is_recorded(
    tmp_path: Path, change: Callable[[Config], dict[str, Any]], reason: str
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "early.md").write_text("early")
    config = changed(tmp_path)
    file = kept(config)
    given = {"config": config} | change(config)
    before = len(Runs(Store(config.store.uri)).all())
    with pytest.raises(InputError, match=r"night\.plan: the plan of .* UTC is out of date: " + reason):
        refresh(given.pop("config"), plan=file, **given)
    assert len(Runs(Store(config.store.uri)).all()) == before


def test_what_is_no_plan_or_damaged_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(tmp_path, {"a.md": prose("anchor", 4)})
    file = kept(config)
    whole = Path(file).read_bytes()

    def refused(content: bytes | None, said: str) -> None:
        if content is not None:
            Path(file).write_bytes(content)
        with pytest.raises(InputError, match=said):
            refresh(config, plan=file)

    refused(b"PK not", "it is no plan; `tidemark plan -o FILE` writes one")
    at = whole.index(b"anchor of row")
    refused(whole[:at] + b"X" + whole[at + 1 :], "damaged")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("plan.json", json.dumps({"format": 99}))
    refused(None, "is no plan that this version of Tidemark can read")
    Path(file).write_bytes(whole)
    monkeypatch.setattr("flows.planned.code", lambda: {"tidemark": "9.9"})
    refused(None, "it was made by another version of Tidemark")
    Path(file).unlink()
    refused(None, "cannot be read: No such file")
    with pytest.raises(InputError, match="the plan cannot be written: No such file"):
        plan(config, out=str(tmp_path / "none" / "night.plan"))


def test_the_commands_hand_a_plan_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    corpus(tmp_path, 2)
    file = str(tmp_path / "night.plan")
    planned = tidemark(tmp_path, "plan", "-o", file)
    told = " ".join(planned.stdout.split())  # a terminal folds between words
    assert (planned.exit_code, f"tidemark refresh --plan {file}" in told) == (0, True)
    (tmp_path / "notes" / "n0.md").write_text("# Another")
    ended = tidemark(tmp_path, "refresh", "--plan", file, "--json")
    assert (ended.exit_code, ended.stdout, "changed: n0.md" in ended.stderr) == (2, "", True)
    assert tidemark(tmp_path, "plan", "-o", file, "--json").exit_code == 0
    ended = tidemark(tmp_path, "refresh", "--plan", file, "--json")
    assert json.loads(ended.stdout)["release"] == 1
    scanned = [line for line in caplog.messages if line.startswith(("scan: ", "None"))]
    assert [line.partition(",")[0] for line in scanned] == ["scan: 2 documents"] * 4  # two plans, two refreshes by them
