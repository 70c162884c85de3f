"""HTML read in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import psutil
import pytest

from storage.sources import open_source, parse_source, worker
from storage.sources.markup import Page
from storage.sources.worker import HtmlReader

PAGE = b"<head><title>T</title></head><p>text</p>"
READ = Page("text", "T")
SLOW = b"<b>x" * 2_000_000  # linear in its length: 20 s and more


@pytest.fixture
def reader() -> Iterator[HtmlReader]:
    with HtmlReader(30.0) as reader:
        yield reader


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def pid(reader: HtmlReader) -> int:
    assert reader._process is not None
    return reader._process.pid


def test_one_process_reads_all_pages_and_ends_with_the_reader() -> None:
    before = children()
    with HtmlReader(30.0) as reader:
        assert children() == before
        assert reader.pages([PAGE, b"", PAGE]) == [READ, Page("", None), READ]
        assert children() == before | {pid(reader)}
    assert children() == before


def test_a_page_that_takes_too_long_costs_itself_alone() -> None:
    with HtmlReader(0.5) as reader:
        begun = time.monotonic()
        first, slow, third, fourth = reader.pages([PAGE, SLOW, PAGE, PAGE])
        assert time.monotonic() - begun < 15
        assert slow.problem == "took longer than 0.5 s to read (max_seconds): simplify it, exclude it or allow more"
        assert [first, third, fourth, *reader.pages([PAGE])] == [READ] * 4


def test_pages_and_answers_may_be_larger_than_a_pipe(reader: HtmlReader) -> None:
    texts = ["wörd " * size for size in (400_000, 1, 100_000, 3)]
    assert reader.pages([f"<p>{text}".encode() for text in texts]) == [Page(text.strip(), None) for text in texts]


def test_the_death_of_the_process_costs_one_page(reader: HtmlReader) -> None:
    assert reader.pages([PAGE]) == [READ]
    os.kill(pid(reader), signal.SIGKILL)
    lost = Page("", None, "cannot be read: the process that reads HTML was killed by SIGKILL")
    assert reader.pages([PAGE, PAGE]) == [lost, READ]


def test_a_page_behind_a_stopped_process_takes_too_long() -> None:
    with HtmlReader(0.5) as reader:
        assert reader.pages([PAGE]) == [READ]
        os.kill(pid(reader), signal.SIGSTOP)
        stuck, read = reader.pages([b"<p>" * 100_000, PAGE])
        assert "took longer" in str(stuck.problem)
        assert read == READ


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"<![x>", None),
        (b"<meta charset=undefined>caf\xe9", None),
        (b"<meta charset=utf-7>+2AA-caf\xe9", None),
        (b"&#xD800;", None),
    ],
)
def test_what_the_parser_stumbles_over_ends_nothing(reader: HtmlReader, raw: bytes, problem: str | None) -> None:
    [page] = reader.pages([raw])
    assert (page.problem or "").startswith(problem or "")
    assert (page.problem is None) == (problem is None)
    page.text.encode()
    assert reader.pages([PAGE]) == [READ]


def test_the_process_ends_when_its_parent_is_killed() -> None:
    script = (
        "import os, sys; from storage.sources.worker import HtmlReader\n"
        "reader = HtmlReader(30.0); reader.pages([b'<p>x'])\n"
        "print(reader._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=False, capture_output=True, timeout=120)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(int(done.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_that_cannot_start_is_no_page_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_CHILD", "import sys; sys.exit(3)")
    with HtmlReader(30.0) as reader, pytest.raises(OSError, match="does not start: it ended with exit code 3"):
        reader.pages([PAGE])


def test_a_folder_names_the_page_that_took_too_long(tmp_path: Path) -> None:
    for name, raw in {"a.html": PAGE, "b.htm": SLOW, "c.html": PAGE, "d.md": b"# D"}.items():
        (tmp_path / name).write_bytes(raw)
    config = parse_source({"name": "notes", "kind": "folder", "path": ".", "max_seconds": 0.5})
    source = open_source(config, tmp_path)
    listing = pl.concat(source.list())
    rows = pl.concat(source.read(listing["id"]))
    assert rows.select("id", "revision").equals(listing.select("id", "revision"))
    assert rows["text"].to_list() == ["text", "", "text", "# D"]
    assert [problem is not None and "max_seconds" in problem for problem in rows["problem"]] == [
        False,
        True,
        False,
        False,
    ]


def test_no_process_starts_and_no_parser_is_loaded_without_html(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    script = (
        "import sys; from pathlib import Path; from storage.sources import open_source, parse_source, worker\n"
        "worker._CHILD = 'never'; config = parse_source({'name': 'n', 'kind': 'folder', 'path': '.'})\n"
        "source = open_source(config, Path(sys.argv[1])); rows = next(source.read(next(source.list())['id']))\n"
        "print(len(rows), 'selectolax' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=root, check=True, capture_output=True)
    assert done.stdout.split() == [b"1", b"False"]
