"""Accuracy against cost, every network by its name: the paper's Figures 1 and 5, and the same for a user's runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from compoundnet.architecture import Architecture
from compoundnet.compare.asked import IMAGENET, Asked
from compoundnet.compare.labels import Placed, Point, place, text_width
from compoundnet.compare.rows import COSTS, Comparison, CostName, Row
from compoundnet.errors import RequestError
from compoundnet.evaluate.drawing import chart, sound_text
from compoundnet.scaling.latency import Setting

if TYPE_CHECKING:
    import altair as alt

__all__ = ["AXES", "Drawing", "check_drawable", "drawings", "label_texts"]

AXES: dict[CostName, str] = {
    "params": "parameters",
    "macs": "multiply-adds",
    "activations": "activations",
    "latency": "latency, ms",
}
"""What stands at the axis of a cost."""

_WIDTH_PX, _LEAST_HEIGHT_PX = 880.0, 560.0
_TRIES, _TALLER = 8, 1.25  # where labels have no room
_SIZE_PX, _LINE_PX = 12.0, 14.0  # of labels
_LONGEST = 36  # characters of one
_RADIUS_PX = 4.0
_BOLD = 1.08  # times as wide
_ROOM, _ABOVE = 0.06, 0.09  # of the axes' length beyond the outermost points, and over the highest
_FAMILY = "EfficientNet-"
_LEAST_TICKS = 3
_MOST_NAMED = 3  # networks in an error


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A chart with where its labels stand, in pixels of its plot; ``left_out``: networks without what it needs."""

    name: str
    cost: CostName
    on: str
    chart: "alt.LayerChart"
    rows: tuple[Row, ...]
    placed: Mapping[str, Placed]
    width: float
    height: float
    left_out: tuple[str, ...]


class _Frame(NamedTuple):
    """From values to pixels: the cost by its logarithm, accuracy as it is."""

    width: float
    height: float
    costs: tuple[float, float]
    accuracies: tuple[float, float]

    def at(self, cost: float, accuracy: float) -> tuple[float, float]:
        low, high = map(math.log, self.costs)
        bottom, top = self.accuracies
        across = (math.log(cost) - low) / (high - low)
        return self.width * across, self.height * (top - accuracy) / (top - bottom)

    def back(self, x: float, y: float) -> dict[str, float]:
        low, high = map(math.log, self.costs)
        bottom, top = self.accuracies
        return {"x": math.exp(low + x / self.width * (high - low)), "y": top - y / self.height * (top - bottom)}


def check_drawable(asked: Sequence[Asked], cost: CostName, setting: Setting | None) -> None:
    """RequestError unless a chart of accuracy against ``cost`` will have a point; said before anything is measured."""
    if any(_is_drawable(one, cost, setting) for one in asked):
        return
    known = [one for one in asked if one.accuracy is not None]
    if not known:
        names = ", ".join(one.label for one in asked[:_MOST_NAMED]) + (", ..." if len(asked) > _MOST_NAMED else "")
        raise RequestError(
            f"nothing to draw: no accuracy is known of {names}; add a network that has one, such as efficientnet_b0, "
            "or leave --output out"
        )
    if cost == "latency" and setting is None:
        raise RequestError("nothing to draw against latency, which was not asked for: add --latency eager")
    raise RequestError(
        f"nothing to draw: {cost} of {known[0].label} can be neither counted nor read; take --cost params"
    )


def _is_drawable(one: Asked, cost: CostName, setting: Setting | None) -> bool:
    """It has an accuracy and that cost; latencies of two engines are not drawn as if they were of one."""
    if one.accuracy is None:
        return False
    if cost == "latency":
        alike = setting is not None and (setting.engine == "eager" or isinstance(one.network, Architecture))
        return alike and one.network is not None
    return one.network is not None or one.published_value(cost) is not None


def drawings(comparison: Comparison, first: CostName = "params") -> list[Drawing]:
    """Charts of published accuracy, the cost ``first`` before the others, then one for each set of a user's images.

    What was measured on other images is never in a chart of published accuracy. Empty where nothing can be drawn.

    Raises:
        RequestError: there is no room for so many labels.
    """
    data = dict.fromkeys(row.accuracy.data for row in comparison.rows if row.accuracy is not None)
    published = [cost for cost in (first, *(c for c in COSTS if c != first)) if IMAGENET in data]
    found = [_drawing(comparison, cost, IMAGENET, cost) for cost in published]
    mine = [key for key in data if key != IMAGENET]
    found += [_drawing(comparison, first, key, f"runs{i or ''}") for i, key in enumerate(mine)]
    return [drawing for drawing in found if drawing is not None]


