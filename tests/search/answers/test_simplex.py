"""The triangle of shares: its picture in the plane loses nothing, and what was tried of it is convex."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.search.answers.simplex import from_plane, grid, hull, inside, to_plane

coordinates = st.integers(-20, 20).map(lambda n: n / 10)
points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=30)


def test_the_grid_has_every_share_once() -> None:
    shares = grid(10)
    assert len(shares) == 66 == len(np.unique(shares, axis=0))
    assert np.allclose(shares.sum(axis=1), 1)
    assert shares.min() == 0


def test_corners_are_one_apart_and_depth_is_on_top() -> None:
    depth, width, resolution = to_plane(np.eye(3))
    assert depth[1] > width[1] == resolution[1] == 0
    assert np.allclose([np.linalg.norm(depth - width), np.linalg.norm(depth - resolution), resolution[0]], 1)


def test_shares_come_back_from_the_plane() -> None:
    shares = grid(7)
    assert np.allclose(from_plane(to_plane(shares)), shares)
    assert np.allclose(from_plane(to_plane(shares[3])), shares[3])


@given(points)
def test_a_hull_holds_all_points_and_turns_left_at_each_of_them(at: list[tuple[float, float]]) -> None:
    corners = hull(at)
    known = {tuple(point) for point in np.round(at, 12)}
    assert {tuple(corner) for corner in corners} <= known
    if len(corners) >= 3:
        assert inside(at, corners).min() >= -1e-9
        ahead = np.roll(corners, -1, axis=0) - corners
        beyond = np.roll(ahead, -1, axis=0)
        assert (ahead[:, 0] * beyond[:, 1] - ahead[:, 1] * beyond[:, 0] > 0).all()


def test_a_line_has_no_inside() -> None:
    corners = hull([(0, 0), (1, 1), (2, 2)])
    assert len(corners) == 2
    assert inside([(1, 1)], corners).tolist() == [-np.inf]


def test_inside_is_the_distance_to_the_nearest_side() -> None:
    square = hull([(0, 0), (2, 0), (2, 2), (0, 2), (1, 1), (1, 0)])
    assert len(square) == 4
    assert inside([(1, 0.5), (0, 1), (3, 1)], square).tolist() == [0.5, 0.0, -1.0]
