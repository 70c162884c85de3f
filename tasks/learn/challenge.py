"""Measure champion and challenger beside each other: same questions, same documents, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from models.encoder import Encoder, EncoderFolder
from tasks.learn.config import QualityConfig
from tasks.learn.cost import costs
from tasks.learn.evaluate import Measured, measure
from tasks.learn.pool import Pool, pool_scores
from tasks.learn.promote import Comparison, Promotion, judge
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
    """

    promotion: Promotion
    champion: Evaluation
    challenger: Evaluation

    @property
    def counts(self) -> dict[str, int]:
        """Questions, and bars that were missed."""
        return {**self.challenger.counts, "refused": len(self.promotion.reasons)}

    @property
    def metrics(self) -> dict[str, Any]:
        """Set to nDCG@10 before and after."""
        pairs = zip(self.champion.sets, self.challenger.sets, strict=True)
        return {after.name: {"champion": _mean(before), "challenger": _mean(after)} for before, after in pairs}


@stage
def trial(
    champion: Side,
    challenger: Side,
    sets: Sequence[QuestionSet],
    pools: Mapping[str, Pool],
    config: QualityConfig,
    progress: Progress,
) -> Trial:
    """Measure both through their own index, as readers would search, and hold one against the other.

    Args:
        champion: The published one.
        challenger: The other, over the same documents.
        sets: Judged test questions.
        pools: Held-back pairs by name; those named PAIRS are a target, the others only bound forgetting.
        config: The bars.
        progress: Where it says how far it is.
    """
    what = Measured(("dense",), confidence=config.confidence)
    first, second = (
        measure(side.subject, side.encoder, sets, what=what, progress=progress) for side in (champion, challenger)
    )
    compared = [_comparison(before, after) for before, after in zip(first.sets, second.sets, strict=True)]
    for name, pool in pools.items():
        before, after = (pool_scores(pool, side.encoder, progress) for side in (champion, challenger))
        compared.append(Comparison(name, "target" if name == PAIRS else "general", before, after))
    asked = [text for each in sets for text in each.questions["text"]] + [
        q for p in pools.values() for q in p.questions
    ]
    old, new = costs((champion.folder, champion.encoder), (challenger.folder, challenger.encoder), asked)
    return Trial(judge(compared, old, new, config), first, second)


def held_back(pairs: pl.DataFrame, sets: Sequence[QuestionSet]) -> dict[str, Pool]:
    """Pools of the pairs that were kept from training.

    Where judged questions are the target, pairs of other sources only bound forgetting; without judged questions all
    pairs together are the target.

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
    return Comparison(after.name, role, _figures(before), _figures(after), masks)


def _figures(found: SetResult) -> Any:
    return found.modes["dense"].figures


def _mean(found: SetResult) -> float:
    return round(found.modes["dense"].metrics["ndcg@10"], 6)
