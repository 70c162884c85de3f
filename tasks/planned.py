"""A plan in a file: what was read, judged, told apart and cut, as Arrow files and JSON with their digests."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import polars as pl

from storage.cache import made
from storage.errors import InputError
from storage.replaced import replaced
from storage.spill import Spill, Workspace
from tasks.build.chunk import ChunkChanges
from tasks.curate.deduplicate import DeduplicationResult
from tasks.curate.validate import ValidationResult
from tasks.curate.validation import BatchVerdict, Suite
from tasks.curate.validation.validator import Outcome
from tasks.ingest.plan import Plan
from tasks.ingest.read import Reading
from tasks.ingest.scan import Scan
from tasks.tally import Preparation

__all__ = ["Planned", "read_header", "read_listed", "read_planned", "write_planned"]

FORMAT = 2  # since 2 the numbers of chunks are slices
_FACTS = "plan.json"
_PART = 1 << 20  # bytes
_LARGEST = 64 * 1024 * 1024  # of the facts
# The narrow tables of a plan, by the name of their file. What was read is none of them: it has been judged.
_FRAMES: Mapping[str, Any] = {
    "listed": lambda done: done.scan.listed,
    "candidates": lambda done: done.plan.candidates,
    "held": lambda done: done.plan.held,
    "gone": lambda done: done.plan.gone,
    "kept": lambda done: done.plan.kept,
    "stale-since": lambda done: done.plan.stale_since,
    "touched": lambda done: done.reading.touched,
    "missing": lambda done: done.reading.missing.to_frame(),
    "refused": lambda done: done.validated.refused,
    "unwanted": lambda done: done.validated.unwanted.to_frame(),
    "broken": lambda done: done.validated.stale.to_frame(),
    "waived": lambda done: done.validated.waived,
    "after": lambda done: done.deduplicated.after,
    "moved": lambda done: done.deduplicated.moved,
    "deleted": lambda done: done.deduplicated.deleted,
    "leaving": lambda done: done.deduplicated.refused,
    "stale": lambda done: done.deduplicated.stale,
    "dropped": lambda done: done.changes.dropped.to_frame(),
}
# What is as large as the news: kept slice by slice.
_SPILLS: Mapping[str, Any] = {
    "accepted": lambda done: done.validated.accepted,
    "upserts": lambda done: done.changes.upserts,
    "outdated": lambda done: done.changes.outdated,
    "sizes": lambda done: done.changes.sizes,
}


@dataclass(frozen=True)
class Planned:
    """The work of a plan, as far as it does not depend on the moment: which vectors are missing is asked anew."""

    scan: Scan
    plan: Plan
    reading: Reading
    validated: ValidationResult
    deduplicated: DeduplicationResult
    changes: ChunkChanges


def write_planned(file: Path, header: Mapping[str, Any], done: Preparation) -> None:
    """Write a plan; only this user can read it, for it holds texts.

    Args:
        file: Where; what is there is replaced at once, or not at all.
        header: JSON-able facts by which whoever reads it knows whether it still holds.
        done: What was prepared.

    Raises:
        InputError: The file cannot be written.
    """
    digests: dict[str, str] = {}
    try:
        with replaced(file, private=True) as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
            for name, of in _FRAMES.items():
                with archive.open(f"{name}.arrow", "w", force_zip64=True) as stream:
                    buffer = of(done).write_ipc(None, compression="uncompressed")
                    buffer.seek(0)
                    digests[f"{name}.arrow"] = _copied(buffer, stream)
            for name, of in _SPILLS.items():
                for number, part in enumerate(of(done).files):
                    member = f"{name}/{number:08d}.arrow"
                    with part.open("rb") as source, archive.open(member, "w", force_zip64=True) as stream:
                        digests[member] = _copied(source, stream)
            facts = {"format": FORMAT, "header": header, "facts": _facts(done), "digests": digests}
            archive.writestr(_FACTS, json.dumps(facts, default=str))
    except OSError as error:
        raise InputError(f"{file}: the plan cannot be written: {error.strerror or error}") from error


def read_header(file: Path) -> dict[str, Any]:
    """What a plan says of itself.

    Args:
        file: The plan.

    Raises:
        InputError: It is no plan, or one that this version cannot read.
    """
    with _opened(file) as archive:
        return dict(_read_facts(file, archive)["header"])


def read_listed(file: Path) -> pl.DataFrame:
    """What the sources listed when a plan was made, LISTED columns.

    Args:
        file: The plan.

    Raises:
        InputError: It is no plan, or it is damaged.
    """
    with _opened(file) as archive:
        try:
            return pl.read_ipc(io.BytesIO(archive.read("listed.arrow")))
        except (KeyError, OSError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
            raise InputError(f"{file}: is damaged; make the plan anew") from error


def read_planned(file: Path, suite: Suite, workspace: Workspace) -> Planned:
    """Take the work of a plan over.

    Args:
        file: The plan; its header was found to hold.
        suite: The rules that it was judged by.
        workspace: Of the run: its larger parts are copied there.

    Raises:
        InputError: The file is damaged.
    """
    with _opened(file) as archive:
        facts = _read_facts(file, archive)
        digests = facts["digests"]
        members = sorted(set(archive.namelist()) - {_FACTS})
        if members != sorted(digests) or not set(_FRAMES) <= {name.removesuffix(".arrow") for name in members}:
            raise InputError(f"{file}: is damaged: its parts are not those that it names; make the plan anew")
        frames = workspace.folder / "plan"
        spills = {name: workspace.spill(f"planned-{name}") for name in _SPILLS}
        for member in members:
            folder, _, part = member.rpartition("/")
            place = frames / part if not folder else spills[folder].folder / part
            made(place.parent)
            with archive.open(member) as source, place.open("wb") as target:
                if _copied(source, target) != digests[member]:
                    raise InputError(f"{file}: is damaged: {member} is not what was written; make the plan anew")
    found = {name: pl.read_ipc(frames / f"{name}.arrow") for name in _FRAMES}
    kept = {name: Spill.of(spill.folder, facts["facts"]["rows"][name]) for name, spill in spills.items()}
    return _planned(found, kept, facts["facts"], suite, workspace)


def _facts(done: Preparation) -> dict[str, Any]:
    changes, verdict = done.changes, done.validated.verdict
    return {
        "versions": done.scan.versions,
        "same": done.plan.same,
        "absent": done.reading.absent,
        "untimed": done.reading.untimed,
        "redacted": dict(done.reading.redacted),
        "unreadable": done.validated.unreadable,
        "judged": done.validated.judged,
        "causes": dict(done.validated.causes),
        "verdict": None if verdict is None else _verdict(verdict),
        "changes": {
            name: getattr(changes, name)
            for name in ("table", "fingerprint", "rechunks_all", "moved_rows", "tokens", "precision")
        },
        "rows": {name: of(done).rows for name, of in _SPILLS.items()},
    }


def _verdict(verdict: BatchVerdict) -> dict[str, Any]:
    names = ("per_row", "rows", "missing", "unexpected", "samples", "documents", "observed", "success")
    told = [{"rule": one.rule.name} | {name: getattr(one, name) for name in names} for one in verdict.outcomes]
    return {"rows": verdict.rows, "refused": verdict.refused, "failures": verdict.failures, "outcomes": told}


def _planned(
    found: Mapping[str, pl.DataFrame], kept: Mapping[str, Spill], facts: Mapping[str, Any], suite: Suite, at: Workspace
) -> Planned:
    rules = {rule.name: rule for rule in suite.rules}
    verdict = facts["verdict"]
    if verdict is not None:
        lists = ("samples", "documents")
        rows = [one | {name: tuple(one[name]) for name in lists} for one in verdict["outcomes"]]
        outcomes = tuple(Outcome(**row | {"rule": rules[row["rule"]]}) for row in rows)
        verdict = BatchVerdict(verdict["rows"], verdict["refused"], tuple(verdict["failures"]), outcomes)
    reading = Reading(
        at.spill("read"),
        found["touched"],
        _column(found["missing"]),
        facts["absent"],
        facts["untimed"],
        facts["redacted"],
    )
    return Planned(
        Scan(found["listed"], facts["versions"]),
        Plan(found["candidates"], facts["same"], found["held"], found["gone"], found["kept"], found["stale-since"]),
        reading,
        ValidationResult(
            accepted=kept["accepted"],
            refused=found["refused"],
            unwanted=_column(found["unwanted"]),
            stale=_column(found["broken"]),
            unreadable=facts["unreadable"],
            judged=facts["judged"],
            causes=facts["causes"],
            verdict=verdict,
            waived=found["waived"],
        ),
        DeduplicationResult(found["after"], found["moved"], found["deleted"], found["leaving"], found["stale"]),
        ChunkChanges(
            upserts=kept["upserts"],
            outdated=kept["outdated"],
            dropped=_column(found["dropped"]),
            sizes=kept["sizes"],
            **facts["changes"],
        ),
    )


def _column(frame: pl.DataFrame) -> pl.Series:
    return frame.to_series(0)


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or "it is no plan"
        raise InputError(f"{file}: the plan cannot be read: {why}; `tidemark plan -o FILE` writes one") from error


def _read_facts(file: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        info = archive.getinfo(_FACTS)
        facts = json.loads(archive.read(info)) if info.file_size <= _LARGEST else {}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{file}: is no plan of Tidemark; `tidemark plan -o FILE` writes one") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(f"{file}: is no plan that this version of Tidemark can read; make it anew")
    return facts


def _copied(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy a stream, and give its digest."""
    hasher = blake2b(digest_size=16)
    try:
        while part := source.read(_PART):
            hasher.update(part)
            target.write(part)
    except zipfile.BadZipFile as error:
        raise InputError(f"the plan is damaged: {error}; make it anew") from error
    return hasher.hexdigest()
