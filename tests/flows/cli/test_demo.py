"""The demonstration keeps its promises, and says so loudly where it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.demo_shell import Broken, Demo


def play(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli.demo", str(folder), "stub"], capture_output=True, text=True, check=False
    )


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    ended = play(tmp_path)
    assert ended.returncode == 1
    assert "name another folder" in " ".join(ended.stdout.split())
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_broken_promise_ends_it(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "stub")
    demo.check("one is one", kept=True)
    with pytest.raises(Broken, match="one is two: not so; found 1"):
        demo.check("one is two", kept=False, found=1)
    with pytest.raises(Broken, match=r"`tidemark releases` ended with 2"):
        demo.run("releases")
    with pytest.raises(Broken, match="no such configuration file"):
        demo.ask("releases")


@pytest.mark.slow
def test_the_whole_demonstration_keeps_its_promises(tmp_path: Path) -> None:
    ended = play(tmp_path / "demo")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "release 3 gives the answers of release 1" in " ".join(ended.stdout.split())
