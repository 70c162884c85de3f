"""Who is refused, by rule and by name: what the night refused for the first time comes before what it knew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import polars as pl

from flows.report.facts import Named, Refused
from flows.report.words import say
from storage.tables.waivers import Waiver

__all__ = ["refusals", "waived"]

NAMED = 5  # documents of a rule that are named
REASON = 200  # characters


def refusals(held: pl.DataFrame, since: datetime | None) -> tuple[Refused, ...]:
    """Group what is refused by its rule, the largest group first.

    Args:
        held: The rows of `Quarantine.told`.
        since: When the last night began: what was seen first after that is fresh.
    """
    fresh = pl.lit(value=False) if since is None else pl.col("first_seen") >= since
    rows = held.with_columns(fresh=fresh).sort("fresh", "source", "document", descending=[True, False, False])
    found = [
        Refused(
            rule=say(rule),
            count=part.height,
            fresh=int(part["fresh"].sum()),
            stale=part["stale_since"].count(),
            first=tuple(
                Named(say(source), say(document), say(reason or "", REASON))
                for source, document, reason in part.select("source", "document", "reason").head(NAMED).iter_rows()
            ),
        )
        for (rule,), part in rows.group_by("rule", maintain_order=True)
    ]
    return tuple(sorted(found, key=lambda each: (-each.count, each.rule)))


def waived(waivers: Iterable[Waiver], rules: Mapping[str, str], now: datetime) -> tuple[Named, ...]:
    """Name the documents that are in the index although a rule refuses them, with the rule, who let them in and why.

    Args:
        waivers: All of a store.
        rules: Rule to its identity: a waiver of another version of a rule lets nothing in.
        now: The moment that is told of.
    """
    stood = [each for each in waivers if each.since <= now and (each.ended is None or each.ended > now)]
    # One that no run has bound to a content has let nothing in yet.
    acted = [each for each in stood if each.content is not None and rules.get(each.rule) == each.rule_version]
    return tuple(
        Named(say(each.source), say(each.document), say(f"{each.rule}, {each.told}", REASON)) for each in acted
    )
