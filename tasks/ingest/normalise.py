"""Normalise the text of a document: the form that is stored, validated, hashed and chunked."""

from __future__ import annotations

import unicodedata

__all__ = ["NORMALISER", "normalise"]

# Raise it with every change of what `normalise` returns: it is in the fingerprint of all that follows.
NORMALISER = "1"

# Not str.rstrip(): that would also take control characters, which the validation must see and refuse.
SPACES = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
BYTE_ORDER_MARK = "\ufeff"


def normalise(text: str) -> str:
    r"""Return a text in the one form in which Tidemark stores, hashes and chunks it.

    Line breaks become `\n`, characters are composed (Unicode NFC), byte order marks at the start go, and so do spaces
    at the ends of lines and blank lines around the document. Inside lines nothing is touched, since in code and
    tables it means something; control characters stay, for the validation to see and refuse.

    Args:
        text: Decoded text of a document.

    Returns:
        The normalised text; normalising it again changes nothing.
    """
    composed = unicodedata.normalize("NFC", text.lstrip(BYTE_ORDER_MARK))
    lines = composed.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip(SPACES) for line in lines).lstrip(BYTE_ORDER_MARK + "\n").rstrip("\n")
