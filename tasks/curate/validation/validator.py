"""Great Expectations at work: which rows are refused, which batch fails, and why."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from tasks.curate.validation.expectations import ExpectationRunner, Finding
from tasks.curate.validation.features import DOCUMENTS, SHOWN_WITH, features, metadata_values
from tasks.curate.validation.rules import METADATA, Rule, Suite, shorten

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REFUSALS", "SLICE", "WAIVED", "BatchVerdict", "Outcome", "RowVerdicts", "Validator"]

# rows judged at once: more cost memory, fewer cost calls (some 80 ms each, whatever the number of rows)
SLICE: Final = 10_000
SAMPLES: Final = 20
ROW: Final = "row"
REFUSALS: Final = pl.Schema(
    {
        "key": pl.String,
        "source": pl.String,
        "id": pl.String,
        "rule": pl.String,
        "rule_version": pl.String,
        "reason": pl.String,
        "defect": pl.Boolean,
    }
)

WAIVED: Final = pl.Schema({"key": pl.String, "rule": pl.String, "reason": pl.String})


@dataclass(frozen=True)
class RowVerdicts:
    """The verdict on each row of one frame.

    Args:
        accepted: Boolean, one a row, in the order of the frame.
        refusals: `REFUSALS` columns, one row a refused document: `rule` is the first that failed in the order of
            the suite, `reason` tells all of them. `defect` says whether any of them found the row broken: nothing else
            that is said of a torn row, its licence or its language, can be relied on.
        waived: `WAIVED` columns, one row a rule that would have refused a document, and that somebody waived for it.
    """

    accepted: pl.Series
    refusals: pl.DataFrame
    waived: pl.DataFrame


@dataclass(frozen=True)
class Outcome:
    """What one rule found in all slices of a run."""

    rule: Rule
    per_row: bool
    rows: int = 0
    missing: int = 0
    unexpected: int = 0
    samples: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()  # `source/id` of those that failed, the first
    observed: Any = None
    success: bool = True

    @property
    def failures(self) -> int:
        """Rows that failed; 1 for an expectation about the whole batch that failed."""
        return self.unexpected if self.per_row else int(not self.success)

    def adding(self, finding: Finding, documents: Iterable[str] = ()) -> Outcome:
        """The outcome with the finding on one more slice taken in, and the documents that it names."""
        shown = (shorten(value) for value in finding.samples[: SAMPLES - len(self.samples)])
        return replace(
            self,
            rows=self.rows + finding.rows,
            missing=self.missing + finding.missing,
            unexpected=self.unexpected + len(finding.unexpected),
            samples=(*self.samples, *shown),
            documents=(*self.documents, *documents)[:SAMPLES],
            success=self.success and finding.success,
            observed=finding.observed if finding.error is None else f"nothing: {finding.error}",
        )


@dataclass(frozen=True)
class BatchVerdict:
    """The verdict on everything that a run has judged.

    Args:
        rows: Rows judged.
        refused: Rows refused.
        failures: One line for each expectation about the whole batch that failed; any of them condemns the run.
        outcomes: One a rule, in the order of the suite.
    """

    rows: int
    refused: int
    failures: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def accepted(self) -> int:
        """Rows accepted."""
        return self.rows - self.refused

    @property
    def ok(self) -> bool:
        """Whether the batch as a whole may pass."""
        return not self.failures

    @property
    def counts(self) -> dict[str, int]:
        """Rows that each rule refused; a row that fails several counts for each."""
        refusing = [one for one in self.outcomes if one.per_row and one.rule.action == "refuse"]
        return {outcome.rule.name: outcome.unexpected for outcome in refusing}

    @property
    def flagged(self) -> dict[str, int]:
        """Rows that each flagging rule found, where it found any; they are let in unless another rule refuses them."""
        flagging = [one for one in self.outcomes if one.rule.action == "flag" and one.failures]
        return {outcome.rule.name: outcome.failures for outcome in flagging}


class Validator:
    """Judges a stream of slices; memory is bound by one slice and the columns that batch expectations read.

    Args:
        suite: Rules in force, of `tasks.curate.validation.suite.load_suite`.
        now: Time of the run, with its time zone.

    Raises:
        InputError: An expectation of the user's file has an unknown type or wrong arguments.
    """

    def __init__(self, suite: Suite, now: datetime) -> None:
        suite = suite.judging
        self.suite = suite
        self.now = now
        self.runner = ExpectationRunner(suite.rules)
        self.shown = {name for column in suite.columns for name in SHOWN_WITH.get(column, ())}
        self.outcomes = {rule.name: Outcome(rule, self.runner.per_row(rule)) for rule in suite.rules}
        self.total = 0
        self.refused = 0
        self.held: list[pd.DataFrame] = []
        own = [rule for rule in suite.rules if rule.origin is not None]
        if own:
            self.runner.try_out([self.specimen(value) for value in (7, "seven")], own)

    def rows(self, frame: pl.DataFrame, waived: Collection[tuple[str, str]] = ()) -> RowVerdicts:
        """Judge each row of a frame.

        Args:
            frame: DOCUMENTS columns with `source`, `key` and `occurrence`; the text is normalised.
            waived: (key, rule) of rules that somebody waived for a document; what they find, they let in.

        Returns:
            As many accepted and refused rows as the frame has.
        """
        parts = [self.judge_slice(part, waived) for part in frame.iter_slices(SLICE)] if frame.height else []
        accepted = pl.concat([part.accepted for part in parts]) if parts else pl.Series("accepted", [], pl.Boolean)
        refusals = pl.concat([part.refusals for part in parts]) if parts else REFUSALS.to_frame()
        passed = pl.concat([part.waived for part in parts]) if parts else WAIVED.to_frame()
        self.total += frame.height
        self.refused += refusals.height
        return RowVerdicts(accepted, refusals, passed)

    def verdict(self) -> BatchVerdict:
        """Judge the batch: call it once, after the last slice."""
        import pandas as pd

        rules = [outcome.rule for outcome in self.outcomes.values() if not outcome.per_row]
        if rules and self.total:
            batch = pd.concat(self.held, ignore_index=True)
            for name, finding in self.runner.judge(batch, rules).items():
                self.add(name, finding)
        batch_wide = [outcome for outcome in self.outcomes.values() if not outcome.per_row]
        failed = [outcome for outcome in batch_wide if not outcome.success and outcome.rule.action == "refuse"]
        lines = tuple(f"{one.rule.name}: {one.rule.reason}, observed {shorten(one.observed)}" for one in failed)
        return BatchVerdict(self.total, self.refused, lines, tuple(self.outcomes.values()))

    def add(self, name: str, finding: Finding, documents: Iterable[str] = ()) -> None:
        """Take a finding of one rule in."""
        self.outcomes[name] = self.outcomes[name].adding(finding, documents)

    def specimen(self, value: object) -> pd.DataFrame:
        """Make plausible documents, with one value under each key of their metadata that a rule reads."""
        keys = [name.removeprefix(METADATA) for name in self.suite.columns if name.startswith(METADATA)]
        row = {
            "id": "a.md",
            "source": "notes",
            "key": "notes/a.md",
            "occurrence": 1,
            "text": "One sentence, then another one; both are long enough for a language.",
            "title": "A note",
            "metadata": json.dumps(dict.fromkeys(keys, value)),
            "licence": "MIT",
            "timestamp": self.now,
            "queries": ["What is it?"],
            "revision": "1",
            "problem": None,
        }
        frame = pl.DataFrame([row] * SAMPLES, schema=DOCUMENTS)
        return to_pandas(features(frame, self.suite.config, self.now, self.suite.columns), self.suite.columns)

    def judge_slice(self, frame: pl.DataFrame, waived: Collection[tuple[str, str]] = ()) -> RowVerdicts:
        """Judge as many rows as Great Expectations takes at once."""
        computed = features(frame, self.suite.config, self.now, self.suite.columns)
        table = to_pandas(computed, self.suite.columns)
        rules = [rule for rule in self.suite.rules if self.outcomes[rule.name].per_row]
        reasons: dict[int, list[tuple[Rule, str]]] = defaultdict(list)
        passed: list[tuple[str, str, str]] = []
        keys = frame["key"]
        findings = self.runner.judge(table, rules)
        # results come in another order than the suite's, which is the order of reporting
        for rule in rules:
            finding = findings[rule.name]
            self.add(rule.name, finding, named(frame, finding) if finding.unexpected else ())
            if rule.action == "refuse" and finding.unexpected:
                for row, reason in self.explain(rule, finding, computed):
                    if waived and (keys[row], rule.name) in waived:
                        passed.append((keys[row], rule.name, reason))
                    else:
                        reasons[row].append((rule, reason))
        batch_columns = {name for rule in self.suite.rules if rule not in rules for name in rule.columns}
        if len(rules) < len(self.suite.rules):
            self.held.append(table[[ROW, *(name for name in table.columns if name in batch_columns)]])
        return to_verdicts(frame, reasons, pl.DataFrame(passed, schema=WAIVED, orient="row"))

    def explain(self, rule: Rule, finding: Finding, computed: pl.DataFrame) -> Iterable[tuple[int, str]]:
        """Give each refused row its reason."""
        # What a reason shows beside the judged column is looked for in the few rows that are refused.
        refused = sorted(finding.unexpected)
        rows = features(computed[refused], self.suite.config, self.now, self.shown)
        for row, values in zip(refused, rows.iter_rows(named=True), strict=True):
            keys = [name for name in rule.columns if name.startswith(METADATA)]
            taken = {name: metadata_values([values["metadata"]], name.removeprefix(METADATA))[0] for name in keys}
            error = finding.unexpected[row]
            yield row, rule.explain({**values, **taken}) + (f": cannot be judged, {error}" if error else "")


def named(frame: pl.DataFrame, finding: Finding) -> list[str]:
    """`source/id` of the first documents that a rule found."""
    rows = frame[sorted(finding.unexpected)[:SAMPLES]].select("source", "id").iter_rows()
    return [f"{source}/{shorten(str(document))[1:-1]}" for source, document in rows]


def to_verdicts(
    frame: pl.DataFrame, reasons: Mapping[int, list[tuple[Rule, str]]], waived: pl.DataFrame
) -> RowVerdicts:
    """Name the first failing rule of each refused row, and tell all of them."""
    refused = sorted(reasons)
    accepted = pl.Series("accepted", [True], pl.Boolean).new_from_index(0, frame.height)
    accepted = accepted.scatter(refused, False) if refused else accepted
    refusals = (
        frame[refused]
        .select("key", "source", "id")
        .with_columns(
            rule=pl.Series([reasons[row][0][0].name for row in refused], dtype=pl.String),
            rule_version=pl.Series([reasons[row][0][0].identity for row in refused], dtype=pl.String),
            reason=pl.Series(["; ".join(text for _, text in reasons[row]) for row in refused], dtype=pl.String),
            defect=pl.Series([any(rule.defect for rule, _ in reasons[row]) for row in refused], dtype=pl.Boolean),
        )
    )
    return RowVerdicts(accepted, refusals.match_to_schema(REFUSALS), waived)


def to_pandas(computed: pl.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Hand over what the rules read, with the row's number to name it by."""
    import pandas as pd

    plain = [name for name in columns if not name.startswith(METADATA)]
    table = computed.select(plain).with_row_index(ROW).to_pandas()
    for name in columns:
        if name.startswith(METADATA):
            values = metadata_values(computed["metadata"], name.removeprefix(METADATA))
            # one document's number may be another's text: no common type is forced on them
            table[name] = pd.Series(values, dtype=object)
    return table
