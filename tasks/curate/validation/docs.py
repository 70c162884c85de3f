"""Data docs: the page of Great Expectations on a run's validation, readable offline."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from storage.hashing import fingerprint
from tasks.curate.validation.expectations import import_gx, quiet
from tasks.curate.validation.rules import Rule, shorten
from tasks.curate.validation.validator import BatchVerdict, Outcome

__all__ = ["write_docs"]

# the page as rendered fetches seventeen style sheets and scripts from five networks, and a logo that reports the visit
FETCHED: Final = re.compile(
    r"<(?:link|img)\b(?=[^<>]*https?://)[^<>]*>"
    r"|<script\b(?=[^<>]*\bsrc=)[^<>]*>\s*</script>",
    re.DOTALL,
)
SCRIPTS: Final = re.compile(r"<script\b.*?</script>", re.DOTALL)
FOOTER: Final = re.compile(r"<footer\b.*?</footer>", re.DOTALL)
URL: Final = re.compile(r"url\(['\"]?https?://[^)]*\)")
SHOWN: Final = "<!-- shows {} -->\n"
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; margin: 0 auto; max-width: 1300px; padding: 1rem 2rem; }
table { border-collapse: collapse; width: 100%; margin: .3rem 0 1rem; }
th, td { border: 1px solid #d5dbe3; padding: .3rem .6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
th { background: #f1f4f8; white-space: nowrap; }
a { color: #1f5fa8; text-decoration: none; }
ul { list-style: none; padding-left: 0; }
body > .container-fluid > .row { display: flex; gap: 2rem; }
.col-lg-2 { flex: 0 0 15rem; }
.col-lg-10 { flex: 1; min-width: 0; }
.alert { border-bottom: 2px solid #d5dbe3; margin-top: 1rem; }
.alert h5 { font-size: 1.05rem; margin: 0; }
.badge { background: #e6ebf2; border-radius: 4px; padding: 0 .35rem; font-family: ui-monospace, monospace; }
.text-danger { color: #b3261e; }
.fa-check-circle::before { content: "passed"; color: #17803d; font-weight: 600; font-style: normal; }
.fa-times::before { content: "failed"; color: #b3261e; font-weight: 600; font-style: normal; }
.fa-exclamation-triangle::before { content: "error"; color: #b3261e; font-weight: 600; font-style: normal; }
.ge-section a { color: inherit; pointer-events: none; }
.navbar-expand-md, a[data-toggle], .sticky > .card:first-child { display: none; }
"""


def write_docs(folder: Path, verdict: BatchVerdict, run: str, now: datetime) -> Path:
    """Write what Great Expectations found in a run as one page that fetches nothing.

    A page that shows the same already stays as it is, with the run that was the first to find it: to draw one needs
    Great Expectations, which a refresh that takes a plan over has no other use for.

    Args:
        folder: Where to write; made if it does not exist. Best one a run.
        verdict: Of `tasks.curate.validation.validator.Validator.verdict`.
        run: Name of the run.
        now: Time of the run, with its time zone.

    Returns:
        Path of the page.
    """
    page, mark = folder / "index.html", SHOWN.format(fingerprint(shown(verdict)))
    # The last bytes: a page that was torn has none.
    if page.is_file() and page.read_bytes().endswith(mark.encode()):
        return page
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it quotes what was refused, which is for nobody else
    page.write_text(f"{offline(render(verdict, run, now))}\n{mark}", encoding="utf-8")
    return page


def shown(verdict: BatchVerdict) -> list[Any]:
    """Everything that a page shows but for the name and the time of its run."""
    told = [
        [heading(outcome), outcome.success, outcome.unexpected, summary(outcome) if changes(outcome) else None]
        for outcome in verdict.outcomes
    ]
    return [version("great-expectations"), STYLE, told]


def changes(outcome: Outcome) -> bool:
    """Whether the number of rows that were judged makes a difference to what is shown: not where none failed."""
    return not outcome.per_row or bool(outcome.unexpected) or 0 < outcome.missing < outcome.rows


