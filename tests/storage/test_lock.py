"""One process at a time, and none for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from storage.errors import LeaseHeld
from storage.lock import alone_in

HOLD = """
import sys
from pathlib import Path
from storage.lock import alone_in
with alone_in(Path(sys.argv[1]), "held"):
    print("in", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_by_one_and_let_go_by_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "training"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "in\n"
        with pytest.raises(LeaseHeld, match="it is taken"), alone_in(folder, "it is taken"):
            pass
        assert folder.is_dir()
        other.kill()
    with alone_in(folder, ""):
        (folder / "kept").touch()
        with pytest.raises(LeaseHeld), alone_in(folder, ""):
            pass
    with alone_in(folder, ""):
        (folder / "kept").unlink()
    assert not folder.exists()
