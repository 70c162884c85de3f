"""What sources leave out, in words; imports nothing, for the views of the command line start with it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["passed_words"]

SHOWN = 6  # reasons that are told one by one, and suffixes
SUFFIX = "unknown suffix "


def passed_words(counts: Mapping[str, int]) -> str:
    """Say what was left out, the most frequent reasons first: "3 unknown suffix (.pdf 2, .csv 1), 1 hidden"."""
    suffixes = {name.removeprefix(SUFFIX): count for name, count in counts.items() if name.startswith(SUFFIX)}
    reasons = {name: count for name, count in counts.items() if not name.startswith(SUFFIX)}
    if len(suffixes) == 1:
        reasons |= {f"{SUFFIX}{name}": count for name, count in suffixes.items()}
    elif suffixes:
        reasons[f"{SUFFIX}({_listed(suffixes, '{0} {1:,}')})"] = sum(suffixes.values())
    return _listed(reasons, "{1:,} {0}")


def _listed(counts: Mapping[str, int], form: str) -> str:
    """The most frequent first, each in a form that takes name and count, and the sum of the rest."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[SHOWN:])
    return ", ".join([*(form.format(*each) for each in ordered[:SHOWN]), *([f"{rest:,} more"] if rest else [])])
