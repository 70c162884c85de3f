"""The stage that refuses bad documents: features, rules, Great Expectations, and the reasons in words."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from tasks.curate.config import ValidationConfig
from tasks.curate.validation.docs import write_docs
from tasks.curate.validation.rules import Rule, Suite, fingerprint
from tasks.curate.validation.suite import load_suite
from tasks.curate.validation.validator import REFUSALS, BatchVerdict, RowVerdicts, Validator

__all__ = [
    "REFUSALS",
    "BatchVerdict",
    "RowVerdicts",
    "Rule",
    "Suite",
    "ValidationConfig",
    "Validator",
    "fingerprint",
    "judge",
    "load_suite",
    "write_docs",
]


def judge(frame: pl.DataFrame, suite: Suite, now: datetime) -> tuple[RowVerdicts, BatchVerdict]:
    """Validator documents that fit in memory; use `Validator` for a stream of slices.

    Args:
        frame: DOCUMENTS columns with `source`, `key` and `occurrence`; the text is normalised.
        suite: Rules in force, of `load_suite`.
        now: Time of the run, with its time zone.

    Returns:
        The verdict on each row, and the verdict on the whole batch.
    """
    validator = Validator(suite, now)
    verdicts = validator.rows(frame)
    return verdicts, validator.verdict()
