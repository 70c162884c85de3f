"""Bytes to text."""

from __future__ import annotations

import pytest

from storage.encoding import decode


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "café"),
        ("\ufeffcafé".encode("utf-16-be"), "café"),
        ("\ufeffcafé".encode("utf-16-le"), "café"),
        (b"\xff\xfe\x00\x00" + "caf\u00e9".encode("utf-32-le"), "caf\u00e9"),
        (b"\x00\x00\xfe\xff" + "caf\u00e9".encode("utf-32-be"), "caf\u00e9"),
        (b"caf\xe9", "caf\ufffd"),
        (b"", ""),
    ],
)
def test_bytes_are_decoded_by_their_mark_or_as_utf8(raw: bytes, text: str) -> None:
    assert decode(raw) == text
