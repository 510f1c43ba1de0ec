"""The triangle of cost shares (depth, width, resolution): its grid, its quadratics, its picture in the plane."""

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "HEIGHT",
    "SHAPE_COLUMNS",
    "Floats",
    "from_plane",
    "grid",
    "hull",
    "inside",
    "shape_terms",
    "to_plane",
]

Floats: TypeAlias = NDArray[np.float64]

HEIGHT = 3**0.5 / 2
"""Of an equilateral triangle with sides of 1."""

SHAPE_COLUMNS = 6
"""Three linear and three mixed terms; as shares sum to 1, five of them are free."""

_CORNERS = np.array([[0.5, HEIGHT], [0.0, 0.0], [1.0, 0.0]])  # depth on top, width left, resolution right


@cache
def grid(steps: int) -> Floats:
    """All shares in steps of ``1 / steps``, edges and corners included: ``((steps + 1)(steps + 2) / 2, 3)``, read-only.

    >>> grid(1).tolist()
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    whole = [(d, w, steps - d - w) for d in range(steps + 1) for w in range(steps + 1 - d)]
    shares = np.array(whole, dtype=np.float64) / steps
    shares.setflags(write=False)
    return shares


def shape_terms(shares: Floats) -> Floats:
    """Columns ``(m, 6)`` for shares ``(m, 3)``: each share, each product of two; 0 in the middle of the triangle."""
    d, w, r = shares.T
    return np.stack([d - 1 / 3, w - 1 / 3, r - 1 / 3, d * w - 1 / 9, d * r - 1 / 9, w * r - 1 / 9], axis=1)


def to_plane(shares: ArrayLike) -> Floats:
    """Points ``(..., 2)`` of an equilateral triangle with sides of 1 for shares ``(..., 3)``; depth is on top."""
    plane: Floats = np.asarray(shares, dtype=np.float64) @ _CORNERS
    return plane


def from_plane(points: ArrayLike) -> Floats:
    """The shares ``(..., 3)`` of points ``(..., 2)``: the inverse of :func:`to_plane`."""
    x, y = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
    depth = y / HEIGHT
    resolution = x - depth / 2
    return np.stack([depth, 1 - depth - resolution, resolution], axis=-1)


def hull(points: ArrayLike) -> Floats:
    """The corners of the convex hull of points ``(n, 2)``, counter-clockwise; of points on a line, its two ends.

    Andrew's monotone chain (1979): sorted points, keeping left turns only.
    """
    rows = np.unique(np.asarray(points, dtype=np.float64).round(12), axis=0)
    if len(rows) < 3:
        return rows
    halves = []
    for ordered in (rows, rows[::-1]):
        kept: list[Floats] = []
        for point in ordered:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 1e-9:
                kept.pop()
            kept.append(point)
        halves.append(kept[:-1])
    return np.array(halves[0] + halves[1])


def inside(points: ArrayLike, corners: Floats) -> Floats:
    """How far points ``(n, 2)`` lie inside a convex polygon: distance to its nearest side's line, negative outside.

    A polygon without an inside (fewer than three corners) has every point outside: minus infinity.
    """
    at = np.asarray(points, dtype=np.float64)
    if len(corners) < 3:
        return np.full(len(at), -np.inf)
    sides = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1, keepdims=True)
    distances: Floats = ((at[:, None, :] - corners) * normals).sum(axis=2).min(axis=1)
    return distances


def _turn(a: Floats, b: Floats, c: Floats) -> float:
    """Twice the signed area of a, b, c: positive where the path turns left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
