"""Slices on disk, and the folder that a run keeps them in."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import InputError
from storage.spill import Spill, Workspace
from storage.tables.store import Store


def frame(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"n": numbers, "text": [str(number) for number in numbers]}, schema={"n": pl.Int64, "text": str}
    )


def test_slices_come_back_in_order(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "s")
    for numbers in ((1, 2), (), (3,)):
        spill.append(frame(*numbers))
    assert [part["n"].to_list() for part in spill.slices()] == [[1, 2], [3]]
    assert [part.columns for part in spill.slices(["text"])] == [["text"], ["text"]]
    assert spill.rows == 3


def test_a_frame_of_no_slices_has_the_columns_asked_for(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "s")
    assert spill.frame(["n"], {"n": pl.Int64}).schema == {"n": pl.Int64}
    assert list(spill.slices()) == []
    assert not (tmp_path / "s").exists()


@settings(max_examples=50, deadline=None)
@given(parts=st.lists(st.lists(st.integers(-(2**40), 2**40), max_size=4), max_size=5))
def test_nothing_is_lost_between_slices(tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]) -> None:
    spill = Spill(tmp_path_factory.mktemp("spill") / "s")
    for numbers in parts:
        spill.append(frame(*numbers))
    together = [number for numbers in parts for number in numbers]
    assert spill.frame(["text", "n"], {"text": pl.String, "n": pl.Int64})["n"].to_list() == together


def test_a_workspace_lies_in_a_local_store_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    workspace = Workspace(Store(tmp_path / "store"), "run")
    workspace.spill("upserts").append(frame(1))
    assert workspace.folder == tmp_path / "store" / ".work" / "run"
    workspace.close()
    assert list((tmp_path / "store").iterdir()) == []


def test_a_workspace_of_a_store_that_is_not_there_leaves_not_even_that(tmp_path: Path) -> None:
    workspace = Workspace(Store(tmp_path / "store"), "plan-1")
    workspace.spill("upserts").append(frame(1))
    workspace.close()
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_leaves_the_store_that_a_run_made(tmp_path: Path) -> None:
    workspace = Workspace(Store(tmp_path / "store"), "run")
    workspace.spill("upserts").append(frame(1))
    (tmp_path / "store" / "documents.lance").mkdir()
    workspace.close()
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["documents.lance"]


def test_runs_on_a_remote_store_spill_to_the_cache_and_sweep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_CACHE", str(tmp_path))
    killed, other, mine = (
        Workspace(Store(uri), run) for uri, run in (("s3://a/b", "killed"), ("s3://a/c", "other"), ("s3://a/b", "mine"))
    )
    for workspace in (killed, other, mine):
        workspace.spill("upserts").append(frame(1))
        assert workspace.folder.is_relative_to(tmp_path)
    mine.sweep()
    assert [workspace.folder.exists() for workspace in (killed, other, mine)] == [False, True, True]
    mine.close()
    assert not mine.folder.exists()


def test_a_cache_folder_that_cannot_be_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("TIDEMARK_CACHE", str(cache))
        with pytest.raises(InputError, match=rf"^{cache}: no folder can be made there .* TIDEMARK_CACHE$"):
            Workspace(Store("s3://a/b"), "run").spill("upserts").append(frame(1))
    with pytest.raises(NotADirectoryError):  # a local store has no use for it
        Workspace(Store(tmp_path / "file" / "store"), "run").spill("upserts").append(frame(1))


def test_a_sweep_removes_what_killed_runs_left_and_spares_plans_that_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("killed", "plan-now", "plan-old"):
        Workspace(store, name).spill("s").append(frame(1))
    yesterday = time.time() - 90_000
    os.utime(tmp_path / ".work" / "plan-old", (yesterday, yesterday))
    mine = Workspace(store, "mine")
    mine.spill("s").append(frame(1))
    mine.sweep()
    assert sorted(path.name for path in (tmp_path / ".work").iterdir()) == ["mine", "plan-now"]
    mine.close()
    assert [path.name for path in (tmp_path / ".work").iterdir()] == ["plan-now"]


def test_a_run_that_begins_while_another_ends_has_its_folder(tmp_path: Path) -> None:
    (tmp_path / "documents.lance").mkdir()
    store, over = Store(tmp_path), Event()

    def end_runs() -> None:
        while not over.wait(0.001):
            Workspace(store, "other").close()

    with ThreadPoolExecutor(2) as threads:
        ended = [threads.submit(end_runs) for _ in range(2)]
        try:
            for number in range(300):
                mine = Workspace(store, f"mine-{number}")
                mine.spill("upserts").append(frame(1))
                mine.close()
        finally:
            over.set()
        assert [each.result() for each in ended] == [None, None]
