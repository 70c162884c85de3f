"""The verdict of a morning: in one sentence how the index is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from flows.report.facts import Facts, Night
from flows.report.words import ago, moment, say
from flows.views.run import approval
from storage.counts import plural
from storage.outcome import Outcome

__all__ = ["Step", "Verdict", "verdict"]

LATE = timedelta(hours=26)  # since the last run began: a night was left out
TEXT = 600  # characters of a message

Tone = Literal["good", "warn", "bad"]


@dataclass(frozen=True)
class Step:
    """A command, and what it is good for."""

    command: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """How the index is.

    Attributes:
        tone: `good`: nothing to do; `warn`: a person decides; `bad`: something broke.
        headline: One sentence.
        notes: What else a person should know at once, a sentence each.
        steps: What to do, the most urgent first.
    """

    tone: Tone
    headline: str
    notes: tuple[str, ...]
    steps: tuple[Step, ...]


def verdict(facts: Facts) -> Verdict:
    """Judge what was gathered."""
    tone, headline = _headline(facts)
    notes: list[tuple[Tone, str]] = list(_notes(facts))
    rank: list[Tone] = ["good", "warn", "bad"]
    worst = max([tone, *(each for each, _ in notes)], key=rank.index)
    return Verdict(worst, headline, tuple(note for _, note in notes), tuple(_steps(facts)))


def _headline(facts: Facts) -> tuple[Tone, str]:
    night, release = facts.night, facts.release
    if release is None:
        told = "Nothing is published yet."
        return ("warn", told) if night is None or night.outcome == Outcome.RUNNING else ("bad", told)
    served = f"release {release.seq}"
    serves = f"{served}, {ago(release.created, facts.now)} old, serves on."
    if night is None:
        return "good", f"{serves.capitalize()}"
    if night.outcome == Outcome.PUBLISHED and release.restored is not None:
        return "warn", f"Release {release.seq} gives readers release {release.restored} back."
    by_outcome: dict[str, tuple[Tone, str]] = {
        Outcome.PUBLISHED: ("good", f"Release {release.seq} is published, {ago(release.created, facts.now)} old."),
        Outcome.UNCHANGED: ("good", f"Nothing changed: {serves}"),
        Outcome.NEEDS_APPROVAL: ("warn", f"The {night.kind} waits for your approval: {serves}"),
        "held": ("warn", f"The store is held: {serves}"),
        Outcome.RUNNING: ("warn", f"A {night.kind} is at work since {moment(night.started)}: {serves}"),
        Outcome.REFUSED: ("bad", f"The {night.kind} was refused: {serves}"),
        Outcome.INTERRUPTED: ("bad", f"The {night.kind} was interrupted: {serves}"),
    }  # fmt: skip
    return by_outcome.get(night.outcome, ("bad", f"The {night.kind} failed: {serves}"))


def _notes(facts: Facts) -> list[tuple[Tone, str]]:
    notes: list[tuple[Tone, str]] = []
    night = facts.night
    if night is not None and night.message and night.outcome not in {Outcome.PUBLISHED, Outcome.UNCHANGED}:
        notes.append(("good", say(night.message, TEXT)))
    if night is not None and facts.now - night.started > LATE:
        notes.append(("warn", f"No run brought the index up to date for {ago(night.started, facts.now)}."))
    for run in facts.others:
        if run.outcome in {Outcome.FAILED, Outcome.REFUSED, Outcome.INTERRUPTED, Outcome.NEEDS_APPROVAL}:
            notes.append(("warn", _beside(run)))
    failed = sum(not check["ok"] for check in facts.checks)
    if failed:
        notes.append(("bad", f"{plural(failed, 'check')} of the audit failed."))
    for hold in facts.holds:
        if hold.get("ended") is None:
            notes.append(("warn", f"Held since {moment(hold['since'])} by {say(hold['who'])}: {say(hold['why'], 200)}"))
    for alarm in facts.alarms:
        of = f"{alarm.family}, {alarm.source}" if alarm.source else alarm.family
        notes.append(("warn", f"Drift alarm: {alarm.name} ({of}). To do: {alarm.advice}."))
    stale = sum(each.stale for each in facts.refused)
    if stale:
        whose = "documents are broken in their sources: their last good versions stay"
        one = "document is broken in its source: its last good version stays"
        notes.append(("good", f"{stale:,} {one if stale == 1 else whose} in the index."))
    return notes


def _beside(run: Night) -> str:
    """A run that looked at the index, or tried to improve it, and did not end well."""
    ended = {Outcome.NEEDS_APPROVAL: "waits for approval"}.get(Outcome(run.outcome), f"ended {run.outcome}")
    return f"A {run.kind} {ended} at {moment(run.started)}: {say(run.message, 200)}"


def _steps(facts: Facts) -> list[Step]:
    night, release = facts.night, facts.release
    outcome = night.outcome if night else ""
    steps = []
    if release is None and outcome not in {Outcome.FAILED, Outcome.REFUSED, Outcome.NEEDS_APPROVAL}:
        return [Step("tidemark plan", "see what a refresh would do"), Step("tidemark refresh", "publish release 1")]
    if night is not None and outcome == Outcome.NEEDS_APPROVAL:
        steps = [Step("tidemark plan", "see what would change"), Step(approval(night.message), "approve of it")]
    elif night is not None and outcome in {Outcome.FAILED, Outcome.REFUSED, Outcome.INTERRUPTED}:
        steps = [Step(f"tidemark show {night.run}", "see what the run says")]
        steps += [Step("tidemark refresh", "run it again once the cause is mended: finished vectors are re-used")]
    if any(hold.get("ended") is None for hold in facts.holds):
        steps.append(Step("tidemark unhold", "let the next run publish again"))
    if facts.alarms:
        steps.append(Step("tidemark drift", "see every figure beside its history"))
    if facts.refused:
        steps.append(Step("tidemark quarantine list", f"see all {plural(facts.refusals, 'refused document')}"))
    if any(not check["ok"] for check in facts.checks):
        steps.append(Step("tidemark audit", "see what is damaged, and how to repair it"))
    if release is not None and facts.changes is not None:
        steps.append(Step(f"tidemark diff {release.seq - 1} {release.seq}", "see all that changed"))
    if release is not None and release.seq > 1:
        steps.append(Step("tidemark rollback", "if the release is bad: readers get the one before, nothing is deleted"))
    return steps
