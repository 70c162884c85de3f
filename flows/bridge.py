"""A bridge: stored vectors mapped to another encoder's space, so that it serves before they are embedded anew."""

from __future__ import annotations

from flows.build import Built, finish, publish_built
from flows.config.schema import Config
from flows.run import Run
from flows.switch import PATIENCE, on_current
from models.encoder import EncoderFolder
from storage.outcome import Outcome
from storage.reader import Reader
from storage.tables.chunks import ChunkTable
from storage.tables.documents import DocumentTable
from storage.tables.releases import Release
from storage.tables.roles import BridgeRecord, Role, bridged_table
from tasks.build.bridge import Fitted, fit_bridge, map_chunks
from tasks.build.chunk import Cutter
from tasks.build.embed import embed, find_pending
from tasks.context import Context
from tasks.learn.challenge import Side, Trial, trial
from tasks.learn.judged import question_sets
from tasks.learn.questions import QuestionSet
from tasks.learn.record import record_trial
from tasks.learn.subject import Subject
from tasks.release.publish import clean_up
from tasks.release.serving import described, kept_encoder
from tasks.verdict import NeedsApproval, Refused

__all__ = ["bridge_release"]


def bridge_release(
    context: Context, wanted: EncoderFolder, configured: EncoderFolder, config: Config, run: Run, *, yes: bool
) -> None:
    """Publish the release's vectors mapped to an encoder's space, if judged questions gain by it.

    Args:
        context: The run, not on top of a release yet.
        wanted: The encoder.
        configured: The encoder of the configuration, with which the line begins.
        config: The configuration.
        run: It takes the lease once the matrix is fitted.
        yes: Publish it also where no judged question of a target set says what it is worth.

    Raises:
        InputError: The release holds too few contents to fit a matrix on.
        NeedsApproval: There are no judged questions, and nobody approved.
        Refused: The gate keeps it out, the audit failed, or another encoder was published meanwhile.
    """
    context, base = on_current(context, run)
    champion = kept_encoder(context.store, base.space, config.encoder)
    run.facts["model"] = described(context.store, base, wanted, configured).to_dict()
    if base.space == wanted.space.id:
        how = "bridged: `tidemark reembed` embeds the rest" if base.text.bridge else "there is nothing to map"
        run.conclude(Outcome.UNCHANGED, f"release {base.seq} has that encoder already; {how}", base.seq)
        return
    sets = question_sets(config.evaluation, config.base, "test")
    judged = any(each.role == "target" for each in sets)
    if not judged and not yes:
        raise NeedsApproval(
            "no target set of [[evaluation]] has test questions, so nothing tells what mapped vectors are worth; "
            f"`tidemark reembed --encoder {wanted.config.name} --bridge --yes` publishes them unjudged"
        )
    with run.clock.stage("bridge"):
        fitted = fit_bridge(context, base, wanted)
    with run.clock.stage("wait"):
        run.hold(PATIENCE)
    context, base = on_current(context, run)  # nights may have published meanwhile
    if base.space != champion.space.id:
        raise Refused(f"release {base.seq} has another encoder than the one that was mapped from: start again")
    built = _built(context, base, wanted, configured, fitted, config, run)
    run.counts, run.causes = built.counts, built.causes
    told = _told(fitted)
    if judged:
        with run.clock.stage("gate"):
            found = _judged(context, base, champion, wanted, built, sets, config)
            record_trial(context, found, base, wanted.space.id, goes_on=True)
        if not found.promotion.passes:
            raise Refused(f"{told}: {'; '.join(found.promotion.reasons)}")
        told += f": {found.promotion.bars[0].message}"
    release = publish_built(context, wanted, config, run, built, told)
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published: {told}", release.seq)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, wanted.space.id)


def _told(fitted: Fitted) -> str:
    found = fitted.bridge
    return (
        f"bridged: vectors are mapped by one matrix, fitted on {found.rows:,} of them, which keeps "
        f"{found.agreement:.0%} of the nearest neighbours; `tidemark reembed` embeds them all"
    )


def _built(
    context: Context,
    base: Release,
    wanted: EncoderFolder,
    configured: EncoderFolder,
    fitted: Fitted,
    config: Config,
    run: Run,
) -> Built:
    """Write, index and audit the mapped table."""
    with run.clock.stage("embed"):  # nothing is left of the sample; what is kept here is the encoder
        embed(context, wanted, fitted.sample, find_pending(context, wanted, fitted.sample))
    with run.clock.stage("map"):
        tables = map_chunks(context, base, wanted, fitted.bridge, config.index.precision)
    found = fitted.bridge
    role = Role(
        space=wanted.space.id,
        encoder=described(context.store, base, wanted, configured),
        table=bridged_table(wanted.space.id, config.index.precision),
        # Spans stay as they were cut for the old encoder; nights cut what is new for this one.
        chunker=Cutter.of(config.chunker, wanted.tokenizer(), wanted.space).fingerprint,
        bridge=BridgeRecord(base.space, found.rows, found.ridge, found.agreement),
    )
    counts = _counts(context, base)
    return finish(context, wanted, config, run, tables, role, counts, {"encoder": counts["documents"]})


def _counts(context: Context, base: Release) -> dict[str, int]:
    """Documents and chunks as they are: nothing comes, goes or is embedded."""
    ledger = DocumentTable(context.store, base.tables["documents"]).ledger()
    duplicates = int(ledger["duplicate_of"].count())
    rows = ChunkTable(context.store, base.chunks, base.tag).rows
    none = dict.fromkeys(("added", "changed", "moved", "deleted", "quarantined", "embedded", "tokens"), 0)
    held = {"documents": ledger.height, "unchanged": ledger.height - duplicates, "duplicates": duplicates}
    return none | held | {"chunks": rows, "reused": rows}


def _judged(
    context: Context,
    base: Release,
    champion: EncoderFolder,
    wanted: EncoderFolder,
    built: Built,
    sets: list[QuestionSet],
    config: Config,
) -> Trial:
    first = Side(Subject.of(Reader(context.store, base)), champion, champion.open())
    second = Side(Subject.drafted(context.store, built.tables, built.role), wanted, wanted.open())
    return trial(first, second, sets, {}, config.quality, context.progress)
