"""A plan that is kept: what it was made of, and whether a refresh may still take its work over."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from flows.config.schema import Config
from flows.environment import code
from models.encoder import EncoderFolder
from storage.errors import InputError
from storage.hashing import fingerprint
from storage.redaction import redacted
from tasks.build.embed import find_pending
from tasks.context import Context
from tasks.curate.decisions import decided
from tasks.curate.validation import Suite
from tasks.ingest.scan import Scan, scan
from tasks.planned import read_header, read_listed, read_planned, write_planned
from tasks.tally import Preparation

__all__ = ["Taken", "keep", "take"]

NAMED = 3  # settings and documents that a refusal names


@dataclass(frozen=True)
class Taken:
    """A plan whose work is taken over.

    Attributes:
        file: The plan.
        base: The release that it starts from; None before the first.
        suite: The rules that it was judged by.
    """

    file: Path
    base: int | None
    suite: Suite

    def prepared(self, context: Context, encoder: EncoderFolder, *, accept_deletions: bool) -> Preparation:
        """What `prepare` would give; only which vectors are missing is asked anew.

        Args:
            context: The run, which holds the lease.
            encoder: What is embedded for.
            accept_deletions: Count what a broken source lists no more as deleted, which a plan does not.

        Raises:
            InputError: Another release was published meanwhile, the plan keeps what was to be deleted, or it is
                damaged.
        """
        if self.base != _seq(context):
            raise InputError(_outdated(self.file, _moved(self.base, _seq(context))))
        mine = read_planned(self.file, self.suite, context.workspace)
        if accept_deletions and mine.plan.kept.height:
            raise InputError(
                f"{self.file}: the plan keeps {mine.plan.kept.height:,} documents that a broken source lists no more; "
                "to let them go run `tidemark refresh --accept-deletions` without --plan"
            )
        pending = find_pending(context, encoder, mine.changes)
        return Preparation(mine.scan, mine.plan, mine.reading, mine.validated, mine.deduplicated, mine.changes, pending)


def keep(file: Path, context: Context, config: Config, suite: Suite, encoder: EncoderFolder, done: Preparation) -> None:
    """Write a plan with all that its work rests on.

    Args:
        file: Where.
        context: The run that planned.
        config: The configuration.
        suite: The rules.
        encoder: What was cut for.
        done: The work.

    Raises:
        InputError: The file cannot be written.
    """
    made = _rests_on(context, config, suite, encoder, done.scan) | {"made": context.now.isoformat()}
    write_planned(file, made, done)


def take(file: Path, context: Context, config: Config, suite: Suite, encoder: EncoderFolder) -> Taken:
    """Take a plan's work over, if everything that it rests on is as it was; sources are listed, and not read.

    Args:
        file: The plan.
        context: The run, on top of the release that is current now.
        config: The configuration.
        suite: The rules.
        encoder: What the run embeds with.

    Raises:
        InputError: It is no plan, is damaged, or is out of date; the message says by what.
    """
    then = read_header(file)
    context.progress.stage("scan")  # of which no clock tells: the run begins once its plan is known to hold
    listed = scan(context)
    now = _rests_on(context, config, suite, encoder, listed)
    reason = next(_differences(then, now), None)
    if reason is not None:
        raise InputError(_outdated(file, reason, then.get("made")))
    changed = [name for name, digest in now["sources"].items() if then["sources"][name] != digest]
    if changed:
        raise InputError(_outdated(file, _named(changed[0], read_listed(file), listed.listed), then.get("made")))
    return Taken(file, then["base"], suite)


def _rests_on(context: Context, config: Config, suite: Suite, encoder: EncoderFolder, listed: Scan) -> dict[str, Any]:
    waivers = {
        key: sorted((each.rule, each.rule_version, each.revision) for each in found)
        for key, found in decided(context.store, suite).waivers.items()
    }
    return {
        "tidemark": code(),
        "store": redacted(context.store.uri),
        "base": _seq(context),
        "rebuild": context.rebuild,
        "config": json.loads(config.to_json()),
        "rules": dict(context.rules_fingerprints),
        "space": encoder.space.id,
        "waivers": fingerprint(waivers),
        "sources": {name: version["digest"] for name, version in listed.versions.items()},
    }


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Say what is not as it was, what matters most first."""
    if then.get("tidemark") != now["tidemark"]:
        yield f"it was made by another version of Tidemark ({_version(then)}; this is {_version(now)})"
    if then.get("store") != now["store"]:
        yield f"it is of another store ({then.get('store')})"
    if then.get("base") != now["base"]:
        yield _moved(then.get("base"), now["base"])
    if settings := _settings(then.get("config") or {}, now["config"]):
        rest = len(settings) - NAMED
        yield f"the configuration changed: {', '.join(settings[:NAMED])}{f' and {rest} more' if rest > 0 else ''}"
    if then.get("rebuild") != now["rebuild"]:
        yield "it was made with other options: give --rebuild to both or to neither"
    if then.get("space") != now["space"]:
        yield "the encoder is another one now"
    if then.get("rules") != now["rules"]:
        yield "the rules of validation changed"
    if then.get("waivers") != now["waivers"]:
        yield "what is waived changed"
    if sorted(then.get("sources") or ()) != sorted(now["sources"]):
        yield "there are other sources now"


def _named(source: str, then: pl.DataFrame, now: pl.DataFrame) -> str:
    """Say what of a source changed, by the first documents of it that are listed otherwise."""
    columns = ["row", "id", "revision"]
    before, after = (each.filter(pl.col("source") == source).select(columns) for each in (then, now))
    # Anti, both ways, on the row with its revision: what is new or changed, and what is gone or changed.
    parts = [
        before.join(after, on=["row", "revision"], how="anti"),
        after.join(before, on=["row", "revision"], how="anti"),
    ]
    names = pl.concat(parts)["id"].unique().sort()
    shown = ", ".join(names.head(NAMED)) + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")
    return f"source {source!r} changed: {shown or 'its order'}"


def _settings(then: Mapping[str, Any], now: Mapping[str, Any], at: str = "") -> list[str]:
    """The keys of a configuration that have another value, with their section."""
    found: list[str] = []
    for name in sorted({*then, *now}):
        before, after = then.get(name), now.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _settings(before, after, f"{at}{name}.")
        elif before != after:
            found.append(f"{at}{name}")
    return found


def _moved(then: object, now: object) -> str:
    before, after = ("no release" if seq is None else f"release {seq}" for seq in (then, now))
    return f"it starts from {before}, and readers see {after} now"


def _version(header: Mapping[str, Any]) -> str:
    return " ".join(str(value) for value in (header.get("tidemark") or {}).values()) or "unknown"


def _seq(context: Context) -> int | None:
    return None if context.base is None else context.base.seq


def _outdated(file: Path, reason: str, made: object = None) -> str:
    when = ""
    if isinstance(made, str):
        when = f" of {datetime.fromisoformat(made):%Y-%m-%d %H:%M} UTC"
    return f"{file}: the plan{when} is out of date: {reason}; make it anew with `tidemark plan -o {file}`"
