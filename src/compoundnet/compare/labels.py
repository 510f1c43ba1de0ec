"""Where the labels of a scatter chart go: none over another, over a point, or out of the frame. All in pixels.

Each label has some hundred places round its point, near ones first. It takes the cheapest given where the others are,
and all choose again until none wants to move. That is begun in several orders, crowded points first and others by
chance, always the same; the cheapest end counts. A label that is not beside its point is
tied to it by a line, and so is one that another point is as near to. y grows downwards.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Box", "Placed", "Point", "place", "text_width"]

# Advance widths of Helvetica, which Arial and Liberation Sans share, in thousandths of the size; Adobe's AFM file.
_WIDTHS = {
    **dict.fromkeys("ijl", 222), **dict.fromkeys("|", 260), **dict.fromkeys(" !,./:;I[\\]ft", 278),
    **dict.fromkeys("()-`r{}", 333), **dict.fromkeys("\"'*", 370), **dict.fromkeys("Jckszvxy", 500),
    **dict.fromkeys("#$0123456789?L_abdeghnopqu", 556), **dict.fromkeys("+<=>~^", 584), **dict.fromkeys("FTZ", 611),
    **dict.fromkeys("&ABEKPSVXY", 667), **dict.fromkeys("CDHNRUw", 722), **dict.fromkeys("GOQ", 778),
    **dict.fromkeys("Mm", 833), **dict.fromkeys("%W@", 1000),
}  # fmt: skip
_WIDEST = 1000  # of a character that is not listed

_DISTANCES = (3.0, 8.0, 14.0, 21.0, 30.0, 41.0, 54.0, 70.0, 90.0, 115.0, 145.0, 180.0)
_DIRECTIONS = 16
_LINE_FROM = 10.0  # pixels between a point and its label from which a line ties them
_SHORTEST = 7.0  # pixels of such a line where another point is near
_AMBIGUOUS = 4.0  # pixels by which another point may at most be farther from a label than its own
_APART = 1.0  # pixels between boxes, at least
_SPACE = 7.0  # pixels between labels side by side, at least: two names must not read as one
_GAP = 2.0  # pixels between a line and its label
_PASSES, _ORDERS = 12, 24
_TRIED = 2  # orders after which it is given up if labels still overlap
_WORK = 5000  # orders times neighbours
_FULL = 0.5  # share of the frame that labels may cover
_OVERLAP = 1e6  # what it costs to stand on another label; the rest are distances in pixels that it is worth
_ON_CURVE, _LINE_ON_CURVE, _LINE_BY_POINT, _LINE_ON_BOX, _LINES_CROSS = 250.0, 12.0, 80.0, 300.0, 120.0
_BY_ANOTHER, _UNTIED = 12.0, 150.0  # what it costs to be as near to another point, with a line and without
_SIDEWAYS = 4.0  # a label above or below its point reads as well beside it


class Point(NamedTuple):
    """A mark with its label; ``width`` and ``height`` are the label's."""

    x: float
    y: float
    radius: float
    width: float
    height: float


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two share more than an edge."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def grown(self, by: float, sideways: float | None = None) -> "Box":
        """With so many pixels more on every side, or so many others to the left and to the right."""
        across = by if sideways is None else sideways
        return Box(self.left - across, self.top - by, self.right + across, self.bottom + by)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Its point nearest to (x, y)."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)


class _Line(NamedTuple):
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A label's box, and the line from its point to it, where it is not beside it."""

    box: Box
    line: tuple[float, float, float, float] | None


class _Place(NamedTuple):
    cost: float  # without the other labels
    box: Box
    line: _Line | None
    hull: Box  # round both, and as far as others are kept from them


def text_width(text: str, size: float) -> float:
    """Pixels of a text in Arial, or a little more."""
    return sum(_WIDTHS.get(character, _WIDEST) for character in text) * size / 1000


