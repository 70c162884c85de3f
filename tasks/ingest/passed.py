"""What sources leave out, in words; imports nothing, for the views of the command line start with it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["passed_words"]

SHOWN = 6  # reasons that are told one by one


def passed_words(counts: Mapping[str, int]) -> str:
    """Say what was left out, the most frequent reasons first: "2 unknown suffix .pdf, 1 hidden"."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count:,} {reason}" for reason, count in ordered[:SHOWN]]
    rest = sum(count for _, count in ordered[SHOWN:])
    return ", ".join([*shown, *([f"{rest:,} more"] if rest else [])])
