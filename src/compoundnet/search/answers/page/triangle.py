"""The triangle of shares as a chart: predicted accuracy, what was tried, the best rule and the published ones."""

import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compoundnet.evaluate.drawing import chart
from compoundnet.scaling import RULES
from compoundnet.search.answers.coefficients.result import CoefficientsResult
from compoundnet.search.answers.simplex import HEIGHT, Floats, from_plane, hull, inside, to_plane
from compoundnet.search.answers.surface import Surface

if TYPE_CHECKING:
    import altair as alt

_Band: TypeAlias = tuple[Floats, NDArray[np.bool_]]

__all__ = ["triangle_chart"]

# Letter and name of the published rules that are marked; the single axes are the corners.
_PUBLISHED = {
    "efficientnet": ("E", "EfficientNet"),
    "efficientnet_shipped": ("S", "shipped B4–B7"),
    "efficientnet_x_gpu": ("G", "EfficientNet-X, GPU"),
    "efficientnet_x_tpu": ("T", "EfficientNet-X, TPU"),
    "uniform": ("U", "uniform"),
    "fast": ("F", "fast"),
}

_SIDE_PX = 330  # of the triangle
_BESIDE, _BELOW, _ABOVE = 0.16, 0.14, 0.09  # margins, in sides
_CELLS = 64  # small triangles along a side
_STEPS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # points that one shade may stand for
_SHADES = 8
_CROSS = {"shape": "cross", "fill": "var(--c2)", "strokeWidth": 0, "opacity": 1, "angle": 45}
_BLUE = (62, 5)  # per cent of the shades, the best first: ink stays legible on all of them


def triangle_chart(result: CoefficientsResult) -> "alt.LayerChart":
    """Shaded by predicted accuracy below the best rule's; a dot for every network, in the shade of what it reached.

    Only what was tried is shaded. The dashed outline holds the best rule at the interval's level.
    """
    import altair as alt

    bands = _bands(result.surface) if result.surface else []
    dots = _dots(result)
    most = max((float(drops[tried].max()) for drops, tried in bands if tried.any()), default=0.0)
    most = most or max(dot["drop"] for dot in dots)
    step = next((s for s in _STEPS if _SHADES * s >= most), _STEPS[-1])
    layers = [_band_layer(bands, step)] if bands else []
    layers += [_grid_layer(), *_label_layers()]
    if result.region and len(result.region) > 2:
        layers.append(_outline_layer(result.region))
    layers += [_dot_layer(dots, step), *_rule_layers(result), *_key_layers(step)]
    width, height = _SIDE_PX * (1 + 2 * _BESIDE), _SIDE_PX * (HEIGHT + _ABOVE + _BELOW)
    return alt.LayerChart(layer=layers, width=round(width), height=round(height))


def _mark(kind: str, rows: Iterable[Mapping[str, Any]], encoding: Mapping[str, Any], **style: Any) -> "alt.Chart":
    """Marks at ``x`` and ``y``, in sides of the triangle."""
    import altair as alt

    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-_BESIDE, 1 + _BESIDE], nice=False, zero=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-_BELOW, HEIGHT + _ABOVE], nice=False, zero=False))
    drawn: alt.Chart = getattr(chart(rows), f"mark_{kind}")(**style).encode(x=x, y=y, **encoding)
    return drawn


def _at(shares: Any) -> dict[str, float]:
    x, y = to_plane(shares)
    return {"x": float(x), "y": float(y)}


def _bands(surface: Surface) -> list[_Band]:
    """Rows of small triangles, from the bottom: points below the best, and whether it was tried; left to right.

    In a row they stand point up and point down in turn.
    """
    side, height = 1 / _CELLS, HEIGHT / _CELLS
    counts = [2 * (_CELLS - row) - 1 for row in range(_CELLS)]
    row = np.repeat(np.arange(_CELLS), counts)
    i = np.concatenate([np.arange(count) for count in counts])
    centres = np.stack([(row / 2 + i / 2 + 0.5) * side, (row + 1 / 3 + i % 2 / 3) * height], axis=1)
    drops = _below_best(surface, from_plane(centres))
    tried = inside(centres, hull(to_plane(surface.tried))) >= -side / 4
    ends = np.cumsum(counts)[:-1]
    return list(zip(np.split(drops, ends), np.split(tried, ends), strict=True))


def _below_best(surface: Surface, shares: Floats) -> Floats:
    """Points of predicted accuracy below the best place, averaged over groups."""
    best = surface.maximum()[None]
    drops = [surface.predict(best, g)[0] - surface.predict(shares, g)[0] for g in surface.groups]
    return np.asarray(100 * np.mean(drops, axis=0), dtype=np.float64)


