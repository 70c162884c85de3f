"""What somebody can do about a refused document, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.curate.config import FIXED, SETTABLE
from tasks.curate.validation.rules import Rule
from tasks.ingest.plan import SOURCE_BROKEN

__all__ = ["WAIVED_NEVER", "remedy"]

# What no person can let in: there is nothing that could be indexed, or it has no name of its own.
WAIVED_NEVER = (*FIXED, SOURCE_BROKEN)

_FIRST: Mapping[str, str] = {
    "readable": "mend what its reason names, or exclude it",
    "id-present": "give it an id",
    "id-unique": "give each document of the source an id of its own",
    "content-present": "write something into it, or exclude it",
    SOURCE_BROKEN: "mend the broken rows of its source, or let it go: `tidemark refresh --accept-deletions`",
}
_SETTINGS: Mapping[str, str] = {
    "content-length": "validation.min_chars and validation.max_chars",
    "licence-allowed": "validation.licences and validation.unlicensed",
    "language-allowed": "validation.languages",
}


def remedy(row: Mapping[str, Any], rule: Rule | None) -> list[str]:
    """Say what can be done, the best first.

    Args:
        row: Of the quarantine.
        rule: The rule as it is now; None where there is no such rule any more.
    """
    name = str(row["rule"])
    if name in _FIRST:
        return [_FIRST[name]]
    if rule is None or rule.action != "refuse":
        return ["nothing: that rule refuses no more, and the next refresh judges the document anew"]
    ways = ["mend the document, or exclude it"]
    if rule.origin is not None:
        ways.append(f"change the rule: {rule.origin}")
    elif name in _SETTINGS:
        ways.append(f"change {_SETTINGS[name]}")
    elif name in SETTABLE:
        ways.append(f'let the rule flag instead: validation.rules = {{ {name} = "flag" }}')
    document = str(row["document"]).replace("'", "'\\''")
    return [*ways, f"let it in as it is: tidemark quarantine waive '{document}' --rule '{name}' --reason \"why\""]
