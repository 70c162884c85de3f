"""Charts of a report: horizontal bars as SVG."""

from __future__ import annotations

import html
from collections.abc import Mapping

__all__ = ["BLUE", "GREEN", "stage_chart"]

BLUE, GREEN = "#2f6fed", "#1d9a6c"
_INK, _QUIET, _GRID = "#1b2430", "#5b6675", "#dfe4ea"


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
    height = top + row * len(values) + 14
    # The page may be dark: the chart brings its own background.
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff" stroke="{_GRID}"/>',
        f'<text x="16" y="26" font-weight="600" fill="{_INK}">{html.escape(title)}</text>',
    ]
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
