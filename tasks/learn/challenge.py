"""Measure champion and challenger beside each other: same questions, same documents, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from models.encoder import Encoder, EncoderFolder
from models.statistics import Paired, paired
from tasks.learn.config import QualityConfig
from tasks.learn.cost import costs
from tasks.learn.evaluate import Measured, Mode, measure
from tasks.learn.pool import Pool, pool_scores
from tasks.learn.promote import FEWEST, Comparison, Promotion, judge
from tasks.learn.questions import Purpose, QuestionSet
from tasks.learn.results import Evaluation, SetResult
from tasks.learn.subject import Subject
from tasks.progress import Progress
from tasks.stage import stage

__all__ = ["Side", "Trial", "held_back", "trial"]

PASSAGES = 3_000  # of the pool in which pairs are judged
PAIRS = "pairs"


@dataclass(frozen=True)
class Side:
    """An encoder and the tables that it made.

    Attributes:
        subject: Its chunks, and the documents.
        folder: Its files.
        encoder: The encoder, opened.
    """

    subject: Subject
    folder: EncoderFolder
    encoder: Encoder


@dataclass(frozen=True)
class Trial:
    """What was measured of both, and what the gate says.

    Attributes:
        promotion: The verdict, with its bars.
        champion: The published release.
        challenger: What would take its place.
        dense: Set to the difference of nDCG@10 by vectors alone: what of a gain is the encoder's.
    """

    promotion: Promotion
    champion: Evaluation
    challenger: Evaluation
    dense: Mapping[str, Paired] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Questions, and bars that were missed."""
        return {**self.challenger.counts, "refused": len(self.promotion.reasons)}

    @property
    def metrics(self) -> dict[str, Any]:
        """Set to nDCG@10 before and after, as readers get it, with the modes that these are, and by vectors alone."""
        pairs = zip(self.champion.sets, self.challenger.sets, strict=True)
        return {
            after.name: {
                "champion": _mean(before, before.sliced),
                "challenger": _mean(after, after.sliced),
                "modes": [before.sliced, after.sliced],
                "dense": _by_vectors(before, after, self.dense.get(after.name)),
            }
            for before, after in pairs
        }


@stage
def trial(
    champion: Side,
    challenger: Side,
    sets: Sequence[QuestionSet],
    pools: Mapping[str, Pool],
    config: QualityConfig,
    progress: Progress,
) -> Trial:
    """Measure both as their readers would search, through their own index, and hold one against the other.

    A release whose role has a weight for words answers by both, so it is judged by both: a better encoder that adds
    nothing beside words is no better release.

    Args:
        champion: The published one.
        challenger: The other, over the same documents.
        sets: Judged test questions.
        pools: Held-back pairs by name; those named PAIRS are a target, the others only bound forgetting.
        config: The bars.
        progress: Where it says how far it is.
    """
    # Both were asked the same, so the parts are told by one of them.
    first, second = (
        measure(side.subject, side.encoder, sets, what=_what(side, config, parts), progress=progress)
        for side, parts in ((champion, False), (challenger, True))
    )
    dense = {
        after.name: paired(_figures(before, "dense"), _figures(after, "dense"), config.confidence)
        for before, after in zip(first.sets, second.sets, strict=True)
    }
    compared = [_comparison(before, after) for before, after in zip(first.sets, second.sets, strict=True)]
    for name, pool in pools.items():
        before, after = (pool_scores(pool, side.encoder, progress) for side in (champion, challenger))
        compared.append(Comparison(name, "target" if name == PAIRS else "general", before, after))
    asked = [text for each in sets for text in each.questions["text"]] + [
        q for p in pools.values() for q in p.questions
    ]
    old, new = costs((champion.folder, champion.encoder), (challenger.folder, challenger.encoder), asked)
    return Trial(judge(compared, old, new, config), first, second, dense)


def held_back(pairs: pl.DataFrame, sets: Sequence[QuestionSet]) -> dict[str, Pool]:
    """Pools of the pairs that were kept from training.

    Where judged questions are the target, pairs of other sources only bound forgetting; without judged questions all
    pairs together are the target. A source with fewer than FEWEST questions says nothing: of three of them, one whose
    answer fell out of the first ten refuses any challenger.

    Args:
        pairs: question, source, content_hash and passage of the test pairs.
        sets: Judged test questions.
    """
    targets = [each for each in sets if each.role == "target"]
    if not targets:
        return {PAIRS: Pool.of_pairs(pairs, pairs.clear(), PASSAGES)} if pairs.height else {}
    if any(each.role == "general" for each in sets):
        return {}
    known = {each.source for each in targets}
    if None in known:  # a target that names no source is about all of them
        return {}
    rest = pairs.filter(~pl.col("source").is_in([name for name in known if name]))
    return {
        f"{PAIRS} of {name}": Pool.of_pairs(part, pairs, PASSAGES)
        for (name,), part in sorted(rest.group_by("source"), key=lambda group: str(group[0]))
        if part["question"].n_unique() >= FEWEST
    }


def _comparison(before: SetResult, after: SetResult) -> Comparison:
    """Pair the figures of a set; both sides hold the same documents, and so were asked the same questions."""
    if before.asked != after.asked:
        raise RuntimeError(f"champion and challenger were asked different questions of {before.name}")
    size = len(after.asked)
    masks = {}
    for part in after.slices:
        if part.by == "noise":
            continue
        masks[f"{part.by}={part.value}"] = mask = np.zeros(size, dtype=np.bool_)
        mask[part.rows] = True
    role: Purpose = "target" if after.role == "target" else "general"
    return Comparison(after.name, role, _figures(before, before.sliced), _figures(after, after.sliced), masks)


def _what(side: Side, config: QualityConfig, parts: bool) -> Measured:
    """By vectors, and by both where that is what readers of the side get."""
    modes: tuple[Mode, ...] = ("dense", "hybrid") if side.subject.role.hybrid else ("dense",)
    return Measured(modes, parts=parts, confidence=config.confidence)


def _figures(found: SetResult, mode: str) -> Any:
    return found.modes[mode].figures


def _mean(found: SetResult, mode: str) -> float:
    return round(found.modes[mode].metrics["ndcg@10"], 6)


def _by_vectors(before: SetResult, after: SetResult, change: Paired | None) -> dict[str, Any]:
    told: dict[str, Any] = {"champion": _mean(before, "dense"), "challenger": _mean(after, "dense")}
    if change is None:
        return told
    return told | {"gain": round(change.difference, 6), "interval": [round(change.low, 6), round(change.high, 6)]}
