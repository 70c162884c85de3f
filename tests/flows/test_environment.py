"""The environment that a run works in."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import TOML, corpus

from flows.environment import PROGRESS, Stderr, code, libraries
from storage.redaction import Discreet

SECRET = "hunter2-b81f0c"
LAUNCHER = Path(__file__).parents[2] / "flows" / "entry" / "tidemark.py"


def test_versions_of_code_and_libraries_are_known() -> None:
    assert {"tidemark", "pylance", "lancedb", "polars"} <= set(libraries())
    assert libraries() == {name: version(name) for name in libraries()}
    assert code()["tidemark"] == libraries()["tidemark"]


def said(handler: Stderr, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Which of these lines reach standard error, whatever the levels of the loggers are."""
    lines = [
        ("tasks.build.embed", logging.INFO, "a stage"),
        (PROGRESS, logging.INFO, "progress"),
        ("storage.lease", logging.WARNING, "a warning"),
        ("flows.run", logging.ERROR, "an error"),
        ("httpx", logging.INFO, "chatter"),
        ("prefect.task_runs", logging.ERROR, "what the command tells itself"),
    ]
    for name, level, text in lines:
        handler.handle(logging.LogRecord(name, level, "", 0, text, None, None))
    return capsys.readouterr().err.splitlines()


def test_what_reaches_standard_error_is_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Stderr(logging.WARNING, verbose=False, quiet=False)
    assert said(plain, capsys) == ["progress", "a warning", "an error"]
    quiet = Stderr(logging.ERROR, verbose=False, quiet=True)
    assert said(quiet, capsys) == ["an error"]
    verbose = Stderr(logging.WARNING, verbose=True, quiet=False)
    told = ["a stage", "progress", "a warning", "an error", "what the command tells itself"]
    assert said(verbose, capsys) == told


def test_no_secret_reaches_standard_error_in_a_line_or_the_traceback_below_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = Stderr(logging.WARNING, verbose=False, quiet=False)
    handler.addFilter(Discreet())
    url = f"https://me:{SECRET}@example.org/export?token={SECRET}"
    try:
        raise OSError(f"{url} does not answer")
    except OSError:
        error = sys.exc_info()
    handler.handle(logging.LogRecord("flows.run", logging.ERROR, "", 0, "asked %s", (url,), error))
    out = capsys.readouterr().err
    assert "does not answer" in out
    assert SECRET not in out


def test_a_night_into_few_cells_of_an_index_is_silent(tmp_path: Path) -> None:
    # Lance warns of each cell that gets nothing: of dozens, in every quiet night.
    folder = corpus(tmp_path / "index", 300, TOML + "[index]\nmin_rows = 256\n")
    for said in ("first", "second"):
        (folder / "notes" / f"{said}.md").write_text(f"# The {said} night\n\nOne note more.\n", encoding="utf-8")
        command = [sys.executable, str(LAUNCHER), "-q", "refresh"]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
        assert (ended.returncode, ended.stderr) == (0, "")
