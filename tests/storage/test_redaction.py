"""No secret is printed, logged or recorded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InputError, Unreachable, words
from storage.redaction import redact, redacted

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:hunter2@host/a.csv", "http://***@host/a.csv"),
        ("https://host/a?v=1&sig=hunter2%3D&se=2030", "https://host/a?***"),
        ("nothing is at path 'https://host/a?token=hunter2'", "nothing is at path 'https://host/a?***'"),
        ("(see https://host/a?auth=hunter2).", "(see https://host/a?***)."),
        ("https://host/a#access=hunter2: refused", "https://host/a#***: refused"),
        ("is it there? see s3://bucket/a", "is it there? see s3://bucket/a"),
        ("/search?api_key=hunter2&q=1", "/search?api_key=***&q=1"),
        ("https://host/a?X-Amz-Signature=hunter2 in 2 s", "https://host/a?*** in 2 s"),
    ],
)
def test_an_address_is_shown_without_its_secrets(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert str(InputError(text)) == str(Unreachable(text)) == words(OSError(text)) == shown


@pytest.mark.parametrize("key", ["token", "api_key", "PASSWORD", "client-secret", "credentials"])
def test_what_lies_under_a_key_that_sounds_like_a_secret_is_not_shown(key: str) -> None:
    assert SECRET not in str(redact([{key: SECRET, "inner": {key: [SECRET]}}]))


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(alphabet="abc ", max_size=5)),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="abc", max_size=3), inner),
        max_leaves=10,
    )
)
def test_what_holds_no_secret_stays_as_it_is(value: Any) -> None:
    assert redact(value) == value
