"""Altair's charts as static SVG for inlining in one page: no script, no request, no clash of ids.

Colours are the page's CSS variables, so that one drawing serves light, dark and print; for a file of its own they are
replaced by the light page's. Text that comes from outside (class names) reaches a drawing only as data.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compoundnet.errors import RequestError
from compoundnet.files import write_atomically

if TYPE_CHECKING:
    import altair as alt

__all__ = ["CONFIG", "FIT", "WIDTH_PX", "Figure", "chart", "draw", "inline_svg", "save", "sound_text", "svg"]

WIDTH_PX = 400
"""Width of a drawing that fits a phone, so that its text keeps its size there."""

FIT: Any = {"type": "fit", "contains": "padding"}
"""The whole drawing, with its axes, is as wide and high as asked."""

_SCALE = 2  # pixels of a PNG for each of the drawing
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


def svg(drawn: "alt.LayerChart", name: str, label: str) -> str:
    """The chart for inlining in a page: ids start with ``name``, ``label`` says what it shows."""
    import vl_convert

    return inline_svg(vl_convert.vegalite_to_svg(_sound(drawn.to_dict()), config=CONFIG), name, label)


def save(drawn: "alt.LayerChart", path: Path) -> None:
    """Write the chart to a file of its own, PNG or SVG by its suffix, in the light page's colours.

    Raises:
        RequestError: another suffix. OSError: the file cannot be written; what was there is still there.
    """
    import vl_convert

    spec, config = (json.loads(_light(json.dumps(value))) for value in (_sound(drawn.to_dict()), CONFIG))
    config["background"] = _palette()["paper"]
    if path.suffix == ".svg":
        write_atomically(path, vl_convert.vegalite_to_svg(spec, config=config))
    elif path.suffix == ".png":
        write_atomically(path, vl_convert.vegalite_to_png(spec, config=config, scale=_SCALE))
    else:
        raise RequestError(f"cannot draw to {str(path)!r}; a chart's file ends in .png or .svg")


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


def _sound(value: Any) -> Any:
    """A specification whose texts vl-convert can take: names of rules and groups come from outside."""
    if isinstance(value, dict):
        return {key: _sound(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_sound(inner) for inner in value]
    return sound_text(value) if isinstance(value, str) else value


@cache
def _palette() -> Mapping[str, str]:
    """The light page's variables, from its style sheet."""
    light = (files("compoundnet.evaluate") / "report.css").read_text(encoding="utf-8").split("}", 1)[0]
    return dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", light))


def _light(text: str) -> str:
    """The text with every variable, and every mixture of two, as a colour."""
    named = re.sub(r"var\(--([a-z0-9]+)\)", lambda found: _palette()[found[1]], text)
    return re.sub(r"color-mix\(in srgb, (#[0-9a-f]{6}) (\d+)%, (#[0-9a-f]{6})\)", _mixed, named)


def _mixed(found: re.Match[str]) -> str:
    share = int(found[2]) / 100
    pairs = [(int(found[1][i : i + 2], 16), int(found[3][i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(one * share + other * (1 - share)):02x}" for one, other in pairs)
