"""Bytes to text, by the byte order mark or as UTF-8."""

from __future__ import annotations

import codecs

__all__ = ["decode"]

_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def decode(raw: bytes) -> str:
    """Decode UTF-8, or UTF-16 by its byte order mark; what is invalid becomes U+FFFD, which validation refuses."""
    for bom, encoding in _BOMS.items():
        if raw.startswith(bom):
            return raw[len(bom) :].decode(encoding, errors="replace")
    return raw.decode("utf-8", errors="replace")
