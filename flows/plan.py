"""Say what a refresh would do, and write nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flows.config.schema import Config
from flows.context import opened, rebased
from flows.prepare import prepare
from flows.run import Clock
from models.encoder import resolve
from storage.outcome import Outcome
from storage.tables.runs import Runs, new_run
from tasks.context import Context
from tasks.curate.gate import gate
from tasks.curate.validation import load_suite
from tasks.progress import Progress, Silent
from tasks.tally import Preparation, causes, stale_note, tally

__all__ = ["Forecast", "plan"]

TOKENS_PER_SECOND = 4_000  # all-MiniLM-L6-v2 on two cores, where the store remembers no run of its own
_REMEMBERED = 100  # runs that may tell how quick this machine is, the newest


@dataclass(frozen=True)
class Forecast:
    """What a refresh would do now.

    Attributes:
        release: The release that it would start from; None before the first.
        outcome: What it would end with: published, unchanged, refused or needs approval.
        counts: As a run counts; `embedded` is what would be embedded.
        causes: Why there is work: documents a cause.
        tokens: Tokens to embed.
        estimated_seconds: Of a refresh, from the speed of earlier runs in this store.
        bytes: Of vectors and texts to be written.
        seconds: That the plan itself took, a stage.
        message: One line for people.
        sources: Source to its number of documents.
    """

    release: int | None
    outcome: Outcome
    counts: dict[str, int]
    causes: dict[str, int]
    tokens: int
    estimated_seconds: float
    bytes: int
    seconds: dict[str, float]
    message: str
    sources: dict[str, int]


def plan(config: Config, *, rebuild: bool = False, console: Progress | None = None) -> Forecast:
    """Show what a refresh would do, by cause, with tokens, time and bytes; writes nothing.

    Runs the stages that only read, and forecasts the others.

    Args:
        config: The configuration.
        rebuild: Take nothing over from earlier releases: embed everything again.
        console: Where it says how far it is.

    Raises:
        InputError: The configuration names something that is not there.
        ModelError: The encoder cannot be used.
    """
    progress = console or Silent()
    encoder = resolve(config.encoder, config.base)
    suite = load_suite(config.validation)
    with opened(config, f"plan-{new_run()}", progress, suite) as unbound:
        context = replace(rebased(unbound), rebuild=rebuild)
        clock = Clock(progress)
        done = prepare(context, encoder, suite, config, clock)
        verdict = gate(
            context, encoder, config.limits, done.scan, done.plan, done.validated, done.deduplicated, done.pending
        )
        ending = Outcome.PUBLISHED if done.publishes else Outcome.UNCHANGED
        outcome = ending if verdict.outcome is Outcome.PASSED else verdict.outcome
        counts = tally(context, done)
        width = encoder.space.dimension * 4
        texts = sum(int(part["text"].str.len_bytes().sum()) for part in done.changes.upserts.slices(["text"]))
        bodies = sum(int(part["text"].str.len_bytes().sum()) for part in done.validated.accepted.slices(["text"]))
        return Forecast(
            release=None if context.base is None else context.base.seq,
            outcome=outcome,
            counts=counts,
            causes=causes(context, done),
            tokens=done.pending.tokens,
            estimated_seconds=round(_speed(context, encoder.space.id, done) + clock.total()["total"], 1),
            bytes=done.changes.upserts.rows * width + texts + bodies,
            seconds=clock.total(),
            message="; ".join(verdict.reasons) or _message(counts, outcome),
            sources=done.scan.counts,
        )


def _speed(context: Context, space: str, done: Preparation) -> float:
    """Seconds that embedding and writing will take, from what earlier runs in this space took."""
    # A night without news embeds nothing: of years of them only those are read that may tell a speed.
    worked = {"published", "refused", "failed", "interrupted"}
    for run in Runs(context.store).all(_REMEMBERED, columns=("counts", "seconds", "model"), outcomes=worked):
        counts, seconds, model = run["counts"] or {}, run["seconds"] or {}, run["model"] or {}
        if counts.get("tokens", 0) > 10_000 and model.get("id") == space and seconds.get("embed"):
            return float(done.pending.tokens * seconds["embed"] / counts["tokens"])
    return done.pending.tokens / TOKENS_PER_SECOND


def _message(counts: dict[str, int], outcome: Outcome) -> str:
    if outcome is Outcome.UNCHANGED:
        return "nothing to do: a refresh would embed 0 chunks" + stale_note(counts)
    return f"a refresh would embed {counts['embedded']:,} chunks and re-use {counts['reused']:,}{stale_note(counts)}"