def render(verdict: BatchVerdict, run: str, now: datetime) -> str:
    """Have Great Expectations draw its validation page."""
    gx = import_gx()
    with quiet():
        from great_expectations.core.expectation_validation_result import (
            ExpectationSuiteValidationResult,
            ExpectationValidationResult,
        )
        from great_expectations.expectations.expectation_configuration import (
            ExpectationConfiguration,
        )
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

        results = [
            ExpectationValidationResult(
                success=outcome.success,
                expectation_config=ExpectationConfiguration(
                    outcome.rule.expectation,
                    escaped(dict(outcome.rule.kwargs)),
                    description=escaped(heading(outcome)),
                ),
                result=summary(outcome),
            )
            for outcome in verdict.outcomes
        ]
        passed = sum(outcome.success for outcome in verdict.outcomes)
        whole = ExpectationSuiteValidationResult(
            success=passed == len(results),
            results=results,
            suite_name="tidemark",
            statistics={
                "evaluated_expectations": len(results),
                "successful_expectations": passed,
                "unsuccessful_expectations": len(results) - passed,
                "success_percent": 100 * passed / len(results) if results else 100.0,
            },
            meta={
                # a bare id that ends in digits is taken for a time with a zone, which may be an impossible one
                "run_id": {"run_name": f"run {run}", "run_time": now.isoformat()},
                "great_expectations_version": gx.__version__,
            },
        )
        content = ValidationResultsPageRenderer().render(whole)
        return str(_view().render(content))


@cache
def _view() -> Any:
    """Great Expectations' page, once a process: each one compiles its templates anew."""
    from great_expectations.render.view.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


def summary(outcome: Outcome) -> dict[str, Any]:
    """Spell an outcome as a result of Great Expectations."""
    if not outcome.per_row:
        return {"observed_value": escaped(outcome.observed)}
    judged = outcome.rows - outcome.missing
    return {
        "element_count": outcome.rows,
        "missing_count": outcome.missing,
        "missing_percent": 100 * outcome.missing / outcome.rows if outcome.rows else 0.0,
        "unexpected_count": outcome.unexpected,
        "unexpected_percent": 100 * outcome.unexpected / judged if judged else 0.0,
        "partial_unexpected_list": escaped(outcome.samples),
    }


def heading(outcome: Outcome) -> str:
    """The line above what a rule found."""
    return f"{outcome.rule.name}: {spelled(outcome)}{role(outcome.rule)}{named(outcome)}"


def spelled(outcome: Outcome) -> str:
    """Spell the expectation and its arguments in a line."""
    arguments = ", ".join(f"{name} {shorten(value)}" for name, value in outcome.rule.kwargs.items())
    return f"{outcome.rule.expectation}({arguments})"


def role(rule: Rule) -> str:
    """Say what the rule does with what fails it, where that is not to let the document go."""
    if rule.action == "flag":
        return " (flags only)"
    return " (a defect: the last version stays)" if rule.defect else ""


def named(outcome: Outcome) -> str:
    """Name the documents that failed, the first of them: a page of values alone leads nobody to a file."""
    if not outcome.documents:
        return ""
    more = outcome.unexpected - len(outcome.documents)
    rest = f" and {more:,} more" if more else ""
    return f"; found in {', '.join(outcome.documents)}{rest}: `tidemark quarantine show` tells more of each refused one"


def escaped(value: Any) -> Any:
    """Escape text for HTML: Great Expectations puts what documents hold into its page as it is."""
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, Mapping):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, list | tuple) else value


def offline(page: str) -> str:
    """Take out what the page would fetch, and style it with what it carries."""
    page = FETCHED.sub("", page)
    for pattern, end, instead in ((SCRIPTS, "</script>", ""), (FOOTER, "</footer>", ""), (URL, ")", "none")):
        # Behind the last end each start would look for one in vain, to the end of the page.
        closed = page.rfind(end) + len(end) if end in page else 0
        page = pattern.sub(instead, page[:closed]) + page[closed:]
    return page.replace("</head>", f"<style>{STYLE}</style></head>", 1)