def _drawing(comparison: Comparison, cost: CostName, data: str, name: str) -> Drawing | None:
    """None where no network has both."""
    mine = [row for row in comparison.rows if row.accuracy is not None and row.accuracy.data == data]
    rows = [row for row in mine if _is_drawable(row.asked, cost, comparison.setting)]
    if not rows or rows[0].accuracy is None:
        return None
    on = rows[0].accuracy.on
    frame, placed = _laid_out(rows, cost)
    return Drawing(
        name=name, cost=cost, on=on, chart=_layers(rows, cost, frame, placed, on), rows=tuple(rows),
        placed={row.label: one for row, one in zip(rows, placed, strict=True)}, width=frame.width, height=frame.height,
        left_out=tuple(row.label for row in mine if row not in rows),
    )  # fmt: skip


def _laid_out(rows: Sequence[Row], cost: CostName) -> tuple[_Frame, list[Placed]]:
    """The lowest chart in which every label finds room."""
    heights = accumulate(repeat(_TALLER, _TRIES), lambda height, times: height * times, initial=_LEAST_HEIGHT_PX)
    texts = label_texts(rows)
    for height in heights:
        frame = _Frame(_WIDTH_PX, height, *_domains(rows, cost))
        spots = [frame.at(*_values(row, cost)) for row in rows]
        points = [
            Point(*spot, _RADIUS_PX, text_width(text, _SIZE_PX) * (_BOLD if _on_curve(row) else 1.0), _LINE_PX)
            for row, spot, text in zip(rows, spots, texts, strict=True)
        ]
        curve = sorted(spot for row, spot in zip(rows, spots, strict=True) if _on_curve(row))
        placed = place(points, frame.width, frame.height, curve)
        if placed is not None:
            return frame, placed
    raise RequestError(f"{len(rows)} networks are too many to label in one chart; compare fewer, or leave -o out")


def _domains(rows: Sequence[Row], cost: CostName) -> tuple[tuple[float, float], tuple[float, float]]:
    """Both axes from the least to the most, with some room round them."""
    costs, accuracies = zip(*(_values(row, cost) for row in rows), strict=True)
    decades = max(math.log10(max(costs) / min(costs)), 0.5)
    times = 10 ** (decades * _ROOM)
    least, most = min(accuracies), max(accuracies)
    length = max(most - least, 0.05)
    return (min(costs) / times, max(costs) * times), (least - _ROOM * length, most + _ABOVE * length)


def _values(row: Row, cost: CostName) -> tuple[float, float]:
    value, accuracy = row.value(cost), row.accuracy
    assert value is not None
    assert accuracy is not None
    return value, accuracy.top1


def _on_curve(row: Row) -> bool:
    published = row.asked.published
    return published is not None and published.curve and row.label == published.label


def label_texts(rows: Sequence[Row]) -> list[str]:
    """What stands at each point: of the curve's members only the last bears the family's name; no two are the same."""
    curve = [row.label for row in rows if _on_curve(row)]
    texts: list[str] = []
    for row in rows:
        short = row.label.removeprefix(_FAMILY) if row.label in curve[:-1] else _shortened(row.label)
        number = 1
        text = short
        while text in texts:
            number += 1
            text = f"{short} ({number})"
        texts.append(text)
    return texts


def _shortened(label: str) -> str:
    sound = sound_text(label)
    return sound if len(sound) <= _LONGEST else f"…{sound[1 - _LONGEST :]}"


