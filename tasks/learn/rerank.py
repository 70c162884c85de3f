"""Try the configured re-rankers on top of a release, and say which one is to serve."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.encoder import Encoder
from models.errors import ModelError
from models.rerank.base import read_settings
from models.rerank.cross import adopt
from storage.reader import Reader
from storage.registry import Registry
from storage.tables.models import ModelRecord, Models
from storage.tables.releases import Release
from storage.tables.roles import RERANKER, Role
from tasks.context import Context
from tasks.learn.config import QualityConfig
from tasks.learn.firststage import first_stage
from tasks.learn.questions import QuestionSet
from tasks.learn.rerankers import Trial, Tried, best, role_of, try_rerankers
from tasks.release.model import card
from tasks.stage import stage

__all__ = ["MADE", "Reranked", "adopt_crosses", "keep_reranker", "rerank"]

logger = logging.getLogger(__name__)

MADE = ("late", "fusion", "cross")  # kinds that are made here; any other is a cross-encoder's name or folder
FITTED_ON = 300  # dev questions: more of them gain nothing that was measured, and late interaction is slow
JUDGED_ON = 1_000  # test questions: they show in three of four cases that ordering a list anew gains .01


@dataclass(frozen=True)
class Reranked:
    """What was tried on top of a release.

    Attributes:
        space: Space of the encoder that they were tried beside.
        trials: One a kind, in the order in which they were tried.
        served: Id of the re-ranker that the release has already; empty without one.
    """

    space: str
    trials: tuple[Trial, ...] = ()
    served: str = ""

    @property
    def chosen(self) -> Trial | None:
        """The one to publish: the best of those that passed, unless the release has that very one."""
        found = best(self.trials)
        return None if found is None or found.id == self.served else found

    @property
    def role(self) -> Role | None:
        """The role under which a release serves it."""
        return None if self.chosen is None else role_of(self.chosen, self.space)

    @property
    def rows(self) -> tuple[Tried, ...]:
        """The rows of the report."""
        return tuple(trial.row for trial in self.trials)

    @property
    def counts(self) -> dict[str, int]:
        """How many were tried, and how many passed."""
        return {"tried": len(self.trials), "promoted": sum(row.verdict == "promoted" for row in self.rows)}


@stage
def rerank(
    context: Context,
    release: Release,
    encoder: Encoder,
    dev: Sequence[QuestionSet],
    test: Sequence[QuestionSet],
    kinds: Sequence[str],
    quality: QualityConfig,
    crosses: Mapping[str, Path] | None = None,
) -> Reranked:
    """Fit re-rankers on dev questions, and judge each on test questions against the release as it is searched.

    Args:
        context: The run.
        release: What they are tried on, published or about to be.
        encoder: Its encoder.
        dev: Dev questions of target sets.
        test: Test questions of target sets.
        kinds: `learning.rerankers`.
        quality: The bars.
        crosses: Folders of cross-encoders by what they are called.

    Returns:
        No trial where there are no kinds, or no questions of one of the two splits.
    """
    made = [kind for kind in kinds if kind in ("late", "fusion")]
    if not (dev and test and (made or crosses)):
        return Reranked(encoder.space.id)
    reader, folder = Reader(context.store, release), context.workspace.folder / "rerankers"
    fitted = first_stage(reader, encoder, dev, most=FITTED_ON)
    judged = first_stage(reader, encoder, test, most=JUDGED_ON)
    if not (fitted.questions and judged.questions):
        return Reranked(encoder.space.id)
    trials = try_rerankers(fitted, judged, encoder, folder, quality, crosses, made, context.progress)
    for trial in trials:
        logger.info("re-ranker %s: %s, %s", trial.row.kind, trial.row.verdict, trial.row.reason)
    served = release.roles.get(RERANKER)
    return Reranked(encoder.space.id, tuple(trials), "" if served is None else served.space)


def adopt_crosses(context: Context, kinds: Sequence[str], base: Path) -> dict[str, Path]:
    """Copy the cross-encoders that the configuration names, before hours of work for which they might be missing.

    Args:
        context: The run; the copies lie in its work folder.
        kinds: `learning.rerankers`.
        base: Folder that a relative path starts from.

    Returns:
        Name to folder.

    Raises:
        ModelError: There is no such model, or it is no cross-encoder.
    """
    found = {}
    for number, name in enumerate(kind for kind in kinds if kind not in MADE):
        folder = base / Path(name).expanduser()
        place = context.workspace.folder / f"cross-{number}"
        try:
            adopt(str(folder.resolve()) if folder.is_dir() else name, place)
        except ModelError as error:
            raise type(error)(f"learning.rerankers: {error}") from error
        found[name] = place
    return found


def keep_reranker(context: Context, reranked: Reranked) -> None:
    """Put the one that is to serve into the registry; the caller holds the lease.

    Args:
        context: The run.
        reranked: What was tried.
    """
    chosen = reranked.chosen
    if chosen is None or chosen.folder is None:
        raise RuntimeError("no re-ranker is to be published")
    registry, row = Registry(context.store), chosen.row
    registry.keep(chosen.id, chosen.folder)
    record = ModelRecord(
        space=chosen.id,
        name=row.kind,
        kind="reranker",
        parent=reranked.space,
        created=context.now,
        run=context.run,
        recipe=read_settings(chosen.folder).get("recipe") or {},
        metrics=row.to_dict(),
        digests=registry.digests(chosen.id),
        bytes=registry.size(chosen.id),
    )
    # The row comes last: until it is there nothing keeps the folder from clean-up, and it names nothing that is not.
    registry.describe(chosen.id, card(record))
    Models(context.store).record(record)
