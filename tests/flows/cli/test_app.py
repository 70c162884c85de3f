"""The command line as its users script it: shapes, exit codes, streams; with the stub encoder on tiny folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli.app import app
from flows.cli.init import template
from flows.config.schema import Config
from storage.tables.lease import Lease
from storage.tables.store import Store

COUNTS = {
    *("documents", "added", "changed", "moved", "deleted", "unchanged", "quarantined", "duplicates"),
    *("chunks", "embedded", "reused"),
}
HIT = {"score", "document", "source", "title", "text", "start", "end", "chunk"}
TOML = """
[store]
uri = "store"
[encoder]
name = "stub"
[[sources]]
name = "notes"
kind = "folder"
path = "notes"
"""

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_foreign_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("TIDEMARK_", "PREFECT_API_"))]:
        monkeypatch.delenv(name)


def tidemark(folder: Path, *arguments: str) -> Result:
    """Run a command in this process, with the configuration of a folder."""
    return CliRunner().invoke(app, ["-c", str(folder / "tidemark.toml"), *arguments])


def told(folder: Path, *arguments: str) -> Any:
    """Run a command that ends well, and read its JSON."""
    result = tidemark(folder, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def corpus(folder: Path, count: int = 6, toml: str = TOML) -> Path:
    """Write a configuration and some notes."""
    (folder / "notes").mkdir(parents=True)
    for number in range(count):
        text = f"# Note {number}\n\nThe tide at pier {number} rises {number} feet.\n"
        (folder / "notes" / f"n{number}.md").write_text(text, encoding="utf-8")
    (folder / "tidemark.toml").write_text(toml, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two releases; tests only look at it. One of its documents is refused."""
    folder = corpus(tmp_path_factory.mktemp("published"))
    assert told(folder, "refresh")["release"] == 1
    (folder / "notes" / "n0.md").write_text("# Note 0\n\nAnother text about the moon.\n", encoding="utf-8")
    (folder / "notes" / "n1.md").rename(folder / "notes" / "moved.md")
    (folder / "notes" / "n2.md").unlink()
    (folder / "notes" / "empty.md").touch()
    assert told(folder, "refresh")["release"] == 2
    return folder