def _dots(result: CoefficientsResult) -> list[dict[str, Any]]:
    """Every network that was trained to the end; its drop is against the best of its group."""
    tops: dict[str, float] = {network.group: network.mean or 0.0 for network in result.best}
    if result.surface:
        best = result.surface.maximum()
        tops |= {group: float(result.surface.predict(best, group)[0][0]) for group in result.surface.groups}
    return [
        {**_at(network.shares), "drop": 100 * (tops[network.group] - network.mean)}
        for network in result.networks
        if network.mean is not None
    ]


def _shade(drop: float, step: float) -> int:
    return min(_SHADES - 1, max(0, int(drop / step + 1e-9)))


def _colour(shade: int) -> str:
    """Opaque, so that neighbouring cells may overlap and leave no seam."""
    blue = _BLUE[0] + (_BLUE[1] - _BLUE[0]) * shade / (_SHADES - 1)
    return f"color-mix(in srgb, var(--c1) {blue:.0f}%, var(--paper))"


def _band_layer(bands: list[_Band], step: float) -> "alt.Chart":
    """Neighbours of one shade as one shape, opaque and with a thin edge, so that no seam is left between two."""
    import altair as alt

    rows: list[dict[str, Any]] = []
    for row, (drops, tried) in enumerate(bands):
        shades = [_shade(drop, step) if there else None for drop, there in zip(drops, tried, strict=True)]
        start = 0
        for shade, run in groupby(shades):
            end = start + len(list(run))
            if shade is not None:
                shape = {"fill": _colour(shade), "shape": f"{row}.{start}"}
                rows += [{**shape, "corner": k, **at} for k, at in enumerate(_trapezium(row, start, end - 1))]
            start = end
    fill, edge = alt.Fill("fill:N", scale=None), alt.Stroke("fill:N", scale=None)
    encoding = {"fill": fill, "stroke": edge, "detail": alt.Detail("shape:N"), "order": alt.Order("corner:Q")}
    return _mark("line", rows, encoding, interpolate="linear-closed", strokeWidth=0.7, opacity=1)