def _layers(rows: Sequence[Row], cost: CostName, frame: _Frame, placed: Sequence[Placed], on: str) -> "alt.LayerChart":
    import altair as alt

    x = alt.X("x:Q", title=_x_title(rows, cost), scale=alt.Scale(type="log", domain=list(frame.costs), nice=False))
    x = x.axis(values=_ticks(*frame.costs), format="~s", grid=False)
    y = alt.Y("y:Q", title=f"top-1 accuracy, {sound_text(on)}", scale=alt.Scale(domain=list(frame.accuracies)))
    y = y.axis(format="~%", tickCount=8)
    at = [dict(zip(("x", "y"), _values(row, cost), strict=True)) for row in rows]
    texts = label_texts(rows)
    ends = [frame.back(*one.line[:2]) | _renamed(frame.back(*one.line[2:])) for one in placed if one.line is not None]
    curve = sorted((place for row, place in zip(rows, at, strict=True) if _on_curve(row)), key=lambda p: p["x"])
    layers = [
        _backs(frame, placed).mark_rect(fill="var(--paper)").encode(x=x, y=y, x2="x2:Q", y2="y2:Q"),
        chart(curve).mark_line(stroke="var(--c2)", strokeWidth=2).encode(x=x, y=y),
        chart(ends).mark_rule(stroke="var(--muted)", strokeWidth=0.75).encode(x=x, y=y, x2="x2:Q", y2="y2:Q"),
    ]
    if cost == "latency":
        layers.append(_spread(rows).mark_rule(stroke="var(--muted)", strokeWidth=1.5).encode(x=x, y=y, x2="x2:Q"))
    for style, chosen in _marks(rows):
        layers.append(chart(at[i] for i in chosen).mark_point(**_MARK, **style).encode(x=x, y=y))
    for bold, style in _WORDS.items():
        words = [
            {**frame.back(one.box.left, (one.box.top + one.box.bottom) / 2), "text": text}
            for row, one, text in zip(rows, placed, texts, strict=True)
            if _on_curve(row) == bold
        ]
        label = chart(words).mark_text(align="left", baseline="middle", fontSize=_SIZE_PX, **style)
        layers.append(label.encode(x=x, y=y, text="text:N"))
    return alt.LayerChart(layer=layers, width=round(frame.width), height=round(frame.height))


def _x_title(rows: Sequence[Row], cost: CostName) -> str:
    """With what hollow marks mean, where there are any: a picture is shown without its page."""
    hollow = any(row.cost is None for row in rows)
    return f"{AXES[cost]} (filled: counted here; hollow: as published)" if hollow else AXES[cost]


def _spread(rows: Sequence[Row]) -> "alt.Chart":
    """From quartile to quartile."""
    return chart(
        {"x": row.latency.low_ms, "x2": row.latency.high_ms, "y": row.accuracy.top1}
        for row in rows
        if row.latency is not None and row.accuracy is not None
    )


def _backs(frame: _Frame, placed: Sequence[Placed]) -> "alt.Chart":
    """The labels' boxes: the grid's lines end there."""
    boxes = [one.box for one in placed]
    return chart(frame.back(box.left, box.top) | _renamed(frame.back(box.right, box.bottom)) for box in boxes)


_WORDS: dict[bool, dict[str, Any]] = {False: {"fill": "var(--ink)"}, True: {"fill": "var(--c2)", "fontWeight": "bold"}}
"""Styles of labels: those on the curve are bold."""

_MARK: dict[str, Any] = {"shape": "circle", "size": math.pi * _RADIUS_PX**2, "opacity": 1, "strokeWidth": 1.5}


def _marks(rows: Sequence[Row]) -> Iterable[tuple[dict[str, Any], list[int]]]:
    """Styles and the rows that bear them: the curve's, what is counted here, and hollow what is only published."""
    kinds: dict[str, list[int]] = {"curve": [], "counted": [], "published": []}
    for i, row in enumerate(rows):
        kinds["curve" if _on_curve(row) else "counted" if row.cost is not None else "published"].append(i)
    yield {"fill": "var(--c2)", "stroke": "var(--c2)"}, kinds["curve"]
    yield {"fill": "var(--c1)", "stroke": "var(--c1)"}, kinds["counted"]
    yield {"fill": "transparent", "stroke": "var(--c1)"}, kinds["published"]


def _renamed(end: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}2": value for name, value in end.items()}


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... between the two, or every digit where that is too few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), range(1, 10)):
        ticks = [tick for power in powers for step in steps if low <= (tick := step * 10.0**power) <= high]
        if len(ticks) >= _LEAST_TICKS:
            break
    return ticks
