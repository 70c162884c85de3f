"""Which Prefect API a command reports to, and that one which does not answer costs no night."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from killing import Child, command, within
from ports import free_port

from flows.dashboard import api
from flows.services.access import close_folder, make_password
from flows.services.processes import find, spawn, stop


class Answer(BaseHTTPRequestHandler):
    status = 200

    password: str | None = None

    def do_GET(self) -> None:
        known = self.password is None or self.headers["Authorization"] == self.password
        self.send_response(self.status if known or self.path.endswith("/health") else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv(api.VARIABLE, raising=False)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv(api.VARIABLE, raising=False)
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / ".tidemark" / "prefect"
    yield made
    stop(find(made), seconds=1)


def started(home: Path, url: str) -> str:
    """What `make up` leaves in a folder: a process, its port and a password, which is given back."""
    close_folder(home)
    spawn(home, "server", [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, home.parent)
    (home / "port").write_text(url.rpartition(":")[2])
    return make_password(home)


@pytest.mark.parametrize(("status", "why"), [(401, "refuses us"), (403, "refuses us"), (500, "is out of order")])
def test_an_api_that_would_end_a_run_before_it_began_is_warned_of(
    tmp_path: Path,
    server: str,
    status: int,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Answer, "status", status)
    monkeypatch.setenv(api.VARIABLE, f"{server}/api")
    monkeypatch.setenv(api.STRING, "tidemark:another")
    with caplog.at_level(logging.WARNING):
        assert not api.connected(tmp_path)
    assert f"/api {why} (HTTP {status}" in caplog.text
    assert "this run is recorded in the store alone" in caplog.text
    assert "another" not in caplog.text


@pytest.mark.parametrize(("name", "value"), [(api.STRING, "me:known"), (api.KEY, "known"), ("", "")])
def test_a_password_is_that_of_the_environment_or_of_the_profile(
    tmp_path: Path, server: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answer, "password", "Bearer known" if name == api.KEY else "Basic bWU6a25vd24=")
    monkeypatch.setenv(api.VARIABLE, f"{server}/api")
    if name:
        monkeypatch.setenv(name, value)
        assert api.connected(tmp_path)
        return
    from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings

    assert not api.connected(tmp_path)
    with temporary_settings({PREFECT_API_AUTH_STRING: "me:known"}):
        assert api.connected(tmp_path)


@pytest.mark.parametrize("status", [200, 404])
def test_an_api_of_the_environment_that_answers_is_taken(
    tmp_path: Path, server: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Answer, "status", status)
    monkeypatch.setenv(api.VARIABLE, f"{server}/api")
    assert api.connected(tmp_path)


@pytest.mark.parametrize("url", ["", "no address", "https://"])
def test_an_api_that_does_not_answer_is_warned_of(
    tmp_path: Path, closed: str, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(api.VARIABLE, url or closed)
    with caplog.at_level(logging.WARNING):
        assert not api.connected(tmp_path)
    assert "does not answer: this run is recorded in the store alone" in caplog.text


def test_the_dashboard_of_the_folder_is_taken_while_it_answers(
    tmp_path: Path, home: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not api.connected(tmp_path)
    password = started(home, server)
    changed = {"PREFECT_API_AUTH_STRING": "another:server's", "PREFECT_HOME": "mine", "NO_PROXY": "here"}
    monkeypatch.setattr(api.os, "environ", changed)
    assert api.connected(tmp_path)
    assert (changed[api.VARIABLE], changed["PREFECT_RESULTS_DEFAULT_SERIALIZER"]) == (f"{server}/api", "json")
    assert (changed["PREFECT_API_AUTH_STRING"], changed["PREFECT_HOME"]) == (f"tidemark:{password}", "mine")
    assert changed["NO_PROXY"] == "here,127.0.0.1,localhost"
    assert not [name for name in changed if name.startswith("PREFECT_SERVER_API")]


def test_a_dashboard_that_was_killed_is_passed_over(tmp_path: Path, home: Path, closed: str) -> None:
    started(home, closed)
    assert not api.connected(tmp_path)


def test_whoever_took_the_port_of_a_killed_dashboard_is_not_told_its_password(
    tmp_path: Path, home: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(home, server)
    stop(find(home), seconds=5)
    changed: dict[str, str] = {}
    monkeypatch.setattr(api.os, "environ", changed)
    assert not api.connected(tmp_path)
    assert changed == {}


def test_a_dashboard_without_its_password_costs_a_warning(
    tmp_path: Path, home: Path, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    started(home, server)
    (home / "password").unlink()
    with caplog.at_level(logging.WARNING):
        assert not api.connected(tmp_path)
    assert "`up` makes one; this run is recorded in the store alone" in caplog.text


def test_a_refresh_goes_on_without_the_api_that_is_configured(tmp_path: Path, closed: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("The tide.")
    file = tmp_path / "tidemark.toml"
    file.write_text('[encoder]\nname = "stub"\n[[sources]]\nname = "notes"\nkind = "folder"\npath = "notes"\n')
    with Child(within, {api.VARIABLE: closed}, command, "-c", str(file), "refresh") as child:
        code, out, _ = child.end().value
    assert code == 0
    assert "release 1  published" in out
