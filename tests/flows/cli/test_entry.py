"""Nobody's own package takes the place of ours, and a source beside the configuration is found all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LAUNCHER = ROOT / "flows" / "entry" / "tidemark.py"
OURS = ("flows", "tasks", "models", "storage")
TOML = """
[store]
uri = "store"
[encoder]
name = "stub"
[[sources]]
name = "pages"
kind = "folder"
path = "pages"
[[sources]]
name = "own"
kind = "mine:Mine"
"""
MINE = """
import polars as pl

class Mine:
    name = "own"
    def __init__(self, config, base_dir): pass
    def list(self):
        yield pl.DataFrame({"id": ["a"], "revision": ["1"], "bytes": [None], "problem": [None]})
    def read(self, ids):
        row = {"id": ["a"], "text": ["The tide at the pier."], "revision": ["1"], "metadata": ["{}"]}
        yield pl.DataFrame(row).with_columns(
            *(pl.lit(None).alias(name) for name in ("title", "licence", "timestamp", "queries", "problem"))
        )
"""
LOADED = """
import sys
from prefect.utilities.importtools import load_module

print(load_module("flows.dashboard.deployed").__file__, sys.argv[1:])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with packages of the names of ours, each of which ends whoever imports it."""
    for name in OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the user has {name} of his own')\n")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.html").write_text("<title>A</title><p>The moon over the reef is bright.</p>")
    (tmp_path / "tidemark.toml").write_text(TOML)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "loaded.py").write_text(LOADED)
    return tmp_path


def started(folder: Path, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, str(LAUNCHER), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_commands_are_ours_whatever_is_on_the_path(folder: Path) -> None:
    ended = started(folder, ".", "refresh", "--json")  # which reads HTML in a process of its own
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert (result["release"], result["counts"]["added"]) == (1, 2)
    shadowed = subprocess.run(
        [sys.executable, "-m", "flows.cli.app", "--version"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the user has flows of his own" in shadowed.stderr  # the trap is one


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_scheduler_may_close_the_standard_streams(folder: Path, closed: str) -> None:
    command = f'exec "$0" "$1" refresh {closed}'
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, str(LAUNCHER)], cwd=folder, env=environment, check=False
    )
    assert ended.returncode == 0
    assert started(folder, "", "audit", "--deep").returncode == 0  # nothing that was printed went into a table
    wrong = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$1" show none {closed}', sys.executable, str(LAUNCHER)],
        cwd=folder,
        env=environment,
        check=False,
    )
    assert wrong.returncode == 2


def test_prefect_loads_our_flows_whatever_the_working_folder_holds(folder: Path) -> None:
    ended = started(folder, str(folder), "-m", "loaded", "x", "y")
    assert (ended.stdout.split(maxsplit=1), ended.returncode) == (
        [str(ROOT / "flows" / "dashboard" / "deployed.py"), "['x', 'y']\n"],
        0,
    ), ended.stderr


def test_an_installation_that_is_not_whole_says_so(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "tidemark.py").write_text(LAUNCHER.read_text())
    ended = subprocess.run(
        [sys.executable, str(folder / "elsewhere" / "tidemark.py")], capture_output=True, text=True, check=False
    )
    assert "Tidemark is not whole" in ended.stderr


def test_it_finds_the_packages_beside_it_where_they_were_copied(folder: Path) -> None:
    site = folder / "site"
    site.mkdir()
    for name in OURS:
        (site / name).symlink_to(ROOT / name)
    (site / "tidemark.py").write_text(LAUNCHER.read_text())
    ended = subprocess.run(
        [sys.executable, str(site / "tidemark.py"), "--version"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.split()[:1]) == (0, ["tidemark"]), ended.stderr


def test_garbage_is_collected_once_a_run_begins(folder: Path) -> None:
    mine = MINE.replace(
        "    def list(self):", "    def list(self):\n        assert gc.isenabled() and gc.get_freeze_count()"
    )
    (folder / "mine.py").write_text(f"import gc\n{mine}")
    done = subprocess.run(
        [sys.executable, str(LAUNCHER), "refresh"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_garbage_is_collected_in_every_command() -> None:
    code = f"""
import gc, runpy
import flows.cli.app as app
main = runpy.run_path({str(LAUNCHER)!r})["main"]
app.run = lambda: print(gc.isenabled(), 700 < gc.get_threshold()[0] < 1_000_000)
main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
