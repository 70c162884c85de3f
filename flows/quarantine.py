"""What people look up and decide of refused documents: show, retry, waive, unwaive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from flows.config.schema import Config
from storage.errors import InputError
from storage.tables.documents import DocumentTable
from storage.tables.format import check
from storage.tables.holds import whoever
from storage.tables.quarantine import Quarantine
from storage.tables.releases import Releases
from storage.tables.store import Store
from storage.tables.waivers import Retries, Waiver, Waivers
from tasks.curate.remedies import WAIVED_NEVER, remedy
from tasks.curate.validation.rules import Rule
from tasks.curate.validation.suite import load_suite
from tasks.ingest.plan import SOURCE_BROKEN
from tasks.search.places import Places

__all__ = ["Listed", "Waiving", "listed", "retry", "show", "unwaive", "waive"]

_PREFIX = 8  # characters of a key that may stand for it


@dataclass(frozen=True)
class Listed:
    """The quarantine as people see it.

    Attributes:
        rows: Refused documents, newest first; `waiver` tells what lets one in at the next refresh.
        waivers: The waivers that stand, newest first, those of indexed documents among them, with `effect`.
    """

    rows: tuple[dict[str, Any], ...]
    waivers: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Waiving:
    """What was waived, or is waived no more.

    Attributes:
        waivers: The waivers.
        message: One line for people.
    """

    waivers: tuple[Waiver, ...]
    message: str


def listed(config: Config, source: str | None = None) -> Listed:
    """Look at everything that is refused or waived.

    Args:
        config: The configuration.
        source: Of this source alone.

    Raises:
        InputError: There is no such source, or a later version of the program made the store.
    """
    store, rules = _store(config), _rules(config)
    waivers, rows = Waivers(store).standing(), Quarantine(store).all()
    if source is not None:
        known = {each.name for each in config.sources} | {row["source"] for row in rows}
        if source not in known:
            raise InputError(f"no source {source!r}; there are {', '.join(sorted(known)) or 'none'}")
        waivers = [each for each in waivers if each.source == source]
        rows = [row for row in rows if row["source"] == source]
    keys = {row["key"] for row in rows}
    told = [row | {"waiver": _holding(row, waivers, rules)} for row in rows]
    indexed = _indexed(store) if waivers else set()
    effects = [each.to_dict() | {"effect": _effect(each, keys, told, rules, indexed)} for each in waivers]
    return Listed(tuple(told), tuple(effects))


def show(config: Config, document: str, source: str | None = None) -> list[dict[str, Any]]:
    """Tell all of a refused document: the row, its file and line, its waiver, and what can be done.

    Args:
        config: The configuration.
        document: Its id, its name as plans print it (`source/id`), or the beginning of its key.
        source: Its source, where several have such a document.

    Raises:
        InputError: It is not refused.
    """
    store, rules = _store(config), _rules(config)
    places, waivers = Places(config.sources, config.base), Waivers(store).standing()
    found = []
    for row in _found(Quarantine(store).all(), document, source):
        place = places.place(row["source"], row["document"])
        found.append(
            row
            | {
                "file": None if place is None else place.file,
                "line": None if place is None else place.line,
                "row": None if place is None else place.row,
                "waiver": _holding(row, waivers, rules),
                "remedies": remedy(row, rules.get(row["rule"])),
            }
        )
    return found


def retry(
    config: Config, documents: Sequence[str] = (), rule: str | None = None, source: str | None = None
) -> list[dict[str, Any]]:
    """Have refused documents judged anew by the next refresh although nothing changed.

    Args:
        config: The configuration.
        documents: Ids, or beginnings of keys.
        rule: All that this rule refuses.
        source: All of this source; together with the others it narrows them.

    Returns:
        The rows that are tried again.

    Raises:
        InputError: Nothing is named, or nothing that is refused.
    """
    if not documents and rule is None and source is None:
        raise InputError("name what is to be judged anew: documents, --rule RULE or --source SOURCE")
    store = _store(config)
    rows = [row for row in Quarantine(store).all() if row["rule"] != SOURCE_BROKEN]
    if documents:
        rows = [row for name in documents for row in _found(rows, name, source)]
    rows = [row for row in rows if rule in (None, row["rule"]) and source in (None, row["source"])]
    if not rows:
        raise InputError("no such document is refused; `tidemark quarantine list` names those that are")
    Retries(store).ask(rows, whoever(), datetime.now(UTC))
    return rows


def waive(config: Config, document: str, rule: str | None, why: str, source: str | None = None) -> Waiving:
    """Let a refused document in as it is, until its content or the rule changes.

    Args:
        config: The configuration.
        document: Its id, its name as plans print it (`source/id`), or the beginning of its key.
        rule: The rule; the one that refuses it if None.
        why: The reason, for whoever finds it in the index.
        source: Its source, where several have such a document.

    Raises:
        InputError: It is not refused, no reason is given, or the rule is one that nobody can waive.
    """
    store, rules = _store(config), _rules(config)
    rows = _found(Quarantine(store).all(), document, source)
    if len(rows) > 1:
        where = ", ".join(sorted({row["source"] for row in rows}))
        raise InputError(f"{document!r} is refused {len(rows)} times (sources: {where}); name one with --source")
    (row,) = rows
    name = rule or row["rule"]
    if name in WAIVED_NEVER:
        raise InputError(f"rule {name!r} cannot be waived: {remedy(row | {'rule': name}, None)[0]}")
    if name not in rules or rules[name].action != "refuse":
        refusing = sorted(each.name for each in rules.values() if each.action == "refuse")
        near = get_close_matches(name, refusing, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"{row['document']} is refused by {row['rule']!r}"
        raise InputError(f"no rule {name!r} refuses anything; {hint}")
    made = Waivers(store).place(row, name, rules[name].identity, why, whoever(), datetime.now(UTC))
    if name == row["rule"]:
        return Waiving((made,), f"the next refresh lets {row['document']} past {name}, unless another rule refuses it")
    return Waiving((made,), f"{name} is waived for {row['document']}, which {row['rule']} refuses all the same")


def unwaive(config: Config, document: str, rule: str | None = None, source: str | None = None) -> Waiving:
    """Take waivers back: the next refresh judges the document by all rules again.

    Args:
        config: The configuration.
        document: Its id, its name as plans print it (`source/id`), or the beginning of its key.
        rule: This waiver alone; all of the document if None.
        source: Its source, where several have such a document.

    Raises:
        InputError: Nothing is waived for such a document.
    """
    waivers = Waivers(_store(config))
    mine = [
        each
        for each in waivers.standing()
        if _is(each.key, each.source, each.document, document)
        and source in (None, each.source)
        and rule in (None, each.rule)
    ]
    if not mine:
        raise InputError(f"nothing is waived for {document!r}; `tidemark quarantine list --waived` names what is")
    lifted = waivers.lift([each.waiver for each in mine], whoever(), datetime.now(UTC))
    return Waiving(tuple(lifted), "the next refresh judges it by all rules again")


def _store(config: Config) -> Store:
    store = Store(config.store.uri)
    check(store)
    return store


def _rules(config: Config) -> dict[str, Rule]:
    return {rule.name: rule for rule in load_suite(config.validation).rules}


def _is(key: str, source: str, document: str, name: str) -> bool:
    """Whether somebody who typed `name` means this one: its id, its name as plans print it, or the start of its key."""
    return name in (document, f"{source}/{document}") or (len(name) >= _PREFIX and key.startswith(name))


def _found(rows: Sequence[dict[str, Any]], name: str, source: str | None) -> list[dict[str, Any]]:
    found = [
        row for row in rows if _is(row["key"], row["source"], row["document"], name) and source in (None, row["source"])
    ]
    if found:
        return found
    near = get_close_matches(name, sorted({row["document"] for row in rows}), n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`tidemark quarantine list` names those that are"
    raise InputError(f"no document {name!r} is refused{f' in source {source!r}' if source else ''}; {hint}")


def _holding(row: dict[str, Any], waivers: Sequence[Waiver], rules: dict[str, Rule]) -> dict[str, Any] | None:
    """The waiver that lets a refused row past its rule at the next refresh; None where none does."""
    for each in waivers:
        if (each.key, each.rule) != (row["key"], row["rule"]) or not _current(each, rules):
            continue
        # What a run has bound it to is another content, or it would have let the row in.
        if each.content is None and each.revision == row["revision"]:
            return each.to_dict()
    return None


def _current(waiver: Waiver, rules: dict[str, Rule]) -> bool:
    return waiver.rule in rules and rules[waiver.rule].identity == waiver.rule_version


def _indexed(store: Store) -> set[str]:
    """Keys of the documents that readers see."""
    release = Releases(store).current()
    return set() if release is None else set(DocumentTable(store, release.at("documents")).ledger()["key"])


def _effect(
    waiver: Waiver, refused: set[str], told: Sequence[dict[str, Any]], rules: dict[str, Rule], indexed: set[str]
) -> str:
    """What a standing waiver does: `in-force`, `next-refresh`, or why it lets nothing in."""
    if not _current(waiver, rules):
        return "rule-changed"
    if waiver.key not in refused:
        return "in-force" if waiver.key in indexed else "next-refresh" if waiver.content is None else "document-gone"
    if any(row["waiver"] and row["waiver"]["waiver"] == waiver.waiver for row in told):
        return "next-refresh"
    mine = next(row for row in told if row["key"] == waiver.key)
    return "content-changed" if mine["rule"] == waiver.rule else "refused-by-another-rule"
