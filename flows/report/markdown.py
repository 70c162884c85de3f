"""The Markdown reports of the dashboard: a run in short, a retraining, an evaluation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flows.report.charts import Bar, bar_chart, curve_chart, interval_chart, night_chart
from flows.report.draw import image
from flows.report.facts import Drifted, Facts, Named
from flows.report.page import NIGHTS, OUTCOMES
from flows.report.verdict import verdict
from flows.report.words import amount, duration, figure, moment, say, size
from storage.counts import plural

__all__ = ["times", "write_drift", "write_learning", "write_plan", "write_quality", "write_report"]

NAMED = 3  # documents of a kind that are named
PLANNED = 20  # documents of a plan that are named
CHANGES = {"+": "added", "~": "changed", ">": "moved", "-": "deleted", "!": "refused or stale", "=": "a duplicate"}
GROUPS = 6  # rules, sources and alarms that are told
# What Markdown, or the HTML in it, would take for more than text; of an address it is enough to break the beginning.
# A backslash is what every reader of Markdown knows: the dashboard shows entities as they are written.
_MARKS = re.compile(r"[\\`*_{}\[\]()<>#+!|~&@]|:(?=//)|(?<=www)\.|^[-=]")


def write_report(report: Mapping[str, Any], facts: Facts | None = None, click: Callable[[str], str] = str) -> str:
    """The Markdown report of a run: the morning's page in short (Prefect shows neither inline SVG nor mermaid).

    Args:
        report: `run`, `release`, `outcome`, `message`, `space`, and the mappings `counts` and `seconds` (a stage each,
            and `total`); what is missing is left out.
        facts: What was gathered after it; without, the run alone is told.
        click: Turns the commands of a text, each in backticks, into what to click where it is read.

    Returns:
        Markdown. Whatever comes from documents is text in it, never markup.
    """
    seconds, whole = times(report)
    if facts is None:
        lines = [f"# {str(report.get('outcome', 'run')).capitalize().replace('-', ' ')}", ""]
        lines += [_text(click(report["message"]), 600), ""] if report.get("message") else []
    else:
        lines = [
            *_verdict(facts, click),
            *_changes(facts),
            *_refused(facts),
            *_waived(facts),
            *_sources(facts),
            *_health(facts),
        ]
    lines += ["## The run", "", *_counted(report, whole), ""]
    if seconds:
        lines += [f"![Seconds of each stage]({image(bar_chart(seconds, unit='s'))})", ""]
    return "\n".join([*lines, *([] if facts is None else _nights(facts))])


def write_plan(report: Mapping[str, Any]) -> str:
    """The Markdown report of a plan: what a refresh would do and cost, and the first documents by name.

    Args:
        report: A plan as JSON shows it.

    Returns:
        Markdown. Whatever comes from documents is text in it, never markup.
    """
    counts, documents = report["counts"], report["documents"]
    base = f"on top of release {report['release']}" if report["release"] else "the first release"
    rows = [
        ("chunks to embed", f"{counts.get('embedded', 0):,} of {counts.get('chunks', 0):,}"),
        ("tokens to embed", f"{report['tokens']:,}"),
        ("estimated time", duration(report["estimated_seconds"])),
        ("bytes to write", size(report["bytes"])),
    ]
    lines = [f"# A plan, {base}", "", _text(report["message"], 800), "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows]
    if documents:
        lines += ["", f"## {plural(len(documents), 'document')} would change", "", "| | source | document | why |"]
        lines += ["|---|---|---|---|"]
    for each in documents[:PLANNED]:
        why = ": ".join(filter(None, (each["rule"], each["reason"])))
        cells = (CHANGES.get(each["change"], each["change"]), each["source"], each["document"], why)
        lines.append(f"| {' | '.join(_text(cell, 300) for cell in cells)} |")
    if len(documents) > PLANNED:
        lines += ["", f"And {len(documents) - PLANNED:,} more, in the table beside this."]
    left = [f"{reason} {count:,}" for found in report["passed_over"].values() for reason, count in found.items()]
    lines += ["", f"Left out by the sources: {_text(', '.join(left), 300)}."] if left else []
    return "\n".join(lines) + "\n"


def write_drift(report: Mapping[str, Any]) -> str:
    """The Markdown report of what moved: alarms with what to do, figures beside their bands.

    Args:
        report: `release`, `alarms` and `figures`, as JSON shows them.

    Returns:
        Markdown.
    """
    alarms = report["alarms"]
    lines = [f"# Drift of release {report['release']}", "", *([] if alarms else ["No alarm.", ""])]
    for each in alarms:
        about = f"{each['name']} of {each['source'] or each['family']}"
        lines += [f"- **{about}**: {each['value']:.4g}, limit {each['limit']:.4g}. {each['advice'].capitalize()}."]
    lines += ["", "| family | figure | source | tonight | usual | limit | |", "|---|---|---|---|---|---|---|"]
    for each in report["figures"]:
        usual = ["", ""] if each["limit"] is None else [f"{each[name]:.4g}" for name in ("median", "limit")]
        verdict = "**alarm**" if each["alarm"] else "unusual" if each["over"] else ""
        cells = [each["family"], each["name"], each["source"] or "", f"{each['value']:.4g}", *usual, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write_learning(report: Mapping[str, Any]) -> str:
    """The Markdown report of a retraining: challengers, re-rankers, and the curves of loss and dev questions.

    Args:
        report: A retraining as JSON shows it: `training`, `challengers`, `rerankers` and `message`.

    Returns:
        Markdown.
    """
    training = report.get("training") or {}
    lines = ["# Retraining", "", _text(report.get("message", ""), 600), "", "| challenger | space | verdict | why |"]
    lines.append("|---|---|---|---|")
    for each in report.get("challengers") or []:
        why = _text("; ".join(each["reasons"]), 600)
        lines.append(f"| {_text(each['name'])} | {each['space'][:12]} | {each['verdict']} | {why} |")
    if report.get("rerankers"):
        lines += ["", "| re-ranker | verdict | gain | interval | ms a query | why |", "|---|---|---|---|---|---|"]
    for each in report.get("rerankers") or []:
        gain, interval = (f"{each['gain']:+.3f}", f"{each['low']:+.3f} to {each['high']:+.3f}")
        cells = [_text(each["kind"]), each["verdict"], *((gain, interval) if each["questions"] else ("", ""))]
        cells += [f"{each['milliseconds']:.0f}" if each["milliseconds"] else "", _text(each["reason"], 600)]
        lines.append(f"| {' | '.join(cells)} |")
    for name, title in (("losses", "loss"), ("curve", "nDCG@10 on dev questions")):
        if len(training.get(name) or []) > 1:
            lines += ["", f"![{title} by step]({image(curve_chart(training[name], title=title))})"]
    return "\n".join(lines) + "\n"


def write_quality(report: Mapping[str, Any]) -> str:
    """The Markdown report of an evaluation: for each set its modes, and a chart of modes and slices with intervals.

    Args:
        report: An evaluation as JSON shows it: `release` and `sets`.

    Returns:
        Markdown.
    """
    lines = [f"# Quality of release {report['release']}", ""]
    for each in report["sets"]:
        lines += [
            f"## {_text(each['name'])}",
            "",
            "| mode | nDCG@10 | interval | recall@10 | recall@100 | MRR@10 | MAP |",
        ]
        lines += ["|---|---|---|---|---|---|---|"]
        bars = []
        for mode, found in each["modes"].items():
            low, high = found["interval"]
            shown = [found[name] for name in ("recall@10", "recall@100", "mrr@10", "map")]
            cells = [mode, f"{found['ndcg@10']:.3f}", f"{low:.3f} to {high:.3f}", *(f"{value:.3f}" for value in shown)]
            lines += [f"| {' | '.join(cells)} |"]
            bars.append(Bar(mode, found["ndcg@10"], low, high))
        bars += [Bar(f"{part['by']}: {part['value']}", part["ndcg@10"], *part["interval"]) for part in each["slices"]]
        chart = interval_chart(bars, title=f"nDCG@10 of {say(each['name'], 30)}")
        told = f"{each['questions']:,} questions show a difference of {each['detectable']:.3f} in four of five cases."
        lines += ["", f"![nDCG@10 by mode and slice]({image(chart)})", "", told, ""]
    return "\n".join(lines)


def times(report: Mapping[str, Any]) -> tuple[dict[str, float], float]:
    """Seconds a stage, and of the whole run, which the report may hold under `total`."""
    seconds = dict(report.get("seconds") or {})
    whole = seconds.pop("total", None)
    return seconds, sum(seconds.values()) if whole is None else whole


def _verdict(facts: Facts, click: Callable[[str], str]) -> Iterator[str]:
    found = verdict(facts)
    yield from [f"# {found.headline}", ""]
    for note in found.notes:
        yield from [_text(click(note), 800), ""]
    if facts.upcoming is not None:
        yield from [f"The next run is due {moment(facts.upcoming)}.", ""]
    for step in found.steps:
        command = f"`{step.command}`"
        told = click(command)
        yield f"- {command if told == command else f'**{_text(told, 300)}**'} {_text(step.why)}"
    yield ""


def _changes(facts: Facts) -> Iterator[str]:
    if facts.changes is None:
        return
    yield from [f"## What changed since release {facts.previous}", ""]
    for each in facts.changes:
        yield f"- {plural(each.count, 'document')} {each.kind}: {_names(each.first, each.count)}"
    yield from ["" if facts.changes else "No document differs.", ""]


def _refused(facts: Facts) -> Iterator[str]:
    if not facts.refused:
        return
    yield from [f"## Refused: {plural(facts.refusals, 'document')}, {facts.fresh:,} of them new", ""]
    for each in facts.refused[:GROUPS]:
        reason = f" ({_text(each.first[0].note)})" if each.first and each.first[0].note else ""
        yield f"- {_text(each.rule)}: {_names(each.first, each.count)}{reason}"
    yield ""


def _waived(facts: Facts) -> Iterator[str]:
    if not facts.waived:
        return
    yield from [f"## Let in by hand: {plural(len(facts.waived), 'document')}", ""]
    yield from (f"- {_text(each.document)}: {_text(each.note, 300)}" for each in facts.waived[:GROUPS])
    rest = len(facts.waived) - GROUPS
    yield from [f"- and {rest:,} more", ""] if rest > 0 else [""]


def _sources(facts: Facts) -> Iterator[str]:
    if not facts.sources:
        return
    yield from ["| source | documents | change | chunks | refused |", "|---|---|---|---|---|"]
    for each in facts.sources[:20]:
        change = "" if each.before is None else f"{each.documents - each.before:+,}"
        counts = (amount(each.documents), change, amount(each.chunks), amount(each.refused))
        yield f"| {' | '.join((_text(each.name), *counts))} |"
    yield ""


def _health(facts: Facts) -> Iterator[str]:
    """Checks, recall and drift, in a line each."""
    failed = [check for check in facts.checks if not check["ok"]]
    if facts.checks:
        whole = (
            f"{len(failed)} of {len(facts.checks)} checks failed" if failed else f"All {len(facts.checks)} checks hold"
        )
        recall = ""
        if facts.recall is not None and facts.release is not None:
            when = facts.release.text.index.measured
            recall = f"; the index finds {facts.recall:.1%} of what exact search finds, {when}"
        yield from [f"{whole}{recall}.", ""]
    yield from (f"- {_text(check['name'])}: {_text(check['detail'], 300)}" for check in failed)
    if facts.drift:
        out = f"{sum(each.over for each in facts.drift)} of {plural(len(facts.drift), 'figure')}"
        yield f"Drift: {plural(len(facts.alarms), 'alarm')}; {out} out of the band."
        yield from ["", *(f"- {_alarm(each)}" for each in facts.alarms[:GROUPS]), ""]


def _alarm(each: Drifted) -> str:
    of = f"{each.family}, {each.source}" if each.source else each.family
    return (
        f"{_text(each.name)} ({_text(of)}): {figure(each.value)}, limit {figure(each.limit)}; {_text(each.advice, 400)}"
    )


def _counted(report: Mapping[str, Any], whole: float) -> Iterator[str]:
    """The facts of the run: documents and chunks on a line each, since they are of different sizes."""
    counts = report.get("counts") or {}
    yield from ["| | |", "|---|---|"]
    for name in ("run", "release", "outcome", "space"):
        if report.get(name) is not None:
            yield f"| {name} | `{report[name]}` |"
    yield f"| took | {duration(whole)} |"
    told = {name: count for name, count in counts.items() if count}
    for name, count in told.items():
        yield f"| {_text(name)} | {count:,} |"


def _nights(facts: Facts) -> Iterator[str]:
    if len(facts.nights) < 2:
        return
    yield from ["", f"## The last {len(facts.nights)} refreshes", ""]
    for title, value in NIGHTS:
        rows = [(night.started, value(night), night.outcome) for night in facts.nights]
        yield from [f"![{title}]({image(night_chart(rows, title=title, inks=OUTCOMES))})", ""]


def _names(first: Sequence[Named], count: int) -> str:
    shown = ", ".join(_text(each.document) for each in first[:NAMED])
    more = count - min(len(first), NAMED)
    return shown + (f" and {more:,} more" if more else "")


def _text(text: object, most: int = 120) -> str:
    """What somebody else wrote, as text that Markdown leaves as it is."""
    return _MARKS.sub(r"\\\g<0>", say(text, most))