def place(
    points: Sequence[Point], width: float, height: float, curve: Sequence[tuple[float, float]] = ()
) -> list[Placed] | None:
    """A place for every label inside the frame, none over another or over a point; None: there is no room.

    ``curve`` is a line through points that labels had better not hide.
    """
    if sum(p.width * p.height for p in points) > _FULL * width * height:
        return None
    segments = [_Line(*a, *b) for a, b in pairwise(curve)]
    options = [_options(i, points, width, height, segments) for i in range(len(points))]
    if not all(options):
        return None
    best: tuple[float, list[_Place]] = (math.inf, [])
    for tried, order in enumerate(_orders(points)):
        if tried == _TRIED and best[0] >= _OVERLAP:
            break
        best = min(best, _settled(options, order), key=lambda end: end[0])
    cost, places = best
    return [Placed(one.box, one.line) for one in places] if cost < _OVERLAP else None


def _orders(points: Sequence[Point]) -> Iterator[list[int]]:
    """Crowded points first; then by chance."""
    order = sorted(range(len(points)), key=lambda i: (-_crowd(points[i], points), i))
    chance = random.Random(0)
    neighbours = sum(_crowd(point, points) for point in points)
    for _ in range(max(_TRIED, min(_ORDERS, _WORK // max(neighbours, 1)))):
        yield list(order)
        chance.shuffle(order)


def _settled(options: Sequence[Sequence[_Place]], order: Sequence[int]) -> tuple[float, list[_Place]]:
    """The places when no label wants to move, and what they cost together."""
    chosen: dict[int, _Place] = {}
    for _ in range(_PASSES):
        before = dict(chosen)
        for i in order:
            chosen[i] = _cheapest(options[i], [one for k, one in chosen.items() if k != i])
        if chosen == before:
            break
    places = [chosen[i] for i in range(len(options))]
    clashes = sum(_clash(one, other) for i, one in enumerate(places) for other in places[:i])
    return sum(one.cost for one in places) + clashes, places


def _crowd(point: Point, points: Sequence[Point]) -> int:
    return sum(abs(point.x - other.x) < 100 and abs(point.y - other.y) < 40 for other in points)


def _options(i: int, points: Sequence[Point], width: float, height: float, curve: Sequence[_Line]) -> list[_Place]:
    """Places inside the frame that hide no point, the cheapest first."""
    frame, found = Box(0, 0, width, height), []
    discs = [Box(p.x - p.radius, p.y - p.radius, p.x + p.radius, p.y + p.radius) for p in points]
    others = [disc.grown(1) for k, disc in enumerate(discs) if k != i]
    for distance, direction, box in _round(points[i]):
        inside = frame.left <= box.left and frame.top <= box.top and box.right <= frame.right
        wide = box.grown(1)
        if not inside or box.bottom > frame.bottom or any(wide.overlaps(disc) for disc in discs):
            continue
        doubtful = _is_doubtful(i, points, box)
        line = _tie(points[i], box, _SHORTEST if doubtful else _LINE_FROM)
        cost = distance + _SIDEWAYS * abs(math.sin(direction))
        cost += 0.0 if not doubtful else _UNTIED if line is None else _BY_ANOTHER
        cost += sum(_ON_CURVE for piece in curve if _crosses_box(piece, wide))
        if line is not None:
            cost += sum(_LINE_ON_CURVE for piece in curve if _crosses(line, piece))
            cost += sum(_LINE_BY_POINT for disc in others if _crosses_box(line, disc))
        found.append(_Place(cost, box, line, _hull(box, line)))
    return sorted(found, key=lambda place: place.cost)


def _hull(box: Box, line: _Line | None) -> Box:
    x1, y1, x2, y2 = line or (box.left, box.top, box.right, box.bottom)
    left, right = min(box.left, x1, x2), max(box.right, x1, x2)
    return Box(left, min(box.top, y1, y2), right, max(box.bottom, y1, y2)).grown(_SPACE)


def _round(point: Point) -> Iterator[tuple[float, float, Box]]:
    """Distances, directions and boxes of a label round its point."""
    for distance in _DISTANCES:
        for k in range(_DIRECTIONS):
            direction = 2 * math.pi * k / _DIRECTIONS
            across, down = math.cos(direction), math.sin(direction)
            reach = point.radius + distance
            x = point.x + reach * across + point.width / 2 * max(-1.0, min(1.0, 1.5 * across))
            y = point.y + reach * down + point.height / 2 * max(-1.0, min(1.0, 1.5 * down))
            half, high = point.width / 2, point.height / 2
            yield distance, direction, Box(x - half, y - high, x + half, y + high)


def _is_doubtful(i: int, points: Sequence[Point], box: Box) -> bool:
    """Whether a reader could take the label for another point's."""
    own = _distance(points[i], box)
    return any(_distance(other, box) < own + _AMBIGUOUS for k, other in enumerate(points) if k != i)


def _distance(point: Point, box: Box) -> float:
    x, y = box.nearest(point.x, point.y)
    return math.hypot(x - point.x, y - point.y)


def _tie(point: Point, box: Box, least: float) -> _Line | None:
    """From the point's edge to the nearest place of the box, if that is at least so long."""
    x, y = box.nearest(point.x, point.y)
    far = _distance(point, box)
    if far < point.radius + least:
        return None
    start, end = point.radius / far, 1 - _GAP / far
    dx, dy = x - point.x, y - point.y
    return _Line(point.x + start * dx, point.y + start * dy, point.x + end * dx, point.y + end * dy)


def _cheapest(options: Sequence[_Place], others: Sequence[_Place]) -> _Place:
    best, least = options[0], math.inf
    for option in options:
        if option.cost >= least:
            break  # the others can only add to it
        cost = option.cost
        for other in others:
            cost += _clash(option, other)
            if cost >= least:
                break
        if cost < least:
            best, least = option, cost
    return best


def _clash(one: _Place, other: _Place) -> float:
    if not one.hull.overlaps(other.hull):
        return 0.0
    cost = _OVERLAP if one.box.grown(_APART, _SPACE).overlaps(other.box) else 0.0
    if one.line is not None and _crosses_box(one.line, other.box.grown(1)):
        cost += _LINE_ON_BOX
    if other.line is not None and _crosses_box(other.line, one.box.grown(1)):
        cost += _LINE_ON_BOX
    if one.line is not None and other.line is not None and _crosses(one.line, other.line):
        cost += _LINES_CROSS
    return cost


def _crosses(a: _Line, b: _Line) -> bool:
    """Whether two lines cross, not only touch."""

    def side(line: _Line, x: float, y: float) -> float:
        return (line.x2 - line.x1) * (y - line.y1) - (line.y2 - line.y1) * (x - line.x1)

    apart = side(a, b.x1, b.y1) * side(a, b.x2, b.y2) < 0
    return apart and side(b, a.x1, a.y1) * side(b, a.x2, a.y2) < 0


def _crosses_box(line: _Line, box: Box) -> bool:
    """Whether any of the line lies inside the box (Liang and Barsky's clipping)."""
    x1, y1, x2, y2 = line
    left, top, right, bottom = box
    # nearly always, and soon told
    if (x1 <= left and x2 <= left) or (x1 >= right and x2 >= right):
        return False
    if (y1 <= top and y2 <= top) or (y1 >= bottom and y2 >= bottom):
        return False
    start, end = 0.0, 1.0
    dx, dy = x2 - x1, y2 - y1
    gaps = (x1 - left, right - x1, y1 - top, bottom - y1)
    for slope, gap in zip((-dx, dx, -dy, dy), gaps, strict=True):
        if slope == 0:
            if gap <= 0:
                return False
        elif slope < 0:
            start = max(start, gap / slope)
        else:
            end = min(end, gap / slope)
    return start < end
