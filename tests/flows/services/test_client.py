"""Prefect's client as the services use it: its patience, its errors in our words, and what a flow run may choose."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from flows.services.client import Dashboard, job_template
from flows.services.errors import ServicesError


class Busy(BaseHTTPRequestHandler):
    """A server whose database is locked at the first two requests, and that then answers with the next status."""

    asked: ClassVar[list[str]] = []
    logins: ClassVar[set[str | None]] = set()
    status = 200

    def do_GET(self) -> None:
        self.answer(422 if "csrf-token" in self.path else 200, {"detail": "CSRF protection is disabled."})

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.answer(503 if len(self.asked) < 3 else self.status, [])

    def answer(self, status: int, body: object) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.logins.add(self.headers["Authorization"])
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Dashboard(f"http://127.0.0.1:{server.server_port}", "tidemark", "tidemark:s3cret")
        server.shutdown()


def test_a_locked_database_is_asked_again_and_a_refusal_is_told(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dashboard.healthy()
    assert dashboard.schedules() == []
    assert Busy.asked == 3 * ["/api/deployments/filter"]
    assert Busy.logins == {"Basic dGlkZW1hcms6czNjcmV0"}
    for status, hint in [(422, ""), (401, "; `up` starts it anew")]:
        monkeypatch.setattr(Busy, "status", status)
        with pytest.raises(ServicesError, match=f"answers {status} to POST /api/deployments/filter") as raised:
            dashboard.schedules()
        assert hint in str(raised.value)
        assert "s3cret" not in f"{raised.value} {raised.value.__cause__} {dashboard!r}"
        assert not dashboard.worker_online()


def test_a_server_that_is_gone_is_neither_healthy_nor_waited_for() -> None:
    gone = Dashboard("http://127.0.0.1:1", "tidemark", "tidemark:s3cret")
    assert not gone.healthy()
    assert not gone.worker_online()
    with pytest.raises(ServicesError, match="does not answer: ConnectError"):
        gone.unscheduled()


def test_a_flow_run_chooses_neither_its_command_nor_its_folder_nor_its_environment() -> None:
    from prefect.workers.process import ProcessJobConfiguration

    wanted = {"command": "touch PWNED", "working_dir": "/", "stream_output": True, "name": "x"}
    wanted |= {"env": {"LD_PRELOAD": "x.so"}, "env.PYTHONPATH": "/"}
    filled = ProcessJobConfiguration.from_template_and_values(job_template(), wanted, client=object())
    job = asyncio.run(filled)
    launcher = Path(__file__).parents[3] / "flows" / "entry" / "tidemark.py"
    assert job.command == f"{sys.executable} {launcher} -m prefect.engine"
    assert (str(job.working_dir), job.stream_output, job.env, job.name) == (".", False, {}, None)
