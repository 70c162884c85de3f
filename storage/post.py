"""Sends one message to people: a webhook, Slack or mail, within seconds, and never with the address in an error."""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from storage.errors import TidemarkError

__all__ = ["Undelivered", "post"]

SECONDS = 5.0  # that whoever is told may take


class Undelivered(TidemarkError):
    """Nobody took the message; the text names neither address nor password."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Another address than the configured one is told nothing."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the answer itself is the error."""
        return


def post(kind: str, address: str, told: Mapping[str, Any], seconds: float = SECONDS) -> None:
    """Send one message.

    Args:
        kind: `webhook`, `slack` or `mail`.
        address: Where to, a secret.
        told: event, run, release, message and url.
        seconds: How long one step may take.

    Raises:
        Undelivered: It was not taken.
    """
    try:
        if kind == "mail":
            _mail(address, told, seconds)
        else:
            _web(address, {"text": text(told)} if kind == "slack" else told, seconds)
    except urllib.error.HTTPError as error:
        error.close()
        raise Undelivered(f"the answer was HTTP {error.code}") from None  # the error itself names the address
    except (OSError, ValueError, http.client.HTTPException, smtplib.SMTPException) as error:
        why = getattr(error, "reason", None)
        named = type(why if isinstance(why, OSError) else error).__name__
        raise Undelivered(f"{named}: is the address right, and does it answer within {seconds:g} s?") from None


def text(told: Mapping[str, Any]) -> str:
    """A message in one line for a chat or the subject of a mail."""
    run = f" (run {told['run']})" if told["run"] else ""
    return f"tidemark {told['event']}: {told['message']}{run} {told['url']}".strip()


def _web(address: str, told: Mapping[str, Any], seconds: float) -> None:
    if urlsplit(address).scheme not in {"http", "https"}:
        raise ValueError("no web address")
    body = json.dumps(told, ensure_ascii=False).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(_Stay())
    with opener.open(request, timeout=seconds):
        pass


def _mail(address: str, told: Mapping[str, Any], seconds: float) -> None:
    parts = urlsplit(address)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or not {"from", "to"} <= asked.keys():
        raise ValueError("no mail address")
    message = EmailMessage()
    message["From"], message["To"] = asked["from"], asked["to"]
    message["Subject"] = f"tidemark {told['event']}: {' '.join(str(told['message']).split())[:120]}"
    message.set_content("\n".join(f"{name}: {value}" for name, value in told.items() if value not in {None, ""}))
    context = ssl.create_default_context()
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(parts.hostname, parts.port or 465, timeout=seconds, context=context)
    else:
        server = smtplib.SMTP(parts.hostname, parts.port or 25, timeout=seconds)
    with server:
        server.ehlo()
        closed = parts.scheme == "smtps"
        if not closed and server.has_extn("starttls"):
            server.starttls(context=context)
            closed = True
        if parts.username and not closed:
            raise ValueError("a password goes over no open line")
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)
