"""The encoding that a source is configured with."""

from __future__ import annotations

from storage.encoding import DETECT, codec

__all__ = ["checked"]


def checked(label: str) -> str:
    """Bring the label of an encoding to one spelling.

    Raises:
        ValueError: There is no such encoding.
    """
    label = label.strip().lower()
    if label != DETECT:
        codec(label)
    return label
