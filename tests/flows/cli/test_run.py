"""The commands that run a flow: shapes, outcomes and exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import TOML, corpus, tidemark, told

from storage.tables.lease import Lease
from storage.tables.store import Store

COUNTS = {
    *("documents", "added", "changed", "moved", "deleted", "unchanged", "quarantined", "duplicates"),
    *("chunks", "embedded", "reused"),
}


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
        ("RuntimeError('the tap is closed')", 1, "Source.list() failed after 0 rows: RuntimeError: the tap is closed"),
        ("OSError(28, 'No space left on device')", 1, "source 'own': "),
        ("ValueError('not of ours')", 1, "ValueError: not of ours"),
        ("KeyError('k')", 1, "KeyError: 'k'"),
        ("TypeError('t')", 1, "TypeError: t"),
        ("SystemExit(0)", 1, "asked to leave with sys.exit(0)"),
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


def test_a_source_that_leaves_while_it_is_opened_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)\n", encoding="utf-8")
    (tmp_path / "tidemark.toml").write_text(
        '[encoder]\nname = "stub"\n[[sources]]\nname = "own"\nkind = "leaving:Source"\n', encoding="utf-8"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    result = tidemark(tmp_path, "refresh")
    assert (result.exit_code, result.stderr.startswith("error: SystemExit: 0")) == (1, True)
