"""The processes of the services: found whatever was killed, and stopped."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.services.processes import LOADED_WITHIN, MARK, find, has_settings, spawn, stop


def sleeper(home: Path, role: str, program: str = "import time; time.sleep(60)") -> int:
    return spawn(home, role, [sys.executable, "-c", program], os.environ, home.parent)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "prefect"
    stop(find(tmp_path / "prefect"), seconds=1)


def test_a_grandchild_in_its_own_session_is_found_after_its_parents_were_killed(home: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], {})"
    program = child.replace("{}", "start_new_session=True").replace("], start", "], start")
    pid = sleeper(home, "worker", program)
    for _ in range(100):
        if len(find(home)) == 2:
            break
        threading.Event().wait(0.1)
    psutil.Process(pid).kill()
    os.waitpid(pid, 0)
    (orphan,) = find(home)
    assert (orphan.role, orphan.main, orphan.flow_run) == ("worker", False, None)
    assert stop([orphan], seconds=5) == 0
    assert find(home) == []


def test_a_process_that_ignores_the_request_is_killed(home: Path) -> None:
    ready = home.parent / "ready"
    program = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    sleeper(home, "worker", program)
    while not ready.exists():
        threading.Event().wait(0.05)
    assert stop(find(home), seconds=0.5) == 1
    assert find(home) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the race is of Linux")
def test_a_process_shows_whose_it_is_once_it_is_spawned(home: Path) -> None:
    for _ in range(200):  # by itself one in ten shows nothing yet
        pid = spawn(home, "server", [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, home.parent)
        assert f"{MARK}={home}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_process_that_ends_at_once_is_not_waited_for(home: Path) -> None:
    began = time.monotonic()
    spawn(home, "server", ["true"], os.environ, home.parent)
    assert time.monotonic() - began < LOADED_WITHIN
    assert find(home) == []


def test_a_process_is_known_by_the_settings_it_was_started_under(home: Path) -> None:
    spawn(home, "server", [sys.executable, "-c", "import time; time.sleep(60)"], {"A": "1", "B": "2"}, home.parent)
    (owned,) = find(home)
    assert [has_settings(owned, each) for each in ({"A": "1"}, {"A": "2"}, {"C": "1"})] == [True, False, False]
    stop([owned], seconds=5)
    assert not has_settings(owned, {})


def test_what_a_service_and_its_children_write_is_the_users_alone(home: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'open(\"made\", \"w\")'])"
    spawn(home, "worker", [sys.executable, "-c", child], os.environ, home.parent, umask=0o077)
    while not (made := home.parent / "made").exists():
        threading.Event().wait(0.05)
    assert made.stat().st_mode & 0o777 == 0o600
