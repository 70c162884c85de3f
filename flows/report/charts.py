"""Charts of a report: horizontal bars as SVG, with intervals where there are some."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["BLUE", "GREEN", "Bar", "curve_chart", "interval_chart", "stage_chart"]

BLUE, GREEN = "#2f6fed", "#1d9a6c"
_INK, _QUIET, _GRID = "#1b2430", "#5b6675", "#dfe4ea"


@dataclass(frozen=True)
class Bar:
    """A share with its interval.

    Attributes:
        name: What it is of.
        value: From 0 to 1.
        low: Lower end of its interval.
        high: Its upper end.
    """

    name: str
    value: float
    low: float
    high: float


def stage_chart(title: str, values: Mapping[str, float], *, colour: str = BLUE) -> str:
    """Horizontal bars, one a name, drawn by hand so that the dashboard needs no plotting package.

    Args:
        title: Above the bars.
        values: What each bar shows, none negative.
        colour: Of the bars.

    Returns:
        An SVG document.
    """
    width, left, right, row, top = 720, 150, 96, 26, 44
    longest = max(values.values(), default=0) or 1
    parts = _framed(title, width, top + row * len(values) + 14)
    for at, (name, value) in enumerate(values.items()):
        y = top + at * row
        length = (width - left - right) * value / longest
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f} s"
        parts += [
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end" fill="{_QUIET}">{html.escape(name)}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{max(length, 1):.1f}" height="16" rx="2" fill="{colour}"/>',
            f'<text x="{left + length + 8:.1f}" y="{y + 15}" fill="{_INK}">{shown}</text>',
        ]
    return "\n".join([*parts, "</svg>"])


def interval_chart(title: str, bars: Sequence[Bar], *, colour: str = BLUE) -> str:
    """Horizontal bars from 0 to 1, each with a line from end to end of its interval.

    Args:
        title: Above the bars.
        bars: What is shown, from top to bottom.
        colour: Of the bars.

    Returns:
        An SVG document.
    """
    width, left, right, row, top = 720, 210, 70, 26, 44
    span = width - left - right
    parts = _framed(title, width, top + row * len(bars) + 14)
    for at, bar in enumerate(bars):
        y = top + at * row
        low, high = left + span * bar.low, left + span * bar.high
        parts += [
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end" fill="{_QUIET}">{html.escape(bar.name)}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{max(span * bar.value, 1):.1f}" height="16" rx="2" fill="{colour}"/>',
            f'<path d="M{low:.1f} {y + 7}v8m0 -4H{high:.1f}m0 -4v8" fill="none" stroke="{_INK}" stroke-width="1.5"/>',
            f'<text x="{max(high, left + span * bar.value) + 8:.1f}" y="{y + 15}" fill="{_INK}">{bar.value:.3f}</text>',
        ]
    return "\n".join([*parts, "</svg>"])


def curve_chart(title: str, points: Sequence[tuple[int, float]], *, colour: str = BLUE) -> str:
    """A line through points, the first and the last of them labelled.

    Args:
        title: Above the line.
        points: Steps and values, at least two.
        colour: Of the line.

    Returns:
        An SVG document.
    """
    width, height, left, right, top, bottom = 720, 220, 60, 60, 50, 30
    steps, values = [step for step, _ in points], [value for _, value in points]
    across, up = (max(steps) - min(steps)) or 1, (max(values) - min(values)) or 1
    placed = [
        (
            left + (width - left - right) * (step - min(steps)) / across,
            height - bottom - (height - top - bottom) * (value - min(values)) / up,
        )
        for step, value in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    parts = [
        *_framed(title, width, height),
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
    ]
    for (x, y), (step, value) in ((placed[0], points[0]), (placed[-1], points[-1])):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle" fill="{_INK}">{value:.3f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" fill="{_QUIET}">step {step}</text>')
    return "\n".join([*parts, "</svg>"])


def _framed(title: str, width: int, height: int) -> list[str]:
    """The beginning of a chart."""
    # The page may be dark: the chart brings its own background.
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff" stroke="{_GRID}"/>',
        f'<text x="16" y="26" font-weight="600" fill="{_INK}">{html.escape(title)}</text>',
    ]
