"""Re-rankers in a retraining: tried on what readers will see, and published with it or, where no encoder is, alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from flows.build import Built
from flows.config.schema import Config
from flows.environment import code, libraries
from flows.run import Run
from flows.switch import PATIENCE, on_current
from models.encoder import EncoderFolder
from models.rerank.train_cross import cross_recipe
from storage.outcome import Outcome
from storage.tables.releases import Draft, Release
from storage.tables.roles import RERANKER, Role
from tasks.context import Context
from tasks.learn.cross import train_on_pairs
from tasks.learn.judged import question_sets
from tasks.learn.questions import QuestionSet, Split
from tasks.learn.report import Report
from tasks.learn.rerank import adopt_crosses, keep_reranker, rerank
from tasks.release.audit import Snapshot, audit
from tasks.release.publish import clean_up, publish
from tasks.verdict import Refused

__all__ = ["adopted", "keep_champion", "trained", "with_reranker"]


def adopted(context: Context, config: Config) -> dict[str, Path]:
    """The cross-encoders that the configuration names, copied; none where nothing could judge them.

    Raises:
        ModelError: There is no such model, or it is no cross-encoder.
    """
    return adopt_crosses(context, config.learning.rerankers, config.base) if _judgeable(config) else {}


def trained(
    context: Context,
    base: Release,
    champion: EncoderFolder,
    version: int,
    minutes: float,
    config: Config,
    run: Run,
    report: Report,
) -> dict[str, Path]:
    """The cross-encoder that the configuration wants trained from the pairs of a data version; else none.

    It has as many minutes as the encoder had.
    """
    if "cross" not in config.learning.rerankers or not _judgeable(config):
        return {}
    recipe = cross_recipe(minutes, config.learning.cross_steps, config.learning.seed)
    with run.clock.stage("train_cross"):
        report.crossed = train_on_pairs(
            context, base, champion, version, recipe, config.quality, _targets(config, "dev")
        )
    run.facts.setdefault("data", {})["cross"] = report.crossed.to_dict()
    return report.crossed.folders


def with_reranker(
    context: Context,
    encoder: EncoderFolder,
    built: Built,
    crosses: Mapping[str, Path],
    config: Config,
    run: Run,
    report: Report,
) -> Built:
    """Try re-rankers on what was built and passed the gate; the best that helps goes with it."""
    seq = 1 if context.base is None else context.base.seq + 1
    release = Release(run=run.id, tables=built.tables, roles=built.roles, seq=seq, created=context.now, tag="")
    _try(context, release, encoder, crosses, config, run, report)
    if report.reranked is None or report.reranked.role is None:
        return built
    keep_reranker(context, report.reranked)
    return replace(built, reranker=report.reranked.role)


def keep_champion(
    context: Context,
    base: Release,
    champion: EncoderFolder,
    crosses: Mapping[str, Path],
    config: Config,
    run: Run,
    report: Report,
    reasons: Sequence[str],
    *,
    yes: bool,
) -> None:
    """Where no challenger is better: publish what readers have with a re-ranker that helps, or refuse.

    Args:
        context: The run.
        base: What readers have.
        champion: Its encoder.
        crosses: Cross-encoders to try.
        config: The configuration.
        run: It may hold the lease already.
        report: What was tried is put into it.
        reasons: Why no challenger goes on.
        yes: Approve of publishing.
    """
    refused = "; ".join(reasons)
    _try(context, base, champion, crosses, config, run, report)
    found = report.reranked
    if found is None or found.chosen is None or found.role is None:
        run.conclude(Outcome.REFUSED, refused, base.seq)
        return
    gains = f"{found.chosen.row.kind} {found.chosen.row.reason}, and the encoder stays: {refused}"
    if config.learning.approval and not yes:
        told = f"{gains}; the re-ranker waits for approval: `tidemark retrain --yes` publishes it"
        run.conclude(Outcome.NEEDS_APPROVAL, told, base.seq)
        return
    with run.clock.stage("wait"):
        run.hold(PATIENCE)
    context, base = on_current(context, run)  # nights may have published meanwhile: the same encoder, or another one
    if base.space != found.space:
        run.conclude(Outcome.REFUSED, f"{refused}; release {base.seq} has another encoder by now", base.seq)
        return
    keep_reranker(context, found)
    release = _publish(context, base, found.role, config, run, gains)
    run.conclude(Outcome.PUBLISHED, f"release {release.seq} is published: {gains}", release.seq)
    with run.clock.stage("clean_up"):
        clean_up(context.store, config.releases, release.space)


def _try(
    context: Context,
    release: Release,
    encoder: EncoderFolder,
    crosses: Mapping[str, Path],
    config: Config,
    run: Run,
    report: Report,
) -> None:
    """Try what the configuration names, and record what was found, also of those that are kept out."""
    kinds, quality = config.learning.rerankers, config.quality
    if not kinds or not _judgeable(config):
        return
    dev, test = _targets(config, "dev"), _targets(config, "test")
    with run.clock.stage("rerank"):
        report.reranked = rerank(context, release, encoder.open(), dev, test, kinds, quality, crosses)
    run.facts.setdefault("data", {})["rerankers"] = [row.to_dict() for row in report.rerankers]


def _publish(context: Context, base: Release, role: Role, config: Config, run: Run, message: str) -> Release:
    """Publish the tables of a release once more, with a re-ranker beside them; they are audited as ever."""
    roles = base.roles | {RERANKER: role}
    with run.clock.stage("audit"):
        audited = audit(Snapshot(context.store, base.tables, roles, base.counts), config.index)
    if not audited.ok:
        raise Refused(f"the audit failed: {audited.message}")
    draft = Draft(
        run=run.id,
        tables=base.tables,
        roles=roles,
        counts=base.counts,
        audit=audited.to_dict() | {name: base.audit[name] for name in ("quality",) if name in base.audit},
        config=json.loads(config.to_json()),
        code=code() | libraries(),
        message=message,
    )
    with run.clock.stage("publish"):
        return publish(context, run.held, draft)


def _judgeable(config: Config) -> bool:
    """Whether target sets have questions to fit on and others to judge by."""
    return bool(_targets(config, "dev") and _targets(config, "test"))


def _targets(config: Config, split: Split) -> list[QuestionSet]:
    return question_sets([each for each in config.evaluation if each.role == "target"], config.base, split)