def _trapezium(row: int, first: int, last: int) -> list[dict[str, float]]:
    """The corners of the small triangles ``first`` to ``last`` of a row, together."""
    below, above = row / 2, row / 2 + 0.5
    corners = (
        (below + (first + 1) // 2, row),
        (below + last // 2 + 1, row),
        (above + (last + 1) // 2, row + 1),
        (above + first // 2, row + 1),
    )
    return [{"x": x / _CELLS, "y": y * HEIGHT / _CELLS} for x, y in corners]


def _grid_layer() -> "alt.Chart":
    """Lines of equal share, every fifth, and the triangle itself."""
    import altair as alt

    rows: list[dict[str, Any]] = []
    for axis in range(3):
        for fifth in range(5):
            ends = []
            for other in ((axis + 1) % 3, (axis + 2) % 3):
                shares = [0.0, 0.0, 0.0]
                shares[axis], shares[other] = fifth / 5, 1 - fifth / 5
                ends.append(_at(shares))
            start, end = ends
            rows.append({**start, "x2": end["x"], "y2": end["y"], "width": 0.5 if fifth else 1.2})
    ends_of = {"x2": alt.X2("x2:Q"), "y2": alt.Y2("y2:Q"), "strokeWidth": alt.StrokeWidth("width:Q", scale=None)}
    return _mark("rule", rows, ends_of, stroke="var(--muted)", opacity=0.8)


def _label_layers() -> "list[alt.Chart]":
    """Shares in per cent along the sides, and what they are shares of; each side counts towards its axis' corner."""
    out = 0.035  # from the side
    # axis, where its side starts and ends, direction outwards, angle of its title in degrees
    sides = (
        ("depth", (0, 1, 0), (1, 0, 0), (-HEIGHT, 0.5), -60),
        ("width", (0, 0, 1), (0, 1, 0), (0.0, -1.0), 0),
        ("resolution", (1, 0, 0), (0, 0, 1), (HEIGHT, 0.5), 60),
    )
    layers = []
    for axis, start, end, (right, up), angle in sides:
        ticks = []
        for percent in (20, 40, 60, 80):
            share = percent / 100
            at = _at([a + (b - a) * share for a, b in zip(start, end, strict=True)])
            ticks.append({"x": at["x"] + right * out, "y": at["y"] + up * out, "text": f"{percent}"})
        layers.append(_text(ticks, fill="var(--muted)", fontSize=11))
        middle = _at([(a + b) / 2 for a, b in zip(start, end, strict=True)])
        arrow = f"← % for {axis}" if axis == "width" else f"% for {axis} →"
        title = {"x": middle["x"] + right * 0.095, "y": middle["y"] + up * 0.095, "text": arrow}
        layers.append(_text([title], fill="var(--muted)", fontSize=12, angle=angle % 360))
    corners = [
        ("depth alone", (1, 0, 0), 0.05),
        ("width alone", (0, 1, 0), -0.06),
        ("resolution alone", (0, 0, 1), -0.06),
    ]
    named = [{**(at := _at(shares)), "y": at["y"] + up, "text": text} for text, shares, up in corners]
    return [*layers, _text(named, fill="var(--ink)", fontSize=12)]


def _text(rows: Iterable[Mapping[str, Any]], field: str = "text", **style: Any) -> "alt.Chart":
    import altair as alt

    return _mark("text", rows, {"text": alt.Text(f"{field}:N")}, **{"baseline": "middle", **style})


def _outline_layer(region: Iterable[Iterable[float]]) -> "alt.Chart":
    import altair as alt

    rows = [{**_at(list(shares)), "order": i} for i, shares in enumerate(region)]
    line = {"stroke": "var(--ink)", "strokeWidth": 1.5, "strokeDash": [4, 3], "interpolate": "linear-closed"}
    return _mark("line", rows, {"order": alt.Order("order:Q")}, **line)


def _dot_layer(dots: list[dict[str, Any]], step: float) -> "alt.Chart":
    import altair as alt

    rows = [{**dot, "fill": _colour(_shade(dot["drop"], step))} for dot in dots]
    fill = {"fill": alt.Fill("fill:N", scale=None)}
    return _mark("point", rows, fill, shape="circle", size=46, stroke="var(--ink)", strokeWidth=0.9, opacity=1)


def _rule_layers(result: CoefficientsResult) -> "list[alt.Chart]":
    """The published rules as letters in a disc, the best rule as a larger mark over them."""
    named = [(letter, RULES[name]) for name, (letter, _) in _PUBLISHED.items()]
    rows = [{**_at([rule.depth, rule.width, rule.resolution]), "text": letter} for letter, rule in named]
    disc = {"shape": "circle", "size": 150, "fill": "var(--paper)", "stroke": "var(--c2)", "strokeWidth": 1.2}
    cross = {**_CROSS, "size": 170, "stroke": "var(--paper)", "strokeWidth": 1.5}
    return [
        _mark("point", rows, {}, **disc, opacity=1),
        _text(rows, fill="var(--c2)", fontSize=10, fontWeight="bold"),
        _mark("point", [_at(result.shares)], {}, **cross),
    ]


def _key_layers(step: float) -> "list[alt.Chart]":
    """In the empty corners over the triangle: what the shades are, on the left, and the letters, on the right."""
    import altair as alt

    top, line = HEIGHT + 0.065, 0.046
    left, right = -_BESIDE + 0.02, 0.78
    swatches = [
        {"x": left + 0.02, "y": top - line * (i + 2), "fill": _colour(i), "text": _band(i, step)}
        for i in range(_SHADES)
    ]
    words = [
        {"x": left, "y": top, "text": "points of accuracy"},
        {"x": left, "y": top - line, "text": "below the best rule"},
    ]
    marks = [{"x": right, "y": top, "text": "best rule"}]
    letters = [
        {"x": right, "y": top - line * (i + 1), "letter": letter, "text": name}
        for i, (letter, name) in enumerate(_PUBLISHED.values())
    ]
    start: dict[str, Any] = {"align": "left", "fontSize": 11, "fill": "var(--ink)"}
    fill = {"fill": alt.Fill("fill:N", scale=None)}
    return [
        _mark("point", swatches, fill, shape="square", size=150, opacity=1, stroke="var(--line)", strokeWidth=1),
        _text(swatches, dx=14, **start),
        _text(words, **start),
        _mark("point", marks, {}, **_CROSS, size=110),
        _text(letters, "letter", fill="var(--c2)", fontSize=11, fontWeight="bold"),
        _text([*marks, *letters], dx=12, **start),
    ]


def _band(shade: int, step: float) -> str:
    low, high = shade * step, (shade + 1) * step
    decimals = max(0, math.ceil(-math.log10(step) - 1e-9)) if step < 1 else 0
    return f"{low:.{decimals}f}–{high:.{decimals}f}" if shade < _SHADES - 1 else f"over {low:.{decimals}f}"
