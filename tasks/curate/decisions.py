"""What people decided of refused documents, as far as the rules of now leave it standing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from storage.hashing import digest, fingerprint
from storage.tables.store import Store
from storage.tables.waivers import Retries, Waiver, Waivers
from tasks.curate.validation.rules import Suite

__all__ = ["NO_DECISIONS", "Decisions", "content_of", "decided"]

_RETRIES: dict[str, Any] = {"key": pl.String, "since": pl.Datetime("us", "UTC")}


def content_of(content_hash: str, record_hash: str) -> str:
    """The digest by which a waiver knows a document: of what the encoder sees and of what readers see beside it."""
    return digest(f"{content_hash}\x1f{record_hash}")


@dataclass(frozen=True)
class Decisions:
    """Waivers and retries of one run.

    Attributes:
        waivers: Key of a row in quarantine to the waivers that stand for it.
        retries: `key` and `since` of requests to judge a refused document anew.
    """

    waivers: Mapping[str, tuple[Waiver, ...]] = field(default_factory=dict)
    retries: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_RETRIES))

    def judged(self, rows: pl.Series, rules: pl.Series) -> pl.Series:
        """The fingerprint of what each row is judged by: the rules of its source, and the waivers that stand for it.

        So whoever waives a rule, or takes a waiver back, has the document judged anew, and nothing else does.

        Args:
            rows: Keys.
            rules: Fingerprint of the rules for each of them.
        """
        if not self.waivers:
            return rules
        touched = rows.is_in(list(self.waivers)).arg_true()
        if touched.is_empty():
            return rules
        marked = rules.to_list()
        for at in touched:
            marks = sorted((each.rule, each.rule_version, each.revision) for each in self.waivers[rows[at]])
            marked[at] = fingerprint([marked[at], marks])
        return pl.Series(rules.name, marked, dtype=pl.String)

    def letting_in(self, documents: pl.DataFrame) -> dict[tuple[str, str], Waiver]:
        """The waivers that hold for what documents are now.

        Args:
            documents: row, revision, content_hash, record_hash.

        Returns:
            (row, rule) to the waiver; one whose document has another content now is left out.
        """
        if not self.waivers:
            return {}
        mine = documents.filter(pl.col("row").is_in(list(self.waivers)))
        found = {}
        for row, revision, *hashes in mine.select("row", "revision", "content_hash", "record_hash").iter_rows():
            for each in self.waivers[row]:
                known, now = (each.content, content_of(*hashes)) if each.content else (each.revision, revision)
                if known == now:
                    found[row, each.rule] = each
        return found


NO_DECISIONS = Decisions()


def decided(store: Store, suite: Suite) -> Decisions:
    """Read what people decided.

    Args:
        store: The store.
        suite: The rules of now: a waiver of another version of a rule, or of one that is no more, has no effect.
    """
    return Decisions(_by_key(Waivers(store).standing(), suite), Retries(store).asked())


def _by_key(waivers: Iterable[Waiver], suite: Suite) -> dict[str, tuple[Waiver, ...]]:
    now = {rule.name: rule.identity for rule in suite.rules}
    found: dict[str, tuple[Waiver, ...]] = {}
    for each in waivers:
        if now.get(each.rule) == each.rule_version:
            found[each.key] = (*found.get(each.key, ()), each)
    return found
