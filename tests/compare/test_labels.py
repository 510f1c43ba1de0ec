"""No label over another, over a point or out of the frame, whatever the points."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compoundnet.compare.labels import Box, Placed, Point, place, text_width

WIDTH, HEIGHT, RADIUS = 600.0, 400.0, 4.0

coordinates = st.tuples(st.floats(20, WIDTH - 20), st.floats(20, HEIGHT - 20), st.floats(15, 110))


def points_at(places: list[tuple[float, float, float]]) -> list[Point]:
    return [Point(x, y, RADIUS, width, 14.0) for x, y, width in places]


def check(points: list[Point], placed: list[Placed]) -> None:
    boxes = [one.box for one in placed]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    for point, one in zip(points, placed, strict=True):
        assert one.box.left >= 0 and one.box.top >= 0 and one.box.right <= WIDTH and one.box.bottom <= HEIGHT
        assert one.box.right - one.box.left == pytest.approx(point.width)
        discs = (Box(p.x - RADIUS, p.y - RADIUS, p.x + RADIUS, p.y + RADIUS) for p in points)
        assert not any(one.box.overlaps(disc) for disc in discs)


@given(st.lists(coordinates, min_size=1, max_size=14))
@settings(max_examples=40)
@example([(300.0, 200.0, 80.0)] * 6)  # all at one place
@example([(20.0, 20.0, 110.0), (WIDTH - 20, HEIGHT - 20, 110.0)])
def test_labels_are_apart_and_inside(places: list[tuple[float, float, float]]) -> None:
    points = points_at(places)
    placed = place(points, WIDTH, HEIGHT)
    assert placed is not None
    check(points, placed)


def test_says_when_there_is_no_room() -> None:
    assert place(points_at([(300.0, 200.0, 100.0)] * 200), WIDTH, HEIGHT) is None
    assert place(points_at([(300.0, 200.0, WIDTH + 1)]), WIDTH, HEIGHT) is None


def test_a_lone_label_stands_beside_its_point_without_a_line() -> None:
    (placed,) = place(points_at([(300.0, 200.0, 80.0)]), WIDTH, HEIGHT) or []
    assert placed.line is None
    assert placed.box.top < 200 < placed.box.bottom


def test_a_label_that_is_far_from_its_point_is_tied_to_it() -> None:
    places = [(300.0 + i, 200.0, 90.0) for i in range(9)]
    points = points_at(places)
    placed = place(points, WIDTH, HEIGHT) or []
    far = [one for p, one in zip(points, placed, strict=True) if math.dist(one.box.nearest(p.x, p.y), (p.x, p.y)) > 16]
    assert far
    assert all(one.line is not None for one in far)


def test_a_line_through_the_points_is_not_hidden() -> None:
    points = points_at([(100.0, 200.0, 80.0), (300.0, 200.0, 80.0), (500.0, 200.0, 80.0)])
    placed = place(points, WIDTH, HEIGHT, [(p.x, p.y) for p in points]) or []
    assert not any(one.box.top < 200 < one.box.bottom and 100 < one.box.left < 500 for one in placed)


def test_the_same_points_give_the_same_places() -> None:
    points = points_at([(50.0 * i, 30.0 * i % 300 + 50, 70.0) for i in range(1, 11)])
    assert place(points, WIDTH, HEIGHT) == place(points, WIDTH, HEIGHT)


def test_widths_are_helveticas() -> None:
    """Adobe's Helvetica.afm: E 667, f 278, i 222, c 500, e 556, n 556, t 278, N 722, hyphen 333, B 667, 7 556."""
    assert text_width("EfficientNet-B7", 10) == pytest.approx(
        (667 + 278 + 278 + 222 + 500 + 222 + 556 + 556 + 278 + 722 + 556 + 278 + 333 + 667 + 556) / 100
    )
    assert text_width("網", 12) == 12.0


@given(st.lists(coordinates, min_size=2, max_size=8))
@settings(max_examples=40)
@example([(300.0, 200.0, 90.0), (303.0, 201.0, 60.0), (308.0, 202.0, 70.0)])
def test_a_label_that_another_point_is_as_near_to_is_tied_to_its_own(places: list[tuple[float, float, float]]) -> None:
    points = points_at(places)
    placed = place(points, WIDTH, HEIGHT)
    assert placed is not None
    for i, (point, one) in enumerate(zip(points, placed, strict=True)):
        gap = [math.dist(one.box.nearest(p.x, p.y), (p.x, p.y)) for p in points]
        nearer = [k for k in range(len(points)) if k != i and gap[k] < gap[i]]
        assert not nearer or one.line is not None, point
