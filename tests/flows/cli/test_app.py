"""The command line as its users script it: streams, imports, pipes, variables."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer
from commands import invoke
from typer.testing import CliRunner

from flows.cli.app import app, named


def test_the_configuration_is_found_by_variable_and_overridden_by_variables(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_CONFIG", str(published / "tidemark.toml"))
    assert len(json.loads(invoke("releases", "--json").stdout)) == 2
    monkeypatch.setenv("TIDEMARK_STORE__URI", str(tmp_path / "empty"))
    assert invoke("releases", "--json").stdout == "[]\n"


def python(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_looking_and_rolling_back_import_nothing_heavy(published: Path) -> None:
    code = """
        import sys
        from flows.cli.app import app
        for command in (["releases"], ["runs"], ["show"], ["status"]):
            app(command, standalone_mode=False)
        heavy = {"torch", "transformers", "sentence_transformers", "prefect", "great_expectations", "lancedb"}
        heavy |= {"pandas"}
        print(sorted((heavy | {"polars", "fsspec", "obstore", "yaml"}) & sys.modules.keys()), file=sys.stderr)
        app(["quarantine", "list"], standalone_mode=False)
        import flows.rollback
        print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
        """
    ended = python(code, published)
    assert ended.stderr.splitlines()[-2:] == ["[]", "[]"], ended.stderr


def test_help_imports_next_to_nothing(tmp_path: Path) -> None:
    code = """
        import sys
        from flows.cli.app import app
        try:
            app(["--help"])
        except SystemExit as error:
            assert error.code == 0
        heavy = {"torch", "polars", "pyarrow", "lance", "numpy", "pydantic", "prefect", "pandas"}
        print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
        """
    ended = python(code, tmp_path)
    assert ended.stderr == "[]\n"
    assert all(name in ended.stdout for name in ("init", "plan", "refresh", "search", "rollback", "quarantine"))


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("releases --json", {"releases"}),
        ("-q quarantine list", {"quarantine"}),
        ("search plan", {"search", "plan"}),
        ("refesh", None),
        ("-c plan releases", {"plan", "releases"}),
        ("-c my.toml releases", None),
        ("-c my.toml --help", None),
        ("", None),  # so a shell asks for completion
    ],
)
def test_of_all_commands_those_are_made_that_the_line_may_mean(line: str, made: set[str] | None) -> None:
    found = named(line.split())
    names = {each.name for each in found.registered_commands} | {each.name for each in found.registered_groups}
    assert names == made if made else found is app


@pytest.mark.parametrize("line", ["--help", "-q -h", "--help runs", "-h nonsense"])
def test_the_list_of_commands_is_the_same_without_their_options(line: str) -> None:
    def printed(made: typer.Typer) -> str:
        return CliRunner().invoke(made, ["--help"], env={"COLUMNS": "80"}).stdout

    found = named(line.split())
    assert found is not app
    assert printed(found) == printed(app)
    assert "quarantine  The documents that were refused" in printed(found)


def test_every_command_is_there_under_its_name_alone(tmp_path: Path) -> None:
    every = [each.name for each in (*app.registered_commands, *app.registered_groups)]
    code = """
        import sys
        from flows.cli.app import main
        for name in sys.argv[1].split(","):
            sys.argv = ["tidemark", name, "--help"]
            try:
                main()
            except SystemExit as error:
                assert error.code == 0, name
        """
    ended = python(code, tmp_path, ",".join(map(str, every)))
    assert ended.returncode == 0, ended.stderr
    assert [name for name in every if f"tidemark {name} " not in ended.stdout] == []


def test_a_slip_of_the_pen_is_answered_with_the_name_that_is_like_it(tmp_path: Path) -> None:
    code = """
        import sys
        from flows.cli.app import main
        sys.argv = ["tidemark", "refesh"]
        main()
        """
    ended = python(code, tmp_path)
    assert ended.returncode == 2
    assert "did you mean 'refresh'" in ended.stderr.lower()


@pytest.mark.parametrize("arguments", [("releases", "--json"), ("releases",), ("--help",), ("plan", "-h"), ()])
def test_a_closed_pipe_is_no_reason_to_complain(published: Path, arguments: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli.app", *arguments],
        cwd=published,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_libraries_are_told_not_to_report(tmp_path: Path) -> None:
    code = """
        import os
        for name in ("DO_NOT_TRACK", "GX_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
            os.environ.pop(name, None)
        os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "mine"
        import sys
        from flows.cli.app import main
        sys.argv = ["tidemark", "--version"]
        try:
            main()
        except SystemExit:
            print([os.environ[name] for name in (
                "DO_NOT_TRACK", "GX_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "PREFECT_SERVER_ANALYTICS_ENABLED",
            )])
        """
    assert python(code, tmp_path).stdout.splitlines() == ["tidemark 0.1.0", "['1', 'false', '1', 'mine']"]
