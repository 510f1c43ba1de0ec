"""Altair's charts as static SVG for inlining in one page: no script, no request, no clash of ids.

Colours are the page's CSS variables, so that one drawing serves light, dark and print. Text that
comes from outside (class names) reaches a drawing only as data.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

__all__ = ["CONFIG", "FIT", "WIDTH_PX", "Figure", "chart", "draw", "inline_svg", "sound_text"]

WIDTH_PX = 400
"""Width of a drawing that fits a phone, so that its text keeps its size there."""

FIT: Any = {"type": "fit", "contains": "padding"}
"""The whole drawing, with its axes, is as wide and high as asked."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

CONFIG: dict[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": "Arial, Liberation Sans, sans-serif",  # as wide as what the page's fonts make of it
    "view": {"stroke": "transparent"},
    "axis": {
        "domain": False,
        "gridColor": "var(--line)",
        "labelColor": "var(--muted)",
        "labelFontSize": 12,
        "labelPadding": 6,
        "ticks": False,
        "titleColor": "var(--muted)",
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "legend": {
        "columnPadding": 18,
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "offset": 26,
        "orient": "top",
        "symbolSize": 160,
        "symbolStrokeWidth": 2.5,
        "symbolType": "stroke",
        "title": None,
    },
}
"""Vega-Lite's, for every chart on a page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """An inline SVG, labelled for those who cannot see it, with its title and its caption."""

    title: str
    svg: str
    caption: str


def chart(rows: Iterable[Mapping[str, Any]]) -> "alt.Chart":
    """An Altair chart on plain rows, without a data frame."""
    import altair as alt

    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def draw(layers: "list[alt.Chart]", name: str, label: str, **properties: Any) -> str:
    """The layers, with rows from :func:`chart`, as an inline SVG. ``name`` and ``label`` as in :func:`inline_svg`."""
    import altair as alt
    import vl_convert

    spec = alt.layer(*layers).properties(**properties).to_dict()
    drawn: str = vl_convert.vegalite_to_svg(spec, config=CONFIG)
    return inline_svg(drawn, name, label)


def inline_svg(svg: str, name: str, label: str) -> str:
    """An SVG document made fit for a page that holds several: ids start with ``name``, and it has a label.

    As one image with a label (``role="img"``) its hundreds of marks do not reach a screen reader.
    """
    prefix = re.compile(r'(\bid="|url\(#|href="#)')
    svg = re.sub(r"<[^>]+>", lambda tag: prefix.sub(rf"\g<1>{name}-", tag[0]), svg)  # not in text
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)


def sound_text(text: str) -> str:
    """Text that XML 1.0 and UTF-8 can hold: control characters and undecodable bytes become visible escapes.

    vl-convert ends the whole process over a character that XML does not know.
    """
    return _NOT_XML.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
