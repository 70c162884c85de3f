"""What sources leave out, in words; imports nothing, for the views of the command line start with it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["passed_words"]

SHOWN = 6  # reasons that are told one by one, and suffixes
SUFFIX = "unknown suffix "


def passed_words(counts: Mapping[str, int]) -> str:
    """Say what was left out, the most frequent reasons first: "3 unknown suffix (.pdf 2, .csv 1), 1 hidden"."""
    suffixes = {name.removeprefix(SUFFIX): count for name, count in counts.items() if name.startswith(SUFFIX)}
    reasons = {name: (count, f"{count:,} {name}") for name, count in counts.items() if not name.startswith(SUFFIX)}
    if len(suffixes) == 1:
        reasons |= {name: (count, f"{count:,} {SUFFIX}{name}") for name, count in suffixes.items()}
    elif suffixes:
        many = sum(suffixes.values())
        reasons[SUFFIX] = (many, f"{many:,} {SUFFIX}({_listed(suffixes)})")
    ordered = sorted(reasons.items(), key=lambda item: (-item[1][0], item[0]))
    rest = sum(count for _, (count, _) in ordered[SHOWN:])
    return ", ".join([*(told for _, (_, told) in ordered[:SHOWN]), *([f"{rest:,} more"] if rest else [])])


def _listed(suffixes: Mapping[str, int]) -> str:
    ordered = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[SHOWN:])
    return ", ".join([*(f"{name} {count:,}" for name, count in ordered[:SHOWN]), *([f"{rest:,} more"] if rest else [])])
