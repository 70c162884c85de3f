"""The options of every command: before its name, behind it, and how help and errors tell of them."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import corpus, invoke, tidemark

from flows.cli.app import app
from flows.cli.output import Loudness, loudness, speak

ROOT: Any = typer.main.get_command(app)


def every(command: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands with the words that call them."""
    yield names, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from every(inner, *names, name)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    speak(Loudness.NORMAL)


def test_every_command_takes_the_same_options_and_shows_no_types() -> None:
    for names, command in every(ROOT):
        with command.make_context(" ".join(names), [], resilient_parsing=True) as ctx:
            params = command.get_params(ctx)
            shown = [param.display_type_rich(ctx) or "" for param in params]
        taken = {option for param in params for option in param.opts}
        assert {"--config", "-c", "--verbose", "-v", "--quiet", "-q", "--help"} <= taken, names
        assert not any(re.search(r"[<{[]", each) for each in shown), (names, shown)


@pytest.mark.parametrize("words", [(), ("diff",), ("quarantine", "list"), ("refresh",)])
def test_help_is_in_one_style(words: tuple[str, ...]) -> None:
    told = invoke(*words, "--help")
    assert told.exit_code == 0
    assert all(f"--{option}" in told.stdout for option in ("config", "verbose", "quiet", "help"))
    assert not re.search(r"<\w+>|[{}]|\[\[", told.stdout)


@pytest.mark.parametrize("arguments", [("-c", "{}", "releases"), ("releases", "-c", "{}"), ("releases", "--config={}")])
def test_the_configuration_may_stand_behind_the_command(published: Path, arguments: tuple[str, ...]) -> None:
    file = str(published / "tidemark.toml")
    assert "●" in invoke(*(word.replace("{}", file) for word in arguments)).stdout


def test_the_option_that_stands_last_counts(published: Path, tmp_path: Path) -> None:
    other = str(corpus(tmp_path) / "tidemark.toml")
    assert "nothing is published yet" in tidemark(published, "releases", "-c", other).stdout


def test_a_command_behind_a_group_takes_them_too(published: Path) -> None:
    file = str(published / "tidemark.toml")
    answers = [
        invoke("quarantine", "list", "-c", file),
        invoke("quarantine", "-c", file),
        invoke("quarantine", "-c", file, "list"),
    ]
    assert [answer.exit_code for answer in answers] == [0, 0, 0]
    assert {answer.stdout for answer in answers} == {answers[0].stdout}
    assert "empty.md" in answers[0].stdout


def test_how_loud_a_command_is_ends_with_it(published: Path) -> None:
    file = str(published / "tidemark.toml")
    for flag, wanted, level in (
        ("-v", Loudness.VERBOSE, logging.INFO),
        ("-q", Loudness.QUIET, logging.ERROR),
        (None, Loudness.NORMAL, logging.WARNING),
    ):
        assert invoke("runs", "-c", file, *([flag] if flag else [])).exit_code == 0
        assert (loudness(), logging.getLogger("flows").level) == (wanted, level)


def test_quiet_leaves_progress_and_hints_out_and_results_in(published: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert "nothing to do" in tidemark(published, "plan", "-q").stdout
    assert caplog.messages == []
    tidemark(published, "plan")
    assert any(message.startswith("scan: ") for message in caplog.messages)
    assert "tidemark models show" in tidemark(published, "models").stdout
    assert "tidemark models show" not in tidemark(published, "models", "-q").stdout
    assert tidemark(published, "-q", "show", "99").stderr.startswith("error: there is no release 99")


def test_groups_alone_do_what_one_expects_and_end_with_0(published: Path) -> None:
    assert "Usage:" in invoke().stdout
    assert invoke().exit_code == 0
    for group in ("quarantine", "models"):
        assert tidemark(published, group).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--colour",), "error: no such option: --colour; see `tidemark --help`\n"),
        (("runs", "--colour"), "error: no such option: --colour; see `tidemark runs --help`\n"),
        (("explain",), "error: missing argument 'CHUNK'; see `tidemark explain --help`\n"),
        (("relases",), "error: no such command 'relases'. Did you mean 'releases'?\n"),
        (("refresh", "now"), "error: got unexpected extra argument (now); see `tidemark refresh --help`\n"),
        (
            ("diff", "1", "x"),
            "error: invalid value for 'B': it should be a valid integer; see `tidemark diff --help`\n",
        ),
        (
            ("hold", "caf\udcff"),
            "error: invalid value for 'WHY': 'caf\\udcff' is no text in UTF-8; see `tidemark hold --help`\n",
        ),
    ],
)
def test_an_error_of_the_command_line_is_one_line_as_all_others(arguments: tuple[str, ...], message: str) -> None:
    ended = invoke(*arguments)
    assert (ended.exit_code, ended.stdout, ended.stderr) == (2, "", message)


def test_no_command_takes_words_that_are_no_text() -> None:
    """Nothing after it could keep, show or encode them, and each would fail in its own words."""
    asked = 0
    for names, command in every(ROOT):
        ctx = command.make_context(" ".join(names), [], resilient_parsing=True)
        for param in command.get_params(ctx):
            several = param.type_descriptor.annotation == list[str]
            if several or param.type_descriptor.annotation is str:
                asked += 1
                assert param.process_value(ctx, ["café"] if several else "café")
                with pytest.raises(typer.BadParameter, match="no text in UTF-8"):
                    param.process_value(ctx, ["a", "caf\udcff"] if several else "caf\udcff")
    assert asked > 20


def test_completion_is_shown_and_that_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.cli.app", "--show-completion", "bash"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "complete -o default" in ended.stdout


def test_a_shell_completes_commands_releases_and_runs(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_CONFIG", str(published / "tidemark.toml"))
    monkeypatch.setenv("_TIDEMARK_COMPLETE", "complete_bash")

    def completed(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(("tidemark", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        return invoke().stdout.split()

    assert completed("rel") == ["releases"]
    assert completed("rollback", "--to", "") == ["2", "1"]
    assert {"2", "1"} < set(completed("show", ""))
    monkeypatch.setenv("TIDEMARK_CONFIG", "there-is-none.toml")
    assert completed("show", "") == []
