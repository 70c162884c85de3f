"""Which Prefect API a command reports to, and that one which does not answer costs no night."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from killing import Child, command, within

from flows import api


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def started(folder: Path, url: str) -> None:
    """What `make up` leaves in a folder."""
    home = folder / ".tidemark" / "prefect"
    home.mkdir(parents=True)
    (home / "server.pid").write_text("1\n")
    (home / "port").write_text(url.rpartition(":")[2])


@pytest.mark.parametrize("status", [200, 401, 500])
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
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not api.connected(tmp_path)
    started(tmp_path, server)
    changed: dict[str, str] = {}
    monkeypatch.setattr(api.os, "environ", changed)
    assert api.connected(tmp_path)
    assert (changed[api.VARIABLE], changed["PREFECT_RESULTS_DEFAULT_SERIALIZER"]) == (f"{server}/api", "json")


def test_a_dashboard_that_was_killed_is_passed_over(tmp_path: Path, closed: str) -> None:
    started(tmp_path, closed)
    assert not api.connected(tmp_path)


def test_a_refresh_goes_on_without_the_api_that_is_configured(tmp_path: Path, closed: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("The tide.")
    file = tmp_path / "tidemark.toml"
    file.write_text('[encoder]\nname = "stub"\n[[sources]]\nname = "notes"\nkind = "folder"\npath = "notes"\n')
    with Child(within, {api.VARIABLE: closed}, command, "-c", str(file), "refresh") as child:
        code, out, _ = child.end().value
    assert code == 0
    assert "release 1  published" in out
