"""The one hash of the project."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.hashing import digest, document_key, fingerprint


def test_a_digest_is_128_bits_of_blake2b_in_hexadecimal() -> None:
    assert digest("tide") == digest(b"tide") == "56afb1f99286f32052a18df819fe0ce7"


def test_a_lone_surrogate_can_be_hashed() -> None:
    assert len(digest("\ud800")) == 32


def test_the_key_of_a_document_tells_source_and_id_apart() -> None:
    assert document_key("a", "bc") != document_key("ab", "c")


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


def test_a_fingerprint_tells_values_and_their_types_apart() -> None:
    values = [None, 1, "1", [1], ["1"], {"a": 1}, {"a": None}, {"b": 1}, "", [], {}]
    assert len({fingerprint(value) for value in values}) == len(values)
