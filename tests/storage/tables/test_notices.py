"""The notices table: each message once, and none that is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.tables.notices import ATTEMPTS, Notices
from storage.tables.store import Store

NOW = datetime(2026, 1, 1, 2, tzinfo=UTC)


@pytest.fixture
def notices(tmp_path: Path) -> Notices:
    return Notices(Store(tmp_path / "store"))


def test_what_was_noted_is_not_noted_again(notices: Notices) -> None:
    assert notices.put("webhook:HOOK", "failed", "r1", NOW, message="it broke")
    assert notices.put("webhook:HOOK", "failed", "r1", NOW, message="it broke") is None
    assert notices.put("webhook:HOOK", "failed", "r2", NOW)
    assert notices.put("mail:POST", "failed", "r1", NOW)
    assert len(notices.pending(NOW)) == 3


def test_a_message_waits_until_it_is_sent_or_given_up(notices: Notices) -> None:
    notices.put("webhook:HOOK", "failed", "r1", NOW)
    notices.put("webhook:HOOK", "failed", "r2", NOW + timedelta(seconds=1), sent=NOW)
    for attempt in range(ATTEMPTS):
        (row,) = notices.pending(NOW)
        assert (row["subject"], row["attempts"]) == ("r1", attempt)
        notices.tried([row | {"attempts": attempt + 1}])
    assert notices.pending(NOW) == []
    assert notices.put("webhook:HOOK", "failed", "r1", NOW) is None
    notices.put("webhook:HOOK", "failed", "r3", NOW)
    assert notices.pending(NOW + timedelta(days=8)) == []
