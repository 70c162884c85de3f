"""The dashboard's services: settings, processes and, when slow tests are asked for, a real start and stop."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
import yaml

from flows.dashboard_client import Dashboard
from flows.processes import MARK, find, spawn, stop
from flows.services import Services, _check_port, down, prefect_environment, status, up
from storage.errors import InputError

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = ROOT / "deployments" / "prefect.yaml"


def sleeper(home: Path, role: str, program: str = "import time; time.sleep(60)") -> int:
    return spawn(home, role, [sys.executable, "-c", program], os.environ, home.parent)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "prefect"
    stop(find(tmp_path / "prefect"), seconds=1)


def test_the_settings_keep_everything_on_this_machine_and_nothing_pickled(tmp_path: Path) -> None:
    settings = prefect_environment(Services(tmp_path, 4321, DEPLOYMENTS))
    assert settings["PREFECT_SERVER_UI_API_URL"] == settings["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert settings["PREFECT_HOME"] == str(tmp_path / ".tidemark" / "prefect")
    assert settings["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert settings["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
    assert settings["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


@pytest.mark.parametrize("port", ["abc", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEMARK_PORT", port)
    with pytest.raises(InputError, match="TIDEMARK_PORT is"):
        Services.from_environment()


def test_a_missing_folder_and_missing_deployments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path / "none"))
    with pytest.raises(InputError, match="which is no folder"):
        Services.from_environment()
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.setenv("TIDEMARK_DEPLOYMENTS", str(tmp_path / "none.yaml"))
    with pytest.raises(InputError, match=r"no deployments at .*none\.yaml"):
        Services.from_environment()


def test_the_deployments_of_the_folder_come_before_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_HOME", str(tmp_path))
    monkeypatch.delenv("TIDEMARK_DEPLOYMENTS", raising=False)
    assert Services.from_environment().deployments == DEPLOYMENTS
    own = tmp_path / "deployments" / "prefect.yaml"
    own.parent.mkdir()
    own.write_text("deployments: []\n")
    assert Services.from_environment().deployments == own


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is taken by another program"):
            _check_port(port)
    _check_port(port)


def test_the_deployments_name_modules_and_no_place_of_a_machine() -> None:
    text = DEPLOYMENTS.read_text()
    data = yaml.safe_load(text)
    assert [each["entrypoint"] for each in data["deployments"]] == [
        "flows.dashboard.deployed.refresh",
        "flows.dashboard.deployed.rollback",
        "flows.dashboard.deployed.audit",
    ]
    assert data["pull"] == [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]
    assert not [word for word in text.split() if word.strip("\"'").startswith("/")]


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


def test_down_leaves_the_processes_of_other_folders_alone(tmp_path: Path) -> None:
    mine, theirs = Services(tmp_path / "a", 1, DEPLOYMENTS), Services(tmp_path / "b", 2, DEPLOYMENTS)
    for each in (mine, theirs):
        each.folder.mkdir()
        each.home.mkdir(parents=True)
        sleeper(each.home, "worker")
    down(mine)
    assert (len(find(mine.home)), len(find(theirs.home))) == (0, 1)
    assert not list(mine.home.glob("*.pid"))
    down(theirs)
    assert find(theirs.home) == []
    down(theirs)  # a second time there is nothing to do


class Busy(BaseHTTPRequestHandler):
    """A server whose database is locked at the first two requests."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_response(503 if len(self.asked) < 3 else 422 if self.path.endswith("wrong") else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"asked": len(self.asked)}).encode())

    def log_message(self, format: str, *args: object) -> None: ...


def test_a_locked_database_is_asked_again_and_a_refusal_is_told() -> None:
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dashboard = Dashboard(f"http://127.0.0.1:{server.server_port}", "tidemark")
        assert dashboard.request("/x", {}) == {"asked": 3}
        with pytest.raises(OSError, match="POST /wrong: 422"):
            dashboard.request("/wrong", {})
        assert dashboard.request("/wrong", {}, accept=422) is None
        server.shutdown()
    assert not dashboard.healthy()


@pytest.mark.slow
def test_up_repairs_what_was_killed_and_down_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    services = Services(tmp_path, port, DEPLOYMENTS)
    try:
        up(services)
        assert status(services)
        before = {each.process.pid for each in find(services.home)}
        up(services)
        assert {each.process.pid for each in find(services.home)} == before
        assert len(services.dashboard.schedules()) == 3
        for role in ("worker", "server"):
            os.kill(int((services.home / f"{role}.pid").read_text()), 9)
            assert not status(services)
            up(services)
            assert status(services)
    finally:
        down(services)
    marked = subprocess.run(["ps", "eww", "-axo", "args"], capture_output=True, text=True, check=False).stdout
    assert f"{MARK}={services.home}" not in marked
