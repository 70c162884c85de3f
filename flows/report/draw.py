"""Draws a chart, given as Vega-Lite, as an SVG that follows the colours of its page.

Charts are Vega-Lite specifications, drawn by vl-convert-python: static SVG, no browser, no network, the same text for
the same figures. It takes 84 MB of disk, no time to import and .1 s a chart, the first one 1.1 s; plotnine 110 MB,
1.7 s and .2 s, the first one 3.4 s, and colours that a page cannot change. Altair, which writes the same specifications
in Python's words, takes 1 s more to import and .6 s to check 3,000 points, so it checks them in the tests alone.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from flows.report.inks import LIGHT, NEUTRAL

__all__ = ["WIDTH", "Spec", "image", "inline"]

Spec = dict[str, Any]

WIDTH = 336  # pixels: as wide as a phone, so that letters are never made smaller
VERSION = "6.4"  # of Vega-Lite

_CONFIG: Mapping[str, Any] = {
    "aria": False,  # the page says what a chart shows: a name on each of three thousand points is noise
    "background": None,
    "font": "Arial, Helvetica, sans-serif",  # the page has the same: letters of another would not fit their places
    "view": {"stroke": None},
    "axis": {
        "labelColor": LIGHT["quiet"],
        "titleColor": LIGHT["quiet"],
        "gridColor": LIGHT["grid"],
        "domainColor": LIGHT["grid"],
        "tickColor": LIGHT["grid"],
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 118,
        "labelPadding": 4,
        "titlePadding": 6,
    },
    "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end"},
    "legend": {"labelColor": LIGHT["quiet"], "labelFontSize": 12, "symbolType": "square"},
    "text": {"fontSize": 12, "color": LIGHT["ink"]},
}
_PLACE = re.compile(r'(?<= )(transform|d|x|y|x1|x2|y1|y2|width|height|viewBox)="[^"]*"')
_LONG = re.compile(r"(\.\d)\d+")
_OUTSIDE = re.compile(r' xmlns(?::xlink)?="[^"]*"| version="1.1"')


def inline(spec: Spec) -> str:
    """Draw a chart for a page that names its inks (`flows.report.inks`).

    Args:
        spec: Vega-Lite without size of its own beside `height`, which fits into `WIDTH`.

    Returns:
        An SVG element without namespaces, which HTML does without.
    """
    return _OUTSIDE.sub("", _drawn(spec))


def image(spec: Spec) -> str:
    """Draw a chart as the data address of a picture, in inks that a light page and a dark one bear."""
    svg = _drawn(spec)
    for name, ink in LIGHT.items():
        svg = svg.replace(ink, NEUTRAL[name])
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


def _drawn(spec: Spec) -> str:
    import vl_convert

    whole = {
        "width": WIDTH,
        "padding": {"left": 6, "right": 2, "top": 2, "bottom": 2},
        "autosize": {"type": "fit", "contains": "padding"},
    } | spec
    whole["config"] = {**_CONFIG, **spec.get("config", {})}
    # No address may be asked for data: there is none in the specifications, and so none can be smuggled in.
    svg = vl_convert.vegalite_to_svg(whole, vl_version=VERSION, allowed_base_urls=[])
    # A tenth of a pixel is enough: what a map of thousands of points is long by is digits.
    return _PLACE.sub(lambda found: _LONG.sub(r"\1", found[0]), svg)
