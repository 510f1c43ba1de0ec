"""The report's curves over epochs and its reliability diagram."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from compoundnet.evaluate.drawing import FIT, WIDTH_PX, Figure, chart, draw, sound_text
from compoundnet.evaluate.metrics import Evaluation, ReliabilityBin, wilson_interval
from compoundnet.units import percent

if TYPE_CHECKING:
    import altair as alt

__all__ = ["curve_figures", "reliability_figure"]

_PHASES = {"head": "head only", "all": "whole network"}
_MOST_DOTS = 30  # epochs up to which each is marked


class _Series(NamedTuple):
    key: str  # in metrics.jsonl
    name: str
    colour: str
    dash: tuple[int, int] = (1, 0)


class _Curves(NamedTuple):
    title: str
    axis_format: str  # d3's
    wording: Callable[[float], str]
    series: Sequence[_Series]


_CURVES = (
    _Curves(
        "Loss",
        "~g",
        "{:.3g}".format,
        (_Series("train_loss", "training", "var(--c1)"), _Series("val_loss", "validation", "var(--c2)")),
    ),
    _Curves(
        "Accuracy",
        "~%",
        percent,
        (_Series("val_top1", "validation", "var(--c2)"),),
    ),
)


def curve_figures(history: Sequence[Mapping[str, Any]]) -> tuple[Figure, ...]:
    """Loss and accuracy over epochs from rows of ``metrics.jsonl``; a chart without a value is left out.

    Of an epoch that was recorded twice the last row counts.
    """
    rows = [row for row in history if row.get("kind", "epoch") == "epoch" and _number(row.get("epoch"))]
    epochs = sorted({row["epoch"]: row for row in rows}.values(), key=lambda row: row["epoch"])
    drawn = (_curve(epochs, curves) for curves in _CURVES)
    return tuple(figure for figure in drawn if figure is not None)


def reliability_figure(evaluation: Evaluation) -> Figure:
    """Accuracy against confidence with 95 % intervals, over the share of images in each bin."""
    import altair as alt

    points = [_point(b, evaluation.n) for b in evaluation.reliability if b.count]
    x = alt.X("x:Q", title="confidence", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    y = alt.Y("y:Q", title="accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    ends = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
    base = chart(points)
    layers = [
        base.mark_rect(fill="var(--line)").encode(x=alt.X("from:Q"), x2="to:Q", y=alt.Y("share:Q"), y2=alt.datum(0)),
        chart(ends).mark_line(stroke="var(--muted)", strokeWidth=1, strokeDash=[4, 3]).encode(x=x, y=y),
        base.mark_rule(stroke="var(--c1)", strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_circle(fill="var(--c1)", opacity=1, size=44).encode(x=x, y=y),
    ]
    label = f"Reliability diagram: the expected calibration error is {evaluation.ece:.3f}."
    return Figure(
        title="Confidence against accuracy",
        svg=draw(layers, "reliability", label, width=WIDTH_PX, height=300, autosize=FIT),
        caption="Points: mean confidence and accuracy of the images in each bin, with a 95 % interval. On the dashed "
        "line, confidence is what it claims to be; below it, too high. Bars: the share of images in the bin.",
    )


def _point(b: ReliabilityBin, n: int) -> dict[str, Any]:
    low, high = wilson_interval(round((b.accuracy or 0.0) * b.count), b.count)
    place = {"from": b.low, "to": b.high, "share": b.count / n}
    return {"x": b.confidence, "y": b.accuracy, "low": low, "high": high, **place}


def _curve(epochs: Sequence[Mapping[str, Any]], curves: _Curves) -> Figure | None:
    import altair as alt

    lines = {s: [(row["epoch"] + 1, row[s.key]) for row in epochs if _number(row.get(s.key))] for s in curves.series}
    lines = {series: points for series, points in lines.items() if points}
    if not lines:
        return None
    rows = [{"epoch": epoch, "value": v, "series": s.name} for s, points in lines.items() for epoch, v in points]
    names = [series.name for series in lines]
    x = _epoch_axis(epochs)
    y = alt.Y("value:Q", title=None, scale=alt.Scale(domain=_domain([row["value"] for row in rows], curves.title)))
    colour = alt.Color("series:N", scale=alt.Scale(domain=names, range=[series.colour for series in lines]))
    dash = alt.StrokeDash("series:N", scale=alt.Scale(domain=names, range=[list(series.dash) for series in lines]))
    line = chart(rows).encode(x=x, y=y.axis(format=curves.axis_format, tickCount=5), color=colour)
    layers = [*_phase_layers(epochs, x), line.mark_line(strokeWidth=2).encode(strokeDash=dash)]
    if len(epochs) <= _MOST_DOTS:
        layers.append(line.mark_circle(size=30, opacity=1))
    ends = ((s.name, curves.wording(points[0][1]), curves.wording(points[-1][1])) for s, points in lines.items())
    summary = "; ".join(f"{name} from {first} to {last}" for name, first, last in ends)
    svg = draw(
        layers, curves.title.lower(), f"{curves.title} by epoch: {summary}", width=WIDTH_PX, height=280, autosize=FIT
    )
    return Figure(title=curves.title, svg=svg, caption=f"{summary[0].upper()}{summary[1:]}.")


def _phase_layers(epochs: Sequence[Mapping[str, Any]], x: "alt.X") -> list["alt.Chart"]:
    """The phases' names over the plot and a dashed rule between two; nothing for a training of one phase."""
    import altair as alt

    starts: list[dict[str, Any]] = []
    for row in epochs:
        phase = row.get("phase")
        if phase and (not starts or starts[-1]["phase"] != phase):
            starts.append(
                {"phase": phase, "name": sound_text(_PHASES.get(phase, str(phase))), "epoch": row["epoch"] + 0.5}
            )
    if len(starts) < 2:
        return []
    names = chart(starts).mark_text(fill="var(--muted)", fontSize=12, align="left", baseline="bottom")
    return [
        chart(starts[1:]).mark_rule(stroke="var(--muted)", strokeDash=[2, 3], strokeWidth=1).encode(x=x),
        names.encode(x=x, y=alt.value(-6), text="name:N"),
    ]


def _domain(values: Sequence[float], title: str) -> list[float]:
    """Loss from 0; accuracy up to 1 and down to the next tenth below, or hundredth where all are above 90 %."""
    if title == "Loss":
        return [min(0.0, *values), max(values) * 1.05 or 1.0]
    step = 0.1 if min(values) < 0.9 else 0.01
    return [max(0.0, math.floor(min(values) / step - 1e-9) * step), 1.0]


def _epoch_axis(epochs: Sequence[Mapping[str, Any]]) -> "alt.X":
    import altair as alt

    numbers = [row["epoch"] + 1 for row in epochs]
    scale = alt.Scale(domain=[min(numbers) - 0.5, max(numbers) + 0.5], nice=False, zero=False)
    return alt.X("epoch:Q", title="epoch", scale=scale, axis=alt.Axis(format="d", tickMinStep=1, grid=False))


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
