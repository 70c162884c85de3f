"""The one hash of the project: 128 bits of BLAKE2b as 32 hexadecimal characters."""

from __future__ import annotations

import json
from hashlib import blake2b

__all__ = ["digest", "document_key", "fingerprint"]


def digest(data: str | bytes) -> str:
    """Hash text (as UTF-8) or bytes to 32 hexadecimal characters."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return blake2b(raw, digest_size=16).hexdigest()


def document_key(source: str, identifier: str) -> str:
    """Key of a document over all sources: safe in filters whatever the identifier holds."""
    return digest(f"{source}\x1f{identifier}")


def fingerprint(value: object) -> str:
    """Hash a JSON-able value independently of key order."""
    return digest(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str))
