"""How each figure is judged: on which side, on which scale, what change is too small to matter, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.probe import TOLERANCE
from tasks.watch.figures import Family, Figure

__all__ = ["RULES", "Rule", "rule_of"]

Sides = Literal["above", "below", "both"]


@dataclass(frozen=True)
class Rule:
    """How one figure is judged.

    Attributes:
        advice: What to do when it is unusual, one sentence.
        sides: Where it may be unusual.
        offset: For counts, which are judged by ratio: added to them before the logarithm, so that a handful is no
            ratio. None for a figure that is judged as it is.
        least: The least change that matters, on the scale that it is judged on: nothing nearer to the median is
            unusual.
        fixed: A limit that holds whatever the history says; with it no history is needed.
        at_once: In the place of `drift.at_once`, for the figure of all sources together.
    """

    advice: str
    sides: Sides = "above"
    offset: float | None = None
    least: float = 0.0
    fixed: float | None = None
    at_once: float | None = None

    def scaled(self, value: float) -> float:
        """A figure on the scale that it is judged on."""
        return value if self.offset is None else math.log(max(value, 0.0) + self.offset)

    def unscaled(self, value: float) -> float:
        """Back from the scale."""
        return value if self.offset is None else max(math.exp(value) - self.offset, 0.0)


_LOOK = "look at what arrived with `tidemark diff`"
_ASK = "ask whoever fills the source"

# By family and name.
RULES: Mapping[tuple[str, str], Rule] = {
    (Family.DATA, "documents"): Rule(
        f"far more or fewer documents arrived than usual: {_ASK} whether a feed stopped or was loaded twice",
        "both",
        offset=5,
        least=math.log(3),
    ),
    (Family.DATA, "chunks"): Rule(
        f"far more or fewer chunks arrived than usual: {_LOOK}, for whole dumps or empty pages",
        "both",
        offset=10,
        least=math.log(4),
    ),
    (Family.DATA, "deleted"): Rule(
        "far more documents left than usual: see `tidemark diff`, and `tidemark rollback` if that was no intention",
        offset=10,
        least=math.log(4),
    ),
    (Family.DATA, "length"): Rule(
        f"documents are much longer or shorter than usual: {_LOOK}, for cut-off or concatenated texts",
        "both",
        offset=0,
        least=math.log(2),
    ),
    (Family.DATA, "languages"): Rule(
        f"documents are in other languages than usual: {_LOOK}, and whether the encoder knows those languages",
        least=0.15,
    ),
    (Family.DATA, "licences"): Rule(
        f"documents have other licences than usual: {_LOOK}, and whether they may be indexed", least=0.2
    ),
    (Family.DATA, "age"): Rule(
        f"documents are much older or newer than usual: {_ASK} whether an archive was loaded, or time stamps are wrong",
        "both",
        offset=1,
        least=math.log(8),
    ),
    (Family.DATA, "duplicates"): Rule(
        f"more documents than usual repeat others word for word: {_ASK} whether something is exported twice", least=0.15
    ),
    (Family.DATA, "alike"): Rule(
        f"more documents than usual say nearly the same: {_LOOK}, for templates, tests or a flood", least=0.2
    ),
    (Family.DATA, "refused"): Rule(
        "more documents than usual were refused: see `tidemark quarantine list`, and mend the source or the rule",
        least=0.1,
    ),
    (Family.DATA, "refusals"): Rule(
        "documents were refused by other rules than usual: see `tidemark quarantine list`, and what the source did",
        least=0.3,
    ),
    (Family.DATA, "new_words"): Rule(
        f"more words than usual were never seen before: {_LOOK}, for another language, another field or broken text",
        least=0.05,
    ),
    (Family.EMBEDDINGS, "mean_difference"): Rule(
        "what arrives is about other things than before: look at the cells that grew and at their documents; if it is "
        "to stay, `tidemark retrain`",
        least=0.0004,
        # Of the whole, where the luck of single sources evens out, none of 180 simulated quiet nights went beyond .94
        # of its limit, while one source alone went to 1.7 (`tests/benchmarks/bench_drift.py`).
        at_once=1.0,
    ),
    (Family.QUERIES, "mean_difference"): Rule(
        "people ask about other things than before: compare with the content gap of low_scores, add documents about "
        "what they ask, and if it is to stay `tidemark retrain`",
        least=0.002,
    ),
    (Family.QUERIES, "low_scores"): Rule(
        "more questions than usual find nothing near: the groups of the content gap say what documents are missing",
        least=0.05,
    ),
    (Family.ENCODER, "canary"): Rule(
        "the same files give other vectors: bring library, driver or settings back, or `tidemark refresh --rebuild`",
        fixed=TOLERANCE,
    ),
    (Family.QUALITY, "ndcg@10"): Rule(
        "the golden questions are answered worse than in the nights before: `tidemark evaluate` shows where, "
        "`tidemark diff` what changed",
        "below",
        least=0.03,
    ),
    # They move with nDCG, which alarms: these are there to be looked at.
    (Family.QUALITY, "recall@10"): Rule("see ndcg@10", "below", least=math.inf),
    (Family.QUALITY, "mrr@10"): Rule("see ndcg@10", "below", least=math.inf),
    (Family.QUALITY, "decay"): Rule(
        "nights together lost more than quality.max_drop since the encoder was promoted: `tidemark evaluate` shows "
        "where, `tidemark retrain` may win it back",
        fixed=0.0,
    ),
    (Family.QUALITY, "index_recall"): Rule(
        "the index finds fewer of the nearest chunks than it did: raise index.nprobes or index.refine_factor",
        "below",
        least=0.02,
    ),
}
_OTHER = Rule("it is out of what is usual: look at it with `tidemark drift`")


def rule_of(figure: Figure) -> Rule:
    """How a figure is judged: by its row, else one-sided against its history alone."""
    return RULES.get((figure.family, figure.name), _OTHER)
