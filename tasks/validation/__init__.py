"""The stage that refuses bad documents: features, rules, Great Expectations, and the reasons in words."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from tasks.validation.docs import write_docs
from tasks.validation.judge import REFUSALS, Judge, Judgement, Verdict
from tasks.validation.rules import Rule, Suite, ValidationConfig, fingerprint
from tasks.validation.suite import load_suite

__all__ = [
    "REFUSALS",
    "Judge",
    "Judgement",
    "Rule",
    "Suite",
    "ValidationConfig",
    "Verdict",
    "fingerprint",
    "judge",
    "load_suite",
    "write_docs",
]


def judge(frame: pl.DataFrame, suite: Suite, now: datetime) -> tuple[Judgement, Verdict]:
    """Judge documents that fit in memory; use `Judge` for a stream of slices.

    Args:
        frame: DOCUMENTS columns with `source`, `key` and `occurrence`; the text is normalised.
        suite: Rules in force, of `load_suite`.
        now: Time of the run, with its time zone.

    Returns:
        The verdict on each row, and the verdict on the whole batch.
    """
    court = Judge(suite, now)
    judgement = court.rows(frame)
    return judgement, court.verdict()
