"""Say what a refresh would do, and write nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import polars as pl

from flows.clock import Clock
from flows.config.schema import Config
from flows.context import opened, rebased
from flows.planned import keep
from flows.prepare import prepare, prepare_stored
from flows.table import Option
from models.device import require_device
from models.encoder import EncoderFolder, resolve
from storage.counts import plural
from storage.errors import InputError
from storage.outcome import Outcome
from storage.tables.holds import Holds
from storage.tables.index import BYTES
from storage.tables.releases import Releases
from storage.tables.runs import Runs, new_run
from storage.tables.store import Store
from tasks.build.index import reindexes
from tasks.changes import CHANGED, named
from tasks.context import Context
from tasks.curate.gate import gate
from tasks.curate.validation import load_suite
from tasks.learn.foresee import Retraining, foresee
from tasks.progress import Progress, Silent
from tasks.release.readable import require_readable
from tasks.release.serving import chosen, serving
from tasks.tally import Preparation, causes, stale_note, tally, time_note

__all__ = ["Forecast", "plan"]

TOKENS_PER_SECOND = 4_000  # all-MiniLM-L6-v2 on two cores, where the store remembers no run of its own
_REMEMBERED = 100  # runs that may tell how quick this machine is, the newest


@dataclass(frozen=True)
class Forecast:
    """What a refresh would do now.

    Attributes:
        release: The release that it would start from; None before the first.
        outcome: What it would end with: published, unchanged, held, refused or needs approval.
        counts: As a run counts; `embedded` is what would be embedded.
        causes: Why there is work: documents a cause.
        tokens: Tokens to embed.
        estimated_seconds: Of a refresh, from the speed of earlier runs in this store.
        bytes: Of vectors and texts to be written.
        seconds: That the plan itself took, a stage.
        message: One line for people.
        sources: Source to its number of documents.
        changes: change (+ added, ~ changed, > moved, - deleted, ! refused, = a duplicate), source, document, rule
            and reason of every document that changes.
        every: Whether a terminal shows all of them.
        flow: The flow whose exit code it ends with.
        out: The file that keeps its work.
        passed_over: Source to what it leaves out, how many a reason: unknown suffix, hidden, excluded and the like.
        retrain: What a `retrain` would cost on top of the release; None before the first, and where another question
            was asked.
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
    changes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CHANGED), compare=False)
    every: bool = False
    flow: str = "plan"
    out: str | None = None
    passed_over: dict[str, dict[str, int]] = field(default_factory=dict)
    retrain: Retraining | None = None

    @property
    def documents(self) -> tuple[dict[str, Any], ...]:
        """Every document that changes, a row of `changes` each."""
        return tuple(self.changes.to_dicts())

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values: what changes by document."""
        told = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "changes"}
        return told | {"documents": self.documents}


def plan(
    config: Config,
    *,
    rebuild: bool = False,
    encoder: Annotated[str | None, Option(metavar="NAME")] = None,
    revision: Annotated[str | None, Option(metavar="COMMIT")] = None,
    names: Annotated[bool, Option(verbose=True)] = False,
    exit_code: bool = False,
    out: Annotated[str | None, Option(metavar="FILE", short="-o")] = None,
    console: Progress | None = None,
) -> Forecast:
    """Show what a refresh would do, by cause, with tokens, time and bytes; writes nothing.

    Runs the stages that only read, and forecasts the others.

    Args:
        config: The configuration.
        rebuild: Take nothing over from earlier releases: embed everything again.
        encoder: Show what a `reembed` with this encoder would do instead.
        revision: Commit, tag or branch of that encoder, where it is a hub model.
        names: Name every document that would change; else the first twenty. JSON names all.
        exit_code: End with the exit code that the refresh would end with.
        out: Keep the plan's work in this file, for `refresh --plan FILE`.
        console: Where it says how far it is.

    Raises:
        InputError: The configuration names something that is not there.
        ModelError: The encoder cannot be used, or the machine has not its device.
        Refused: No reader can open the release that the refresh would start from.
    """
    progress = console or Silent()
    require_device(config.encoder.device, "encoder.device")
    if encoder is not None:
        if out is not None:
            raise InputError("a plan of another encoder cannot be kept: give --out or --encoder, not both")
        return _reembedding(
            config, chosen(Store(config.store.uri), config.encoder, config.base, encoder, revision), progress
        )
    configured = resolve(config.encoder, config.base)
    suite = load_suite(config.validation)
    with opened(config, f"plan-{new_run()}", progress, suite) as unbound:
        context = replace(rebased(unbound), rebuild=rebuild)
        if context.base is not None and not rebuild:
            require_readable(context.store, context.base)  # a refresh would stop here too
        wanted = serving(context.store, context.base, configured)
        clock = Clock(progress)
        done = prepare(context, wanted, suite, config, clock)
        verdict = gate(
            context, wanted, config.limits, done.scan, done.plan, done.validated, done.deduplicated, done.pending
        )
        publishes = done.publishes or reindexes(context.base, config.index)
        ending = Outcome.PUBLISHED if publishes else Outcome.UNCHANGED
        outcome = ending if verdict.outcome is Outcome.PASSED else verdict.outcome
        forecast = replace(_forecast(context, wanted, done, clock, outcome), retrain=_retraining(context, config))
        told = "; ".join(verdict.reasons) or _message(forecast.counts, outcome)
        forecast = replace(
            forecast,
            message=told + _taken_back(context, outcome),
            changes=named(context, done),
            every=names,
            flow="refresh" if exit_code else "plan",
        )
        if out is not None:
            keep(Path(out), context, config, suite, wanted, done)
        return _held(context.store, replace(forecast, out=out))


def _reembedding(config: Config, wanted: EncoderFolder, progress: Progress) -> Forecast:
    """What a re-embedding would do."""
    with opened(config, f"plan-{new_run()}", progress, sources=False) as unbound:
        context, clock = rebased(unbound), Clock(progress)
        base = Releases(context.store).get()
        done = prepare_stored(context, wanted, config, clock)
        there = base.space == wanted.space.id and base.text.bridge is None
        forecast = _forecast(context, wanted, done, clock, Outcome.UNCHANGED if there else Outcome.PUBLISHED)
        embedded, reused = forecast.counts["embedded"], forecast.counts["reused"]
        told = f"a reembed would embed {plural(embedded, 'chunk')} with {wanted.space.name} and re-use {reused:,}"
        forecast = replace(forecast, message=f"nothing to do: release {base.seq} has that encoder" if there else told)
        return _held(context.store, forecast)


def _taken_back(context: Context, outcome: Outcome) -> str:
    """What becomes of a rollback: the next release is made of the sources, which mostly hold what was taken back."""
    base = context.base
    if base is None or base.restored is None or outcome is not Outcome.PUBLISHED:
        return ""
    back = f"release {base.seq} gives release {base.restored} back"
    return f"; {back}, and this would publish again what it took back, where the sources hold it"


def _held(store: Store, forecast: Forecast) -> Forecast:
    """What becomes of a run while somebody holds the store."""
    holds = Holds(store).standing()
    if not holds:
        return forecast
    outcome = Outcome.HELD if forecast.outcome is Outcome.PUBLISHED else forecast.outcome
    told = "; ".join(each.told for each in holds)
    return replace(forecast, outcome=outcome, message=f"{forecast.message}; the store is held {told}")


def _forecast(context: Context, encoder: EncoderFolder, done: Preparation, clock: Clock, outcome: Outcome) -> Forecast:
    width = encoder.space.dimension * BYTES[done.changes.precision]
    texts = sum(int(part["text"].str.len_bytes().sum()) for part in done.changes.upserts.slices(["text"]))
    bodies = sum(int(part["text"].str.len_bytes().sum()) for part in done.validated.accepted.slices(["text"]))
    return Forecast(
        release=None if context.base is None else context.base.seq,
        outcome=outcome,
        counts=tally(context, done),
        causes=causes(context, done),
        tokens=done.pending.tokens,
        estimated_seconds=round(done.pending.tokens * _pace(context, encoder.space.id) + clock.total()["total"], 1),
        bytes=done.changes.upserts.rows * width + texts + bodies,
        seconds=clock.total(),
        message="",
        sources=done.scan.counts,
        passed_over=done.scan.passed_over,
    )


def _retraining(context: Context, config: Config) -> Retraining | None:
    """What a retraining would cost; a trained encoder is as quick as the one that it was trained from."""
    if context.base is None or context.rebuild:  # tables that are to be rebuilt may be damaged
        return None
    pace = _pace(context, context.base.space)
    return foresee(context.store, context.base, config.learning, config.base, pace)


def _pace(context: Context, space: str) -> float:
    """Seconds that embedding and writing a token takes, from what earlier runs in this space took."""
    # A night without news embeds nothing: of years of them only those are read that may tell a speed.
    worked = {"published", "held", "refused", "failed", "interrupted"}
    for run in Runs(context.store).all(_REMEMBERED, columns=("counts", "seconds", "model"), outcomes=worked):
        counts, seconds, model = run["counts"] or {}, run["seconds"] or {}, run["model"] or {}
        if counts.get("tokens", 0) > 10_000 and model.get("id") == space and seconds.get("embed"):
            return float(seconds["embed"] / counts["tokens"])
    return 1 / TOKENS_PER_SECOND


def _message(counts: dict[str, int], outcome: Outcome) -> str:
    notes = stale_note(counts) + time_note(counts)
    if outcome is Outcome.UNCHANGED:
        return "nothing to do: a refresh would embed 0 chunks" + notes
    return f"a refresh would embed {plural(counts['embedded'], 'chunk')} and re-use {counts['reused']:,}{notes}"
