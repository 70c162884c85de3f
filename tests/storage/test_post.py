"""Messages to people: each kind arrives as it is meant, and no error names an address."""

from __future__ import annotations

import pytest
from inbox import mailbox, webhook

from storage.post import Undelivered, post

TOLD = {"event": "failed", "run": "r1", "release": 3, "message": "refresh: it broke", "url": "http://127.0.0.1/x"}
LINE = "tidemark failed: refresh: it broke (run r1) http://127.0.0.1/x"


def test_a_webhook_takes_the_message_as_json_and_slack_as_a_line() -> None:
    with webhook() as inbox:
        post("webhook", inbox.url, TOLD)
        post("slack", inbox.url, TOLD)
    assert inbox.messages == [TOLD, {"text": LINE}]


def test_a_mail_has_the_event_in_its_subject() -> None:
    with mailbox() as inbox:
        post("mail", inbox.url, TOLD)
    (mail,) = inbox.messages
    assert "Subject: tidemark failed: refresh: it broke" in mail
    assert "To: day@example.org" in mail
    assert "release: 3" in mail


@pytest.mark.parametrize("status", [302, 404, 500])
def test_who_does_not_take_a_message_is_told_by_his_answer_alone(status: int) -> None:
    with webhook() as inbox:
        inbox.status = status
        with pytest.raises(Undelivered, match=f"HTTP {status}") as raised:
            post("webhook", inbox.url, TOLD)
        assert len(inbox.messages) == 1  # nowhere else is it sent to
    assert "s3cret" not in f"{raised.value!r} {raised.value.__cause__!r}"


def test_who_thinks_for_too_long_is_not_waited_for() -> None:
    with webhook() as inbox:
        inbox.seconds = 1.0
        with pytest.raises(Undelivered, match="TimeoutError: is the address right"):
            post("webhook", inbox.url, TOLD, seconds=0.1)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("webhook", "http://127.0.0.1:1/s3cret"),
        ("webhook", "file:///s3cret"),
        ("webhook", "s3cret"),
        ("webhook", "http://[s3cret"),
        ("mail", "smtp://ann:s3cret@127.0.0.1:1/?from=a&to=b"),
        ("mail", "smtp://ann:s3cret@127.0.0.1/"),
        ("mail", "https://s3cret"),
    ],
)
def test_no_error_names_the_address(kind: str, address: str) -> None:
    with pytest.raises(Undelivered) as raised:
        post(kind, address, TOLD, seconds=1)
    assert "s3cret" not in f"{raised.value!r} {raised.value.__cause__!r}"


def test_a_password_goes_over_no_open_line() -> None:
    with mailbox() as inbox, pytest.raises(Undelivered):
        post("mail", inbox.url.replace("127", "ann:s3cret@127", 1), TOLD)
    assert inbox.messages == []
