"""Charts of a study: accuracy against cost, over epochs, by network. Colours are the page's CSS variables."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compoundnet.errors import RequestError
from compoundnet.evaluate.drawing import WIDTH_PX, chart
from compoundnet.scaling.baseline import AXES
from compoundnet.search.answers.axes import BASELINE, AxesResult
from compoundnet.search.answers.coefficients.result import LEVEL, CoefficientsResult
from compoundnet.search.answers.seeds import Noise, reach, seed_noise
from compoundnet.search.answers.wording import triple
from compoundnet.search.trials import Outcome

if TYPE_CHECKING:
    import altair as alt

__all__ = ["cost_charts", "curves_chart", "networks_chart"]

_COLOURS = ("var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--muted)")
_MOST_NETWORKS = 40  # rows of a chart that a reader still takes in
_ROW_PX = 17
_WIDE_PX = 440
_APART_PX = 5  # between rules at the same cost


def cost_charts(result: AxesResult) -> "list[alt.LayerChart]":
    """Accuracy against realised MACs, a line a rule from the baseline on, with the interval over seeds.

    Rules are set apart by a few pixels, so that intervals at the same cost do not hide each other. Larger bases and
    plain width are a chart of their own, a line from each base on (the paper's Figure 4): the second, or the only
    one where nothing else was compared.
    """
    rules = _ranked(row.rule for row in result.rows if row.rule not in (BASELINE, *result.bases))
    wider = [*result.bases, *(rule for rule in rules if rule == "width")]
    alone = result.bases and set(rules) <= {"width"}
    shown = [wider] if alone else [rules, wider] if result.bases else [rules]
    return [_lines(result, each) for each in shown]


def _lines(result: AxesResult, rules: Sequence[str]) -> "alt.LayerChart":
    import altair as alt

    rows = [row for row in result.table() if row["accuracy"] is not None and row["macs"]]
    base = [row for row in rows if row["rule"] == BASELINE][:1]
    rows = [row for row in rows if row["rule"] in (BASELINE, *rules)]
    x = alt.X("macs:Q", title="realised MACs", scale=alt.Scale(type="log", nice=False, padding=30))
    x = x.axis(format=".3~s", values=_costs(rows, base), grid=False, labelOverlap="greedy")
    y = alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(zero=False)).axis(format="~%", tickCount=6)
    layers = []
    for i, rule in enumerate(rules):
        mine = [row for row in rows if row["rule"] == rule]
        shift: dict[str, Any] = {"xOffset": _APART_PX * (i - (len(rules) - 1) / 2)}
        start = [] if rule in result.bases else [{**row, "rule": rule} for row in base]
        line = chart([*start, *mine])
        marks = (
            line.mark_line(strokeWidth=2.5 if i == 0 and rule not in result.bases else 1.5, **shift).encode(y=y),
            _spread(mine).mark_rule(strokeWidth=1.5, **shift).encode(y=alt.Y("low:Q"), y2="high:Q"),
            chart(mine).mark_circle(size=46, opacity=1, **shift).encode(y=y),
        )
        layers += [mark.encode(x=x, color=_by_name("rule", rules)) for mark in marks]
    layers.append(_spread(base).mark_rule(strokeWidth=1.5, stroke="var(--ink)").encode(x=x, y="low:Q", y2="high:Q"))
    layers.append(chart(base).mark_circle(size=60, fill="var(--ink)", opacity=1).encode(x=x, y=y))
    named = chart({**row, "text": BASELINE} for row in base)
    layers.append(
        named.mark_text(fill="var(--ink)", fontSize=12, align="left", dx=9, dy=9).encode(x=x, y=y, text="text:N")
    )
    return alt.LayerChart(layer=layers, width=_WIDE_PX, height=290)


def curves_chart(outcomes: Iterable[Outcome], by: str = "group") -> "alt.LayerChart":
    """Accuracy over epochs, a thin line a trial; coloured by group, or by a key of the tags such as ``rule``.

    A dot ends a line that was stopped early, and stands for one of a single epoch.

    Raises:
        RequestError: no trial has a curve.
    """
    import altair as alt

    rows: list[dict[str, Any]] = []
    for number, outcome in enumerate(outcomes):
        who = outcome.candidate
        name = who.group if by == "group" else str(who.tags.get(by, "unknown"))
        curve = [(epoch, value) for epoch, value in enumerate(outcome.curve, start=1) if math.isfinite(value)]
        dotted = outcome.state != "complete" or len(curve) == 1
        rows += [
            {"epoch": e, "accuracy": v, "name": name, "trial": number, "dot": dotted and e == curve[-1][0]}
            for e, v in curve
        ]
    if not rows:
        raise RequestError("no trial has a curve to draw; a chart of curves needs accuracies by epoch")
    names = _ranked(row["name"] for row in rows)
    x = alt.X("epoch:Q", title="epoch", scale=alt.Scale(nice=False, zero=False, padding=6))
    last = max(row["epoch"] for row in rows)
    x = x.axis(format="d", values=[float(epoch) for epoch in _ticks(last)], grid=False)
    y = alt.Y("accuracy:Q", title="accuracy", scale=alt.Scale(zero=False)).axis(format="~%", tickCount=6)
    colour = _by_name("name", names)
    opacity = 0.75 if len(rows) < 600 else 0.4
    lines = chart(rows).mark_line(strokeWidth=1, opacity=opacity).encode(x=x, y=y, color=colour, detail="trial:N")
    ends = chart(row for row in rows if row["dot"])
    stops = ends.mark_circle(size=16, opacity=1).encode(x=x, y=y, color=colour)
    return alt.LayerChart(layer=[lines, stops], width=_WIDE_PX, height=270)


def networks_chart(result: CoefficientsResult, group: str) -> "alt.LayerChart":
    """Mean accuracy of the networks of a group, the best on top, with the interval of a mean over so many seeds.

    The deviation between seeds is pooled over all networks; without two seeds of any there is no interval.
    A tick marks what the surface predicts. Of more than 40 networks, the best 40.

    Raises:
        RequestError: no network of the group was trained to the end.
    """
    import altair as alt

    mine = [row for row in result.table() if row["group"] == group and row["accuracy"] is not None]
    if not mine:
        raise RequestError(f"no network of group {group!r} was trained to the end; there is nothing to draw")
    noise = seed_noise(result.networks)
    rows = [{**_network_mark(row, noise), "row": i} for i, row in enumerate(mine[:_MOST_NETWORKS])]
    y = alt.Y("row:O", title="depth / width / resolution, %").axis(
        labelExpr=f"{json.dumps([row['name'] for row in rows])}[datum.value]",  # two networks may share a name
        labelFontSize=11,
        titleAlign="left",
        titleAnchor="start",
        titleAngle=0,
        titleX=-104,
        titleY=-10,
    )
    x = alt.X("accuracy:Q", title="accuracy", scale=alt.Scale(zero=False)).axis(format="~%", tickCount=5)
    base = chart(rows)
    layers = [
        chart(row for row in rows if row["low"] is not None)
        .mark_rule(strokeWidth=1.5, stroke="var(--c1)")
        .encode(x=alt.X("low:Q"), x2="high:Q", y=y),
        base.mark_circle(size=46, fill="var(--c1)", opacity=1).encode(x=x, y=y),
    ]
    if result.surface and group in result.surface.groups:
        ticks = base.mark_tick(color="var(--c2)", thickness=2, height=11)
        layers.append(ticks.encode(x=alt.X("accuracy_predicted:Q"), y=y))
    return alt.LayerChart(layer=layers, width=WIDTH_PX, height=_ROW_PX * len(rows))


def _network_mark(row: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
    shares = triple(row[f"realised_share_{axis}"] for axis in AXES)
    half = reach(noise, 1 / row["seeds"], LEVEL)
    ends = (
        {"low": None, "high": None} if half is None else {"low": row["accuracy"] - half, "high": row["accuracy"] + half}
    )
    return {"name": shares, "accuracy": row["accuracy"], "accuracy_predicted": row["accuracy_predicted"], **ends}


def _ticks(epochs: int) -> list[int]:
    """Whole epochs, about six of them, the last among them."""
    step = max(1, math.ceil(epochs / 6))
    return list(range(epochs, 0, -step))[::-1]


def _spread(rows: Iterable[Mapping[str, Any]]) -> "alt.Chart":
    """A chart of those rows that have an interval."""
    return chart(row for row in rows if row["low"] is not None)


def _by_name(field: str, names: Sequence[str]) -> "alt.Color":
    import altair as alt

    colours = [_COLOURS[i % len(_COLOURS)] for i in range(len(names))]
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=list(names), range=colours))


def _ranked(names: Iterable[str]) -> list[str]:
    """Each once: what scales several axes, then the axes alone, then the baseline; else in the order of appearance."""
    return sorted(dict.fromkeys(names), key=lambda name: (name == BASELINE, name in AXES))


def _costs(rows: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]]) -> list[float]:
    """Where the axis has its ticks: the costs asked for, if the baseline's is known; larger bases have none."""
    if not base:
        return sorted({row["macs"] for row in rows})
    return sorted({row["factor"] * base[0]["macs"] for row in rows if row["group"] != row["rule"]})
