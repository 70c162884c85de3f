"""Servers that take messages: what a webhook, Slack or a mail server is told, and how it answers."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Inbox", "mailbox", "webhook"]


@dataclass
class Inbox:
    """What was received.

    Attributes:
        url: The address.
        messages: What came, in order: JSON of a webhook, text of a mail.
        status: What a webhook answers.
        seconds: How long it thinks before it answers.
    """

    url: str
    messages: list[Any] = field(default_factory=list)
    status: int = 200
    seconds: float = 0.0

    @property
    def events(self) -> list[str]:
        """The events that were told, in order."""
        return [each["event"] for each in self.messages]


@contextmanager
def webhook(port: int = 0) -> Iterator[Inbox]:
    """A web server that takes JSON."""
    inbox = Inbox("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(inbox.seconds)
            assert self.headers["Content-Type"] == "application/json"
            inbox.messages.append(json.loads(body))
            self.send_response(inbox.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        inbox.url = f"http://127.0.0.1:{server.server_port}/hook/s3cret?token=s3cret"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield inbox
        server.shutdown()


@contextmanager
def mailbox() -> Iterator[Inbox]:
    """A mail server that knows no encryption and asks for no password."""
    inbox = Inbox("")

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            for line in self.rfile:
                word = line.split()[0].upper() if line.split() else b""
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    inbox.messages.append(b"".join(lines).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 yes\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        inbox.url = f"smtp://127.0.0.1:{server.server_address[1]}/?from=night@example.org&to=day@example.org"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield inbox
        server.shutdown()