def test_a_history_is_told_in_the_promised_shapes(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    plan = told(folder, "plan")
    assert plan["counts"].keys() >= COUNTS
    assert {"causes", "tokens", "estimated_seconds", "bytes"} <= plan.keys()
    assert told(folder, "releases") == []
    first = told(folder, "refresh")
    assert {"run", "release", "outcome", "counts", "seconds"} <= first.keys()
    assert (first["release"], first["outcome"]) == (1, "published")
    assert first["counts"].keys() >= COUNTS
    assert first["counts"]["embedded"] == plan["counts"]["embedded"] == 6
    again = told(folder, "refresh")
    assert (again["release"], again["outcome"], again["counts"]["embedded"]) == (1, "unchanged", 0)
    (folder / "notes" / "n0.md").write_text("# Note 0\n\nThe moon moves the sea.\n", encoding="utf-8")
    before = told(folder, "search", "moon", "-k", "3")
    assert told(folder, "refresh")["release"] == 2
    assert told(folder, "search", "moon", "-k", "1")["hits"][0]["document"] == "n0.md"
    assert {"release": 3, "restored": 1}.items() <= told(folder, "rollback").items()
    after = told(folder, "search", "moon", "-k", "3")
    assert (after["release"], after["hits"]) == (3, before["hits"])
    assert {"release": 4, "restored": 2}.items() <= told(folder, "rollback", "--to", "2").items()
    audit = told(folder, "audit", "--deep")
    assert audit["ok"] is True
    assert all({"name", "ok", "detail"} <= check.keys() for check in audit["checks"])


def test_a_search_tells_hits_best_first(published: Path) -> None:
    found = told(published, "search", "moon", "-k", "2")
    assert found["release"] == 2
    assert [set(hit) for hit in found["hits"]] == [HIT, HIT]
    assert found["hits"][0]["document"] == "n0.md"
    assert found["hits"][0]["score"] >= found["hits"][1]["score"]
    older = told(published, "search", "moon", "-k", "1", "--release", "1")
    assert older["release"] == 1
    assert "moon" not in older["hits"][0]["text"]


def test_a_search_is_narrowed_by_what_its_conditions_name(published: Path) -> None:
    hits = told(published, "search", "moon", "--where", "document=n3.md", "--where", "document=n4.md")["hits"]
    assert {hit["document"] for hit in hits} == {"n3.md", "n4.md"}
    assert told(published, "search", "moon", "--where", "document=n3.md", "--where", "source=none")["hits"] == []


def test_queries_of_a_file_are_answered_one_a_line_in_order(published: Path, tmp_path: Path) -> None:
    queries = ["moon", "", *(f"tide at pier {number % 6}" for number in range(70))]
    file = tmp_path / "queries.txt"
    file.write_text("\n".join(queries) + "\n", encoding="utf-8")
    result = tidemark(published, "search", "--queries", str(file), "-k", "1", "--json")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [answer["query"] for answer in answers] == queries
    assert [len(answer["hits"]) for answer in answers] == [1, 0] + [1] * 70
    assert answers[0]["hits"][0]["document"] == "n0.md"


def test_lists_are_newest_first(published: Path) -> None:
    releases = told(published, "releases")
    assert [row["release"] for row in releases] == [2, 1]
    assert all({"release", "created", "outcome", "space", "run"} <= row.keys() for row in releases)
    assert [row["current"] for row in releases] == [True, False]
    assert all(row["stub"] for row in releases)
    runs = told(published, "runs")
    assert [row["run"] for row in runs] == [row["run"] for row in releases]
    (refused,) = told(published, "quarantine", "list")
    assert {"document": "empty.md", "source": "notes", "attempts": 1}.items() <= refused.items()
    assert refused["rule"]
    assert refused["reason"]


def test_releases_and_runs_are_shown_in_full(published: Path) -> None:
    current = told(published, "show")
    assert current["release"] == 2
    assert told(published, "show", "1")["release"] == 1
    run = told(published, "show", current["run"])
    assert run["run"] == current["run"]
    assert run["libraries"]
    assert run["data"]
    assert told(published, "show", current["run"][:-2]) == run


def test_two_releases_are_compared(published: Path) -> None:
    found = told(published, "diff", "1", "2")
    assert found["counts"] == {"added": 0, "changed": 1, "metadata": 0, "moved": 1, "removed": 1}
    assert found["changed"] == [{"source": "notes", "document": "n0.md"}]
    assert found["moved"] == [
        {"source": "notes", "document": "moved.md", "before": {"source": "notes", "document": "n1.md"}}
    ]


def test_a_chunk_is_traced_to_where_it_comes_from(published: Path) -> None:
    hit = told(published, "search", "moon", "-k", "1")["hits"][0]
    traced = told(published, "explain", hit["chunk"])
    assert traced["chunk"] == hit["chunk"]
    assert traced["document"]["id"] == "n0.md"
    assert traced["release"]["release"] == 2
    assert traced["run"]["run"] == told(published, "show")["run"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan",),
        ("refresh",),
        ("search", "moon"),
        ("releases",),
        ("runs",),
        ("show",),
        ("show", "1"),
        ("diff", "1", "2"),
        ("quarantine", "list"),
        ("audit",),
    ],
)
def test_every_command_has_a_view_for_people(published: Path, arguments: tuple[str, ...]) -> None:
    result = tidemark(published, *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()
    assert not result.stdout.startswith(("{", "["))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serch", "x"), "No such command"),
        (("search",), "either a text"),
        (("search", "x", "--queries", "q.txt"), "either a text"),
        (("search", " "), "blank"),
        (("search", "x", "-k", "0"), "-k"),
        (("search", "x", "--where", "source"), "where 'source': write COLUMN=VALUE"),
        (("search", "x", "--where", "text=x"), "no column 'text' to filter; there are source, document, key"),
        (("search", "--queries", "none.txt"), "none.txt: the queries cannot be read"),
        (("search", "x", "--release", "9"), "no release 9"),
        (("show", "9"), "no release 9"),
        (("show", "no-run"), "no run 'no-run'"),
        (("diff", "1", "9"), "no release 9"),
        (("rollback", "--to", "9"), "no release 9"),
        (("rollback", "--to", "2"), "nothing to roll back"),
        (("explain", "' OR true"), "no chunk"),
    ],
)
def test_wrong_input_is_told_and_ends_with_2(published: Path, arguments: tuple[str, ...], message: str) -> None:
    result = tidemark(published, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (None, "no such configuration file"),
        ("[store\n", "line 1, column 7"),
        (TOML + "[limit]\n", "did you mean 'limits'?"),
        (TOML.replace('"notes"\n', '"missing"\n'), "missing"),
        (TOML.replace('"stub"', '"./no-such-encoder"'), "no-such-encoder"),
        ('[encoder]\nname = "stub"\n', "no [[sources]]"),
    ],
)
def test_a_wrong_configuration_ends_with_2(tmp_path: Path, toml: str | None, message: str) -> None:
    if toml is not None:
        (tmp_path / "notes").mkdir()
        (tmp_path / "tidemark.toml").write_text(toml, encoding="utf-8")
    result = tidemark(tmp_path, "refresh", "--json")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "store").exists()


def test_an_emptied_source_waits_for_approval(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    told(folder, "refresh")
    for file in (folder / "notes").iterdir():
        file.unlink()
    assert told(folder, "plan")["outcome"] == "needs-approval"
    stopped = tidemark(folder, "refresh", "--json")
    assert stopped.exit_code == 3
    assert json.loads(stopped.stdout)["outcome"] == "needs-approval"
    assert len(told(folder, "search", "tide")["hits"]) == 6
    assert told(folder, "refresh", "--accept-deletions")["outcome"] == "published"
    assert told(folder, "search", "tide")["hits"] == []


def test_another_encoder_waits_for_approval(tmp_path: Path) -> None:
    folder = corpus(tmp_path)
    told(folder, "refresh")
    config = folder / "tidemark.toml"
    config.write_text(config.read_text().replace('"stub"', '"stub:2"'))
    assert told(folder, "plan")["outcome"] == "needs-approval"
    stopped = tidemark(folder, "refresh")
    assert (stopped.exit_code, "tidemark refresh --accept-encoder" in stopped.stdout) == (3, True)
    assert told(folder, "refresh", "--accept-encoder")["outcome"] == "published"


def test_a_run_that_refuses_too_much_ends_with_5(tmp_path: Path) -> None:
    folder = corpus(tmp_path, count=1, toml=TOML + "[limits]\nrefused_floor = 0\nmax_refused_share = 0.1\n")
    (folder / "notes" / "empty.md").touch()
    result = tidemark(folder, "refresh", "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout)["outcome"] == "refused"
    assert told(folder, "releases") == []
    assert [row["document"] for row in told(folder, "quarantine", "list")] == ["empty.md"]


def test_a_damaged_release_fails_its_audit_with_5(tmp_path: Path) -> None:
    folder = corpus(tmp_path, count=2)
    space = told(folder, "show")["space"] if told(folder, "refresh") else ""
    (folder / "store" / "models" / space / "tidemark.json").unlink()
    result = tidemark(folder, "audit", "--json")
    assert result.exit_code == 5
    assert json.loads(result.stdout)["ok"] is False


def test_a_second_run_is_told_who_holds_the_store(tmp_path: Path) -> None:
    folder = corpus(tmp_path, count=1)
    with Lease(Store(str(folder / "store")), "the-other-run"):
        result = tidemark(folder, "refresh", "--json")
    assert result.exit_code == 4
    assert "the-other-run" in result.stderr
    assert result.stdout == ""


BROKEN = """
class Source:
    def __init__(self, config, base):
        self.name = config.name

    def list(self):
        raise {error}

    def read(self, ids):
        return iter(())
"""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("RuntimeError('the tap is closed')", 1, "RuntimeError: the tap is closed (TIDEMARK_DEBUG=1"),
        ("OSError('LanceError(IO): (os error 28)')", 1, "the disk is full: free some space and run the command again"),
        ("OSError(28, 'No space left on device')", 1, "the disk is full: free some space and run the command again"),
        ("ValueError('not of ours')", 1, "ValueError: not of ours"),
        ("KeyboardInterrupt", 130, "what readers see is unchanged"),
    ],
)
def test_what_nobody_foresaw_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, code: int, message: str
) -> None:
    module = f"broken_{code}_{error[:5].lower()}"
    (tmp_path / f"{module}.py").write_text(BROKEN.format(error=error), encoding="utf-8")
    (tmp_path / "tidemark.toml").write_text(
        f'[encoder]\nname = "stub"\n[[sources]]\nname = "own"\nkind = "{module}:Source"\n', encoding="utf-8"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    result = tidemark(tmp_path, "refresh", "--json")
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    if code == 1:
        failed = json.loads(result.stdout)
        assert failed["outcome"] == "failed"
        assert [row["run"] for row in told(tmp_path, "runs")] == [failed["run"]]
        monkeypatch.setenv("TIDEMARK_DEBUG", "1")
        assert "Traceback" in tidemark(tmp_path, "refresh").stderr


def test_the_configuration_is_found_by_variable_and_overridden_by_variables(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_CONFIG", str(published / "tidemark.toml"))
    assert len(json.loads(CliRunner().invoke(app, ["releases", "--json"]).stdout)) == 2
    monkeypatch.setenv("TIDEMARK_STORE__URI", str(tmp_path / "empty"))
    assert CliRunner().invoke(app, ["releases", "--json"]).stdout == "[]\n"


def test_init_writes_a_configuration_that_works_and_never_overwrites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "My Notes").mkdir()
    assert CliRunner().invoke(app, ["init", "My Notes"]).exit_code == 0
    config = Config.load(tmp_path / "tidemark.toml", environ={})
    assert [(source.name, source.kind, source.model_dump()["path"]) for source in config.sources] == [
        ("my-notes", "folder", "My Notes")
    ]
    assert config == Config.from_mapping({"sources": [config.sources[0].model_dump()]}, tmp_path)
    again = CliRunner().invoke(app, ["init", "My Notes"])
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert CliRunner().invoke(app, ["-c", "other.toml", "init", "nowhere"]).exit_code == 2


def test_init_finds_a_usual_folder_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    assert Config.load(tmp_path / "tidemark.toml", environ={}).sources[0].model_dump()["path"] == "docs"


@pytest.mark.parametrize(("name", "kind"), [("a.jsonl", "jsonl"), ("b.csv", "csv"), ("c.parquet", "parquet")])
def test_init_knows_tables_by_their_suffix(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).touch()
    file = tmp_path / "tidemark.toml"
    file.write_text(template(tmp_path / name, tmp_path), encoding="utf-8")
    assert Config.load(file, environ={}).sources[0].kind == kind


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
        for command in (["releases"], ["runs"], ["show"], ["quarantine", "list"], ["rollback", "--to", "9"]):
            app(command, standalone_mode=False) if command[0] != "rollback" else None
        import flows.rollback
        heavy = {"torch", "transformers", "sentence_transformers", "prefect", "great_expectations", "lancedb"}
        print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
        """
    ended = python(code, published)
    assert ended.stderr.splitlines()[-1] == "[]", ended.stderr


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


@pytest.mark.parametrize("arguments", [("--json",), ()])
def test_a_closed_pipe_is_no_reason_to_complain(published: Path, arguments: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli.app", "releases", *arguments],
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
