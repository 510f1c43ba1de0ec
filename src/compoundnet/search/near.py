"""All networks of about one cost: every scaling of a baseline whose realised MACs lie within a tolerance."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compoundnet.errors import RequestError
from compoundnet.scaling.baseline import AXES, Axis, Baseline
from compoundnet.scaling.bisection import first_index
from compoundnet.scaling.solver import choices

__all__ = ["networks_near", "own_macs"]

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

_MOST_PAIRS = 1_000_000  # of depth and width, all looked at: ten seconds
_FARTHEST, _STEP = 16, 1.25  # times the nominal multiplier of one axis alone; how it gets there


def own_macs(baseline: Baseline) -> int:
    """MACs of the baseline as it is."""
    return int(baseline.costs(*np.ones((3, 1))).macs[0])


def networks_near(baseline: Baseline, factor: float, tolerance: float) -> list[Floats]:
    """Every distinct network, nowhere smaller than the baseline, whose realised MACs are ``factor`` times its own.

    As arrays of the three multipliers. For each pair of a depth and a width those are the sides from one to another,
    since MACs never fall when the side grows; both ends are found by bisection, for all pairs at once.

    Raises:
        RequestError: there is none, or there are too many pairs to look at.
    """
    depths, widths, sides = (choices(baseline, axis, 1.0, _end(baseline, axis, factor, tolerance)) for axis in AXES)
    if len(depths) * len(widths) > _MOST_PAIRS:
        raise RequestError(
            f"{factor:g} times the MACs of {baseline.name} can be reached by {len(depths) * len(widths):,} pairs of "
            "depth and width, too many to look at; take a smaller phi"
        )
    sides = sides[np.argsort(baseline.effective("resolution", sides), kind="stable")]  # 1 alone is not rounded
    d, w = (grid.ravel() for grid in np.meshgrid(depths, widths, indexing="ij"))
    own = own_macs(baseline)

    def excess(at: Indices, side: Indices) -> Floats:
        return np.asarray(baseline.costs(d[at], w[at], sides[side]).macs / own / factor - 1)

    first, after = _between(excess, len(d), len(sides), tolerance)
    many = after - first
    if not many.any():
        around = [excess(np.arange(len(d)), np.clip(first + step, 0, len(sides) - 1)) for step in (-1, 0)]
        nearest = min(np.concatenate(around), key=lambda x: abs(math.log1p(x)))
        raise RequestError(
            f"no scaling of {baseline.name} costs within {100 * tolerance:g} % of {factor:g} times its MACs "
            f"(the nearest {_told(nearest, factor, tolerance)} times); raise the tolerance"
        )
    pair = np.repeat(np.arange(len(many)), many)
    side = np.arange(len(pair)) - np.repeat(np.cumsum(many) - many - first, many)
    order = np.lexsort((sides[side], pair))
    return _distinct(baseline, [axis[order] for axis in (d[pair], w[pair], sides[side])])


def _told(excess: float, factor: float, tolerance: float) -> str:
    """What costs ``factor`` times (1 + excess), in as few digits as lie outside the tolerance too."""
    texts = (f"{factor * (1 + excess):.{digits}g}" for digits in range(3, 18))
    return next((text for text in texts if abs(float(text) / factor - 1) > tolerance), f"{factor * (1 + excess)}")


def _end(baseline: Baseline, axis: Axis, factor: float, tolerance: float) -> float:
    """A multiplier of one axis that alone costs more than is looked for.

    Layers that do not grow with an axis (a stem and a head with depth, depthwise ones with the square of the
    width) let it grow further than the nominal cost says.
    """
    nominal = factor if axis == "depth" else factor**0.5
    end, enough = nominal * (1 + 2 * tolerance), (1 + tolerance) * factor * own_macs(baseline)
    while end < _FARTHEST * nominal:
        alone = (np.array([end if other == axis else 1.0]) for other in AXES)
        if baseline.costs(*alone).macs[0] > enough:
            break
        end *= _STEP
    return end


def _between(
    excess: Callable[[Indices, Indices], Floats], pairs: int, sides: int, tolerance: float
) -> tuple[Indices, Indices]:
    """For each pair the first side that exceeds -tolerance, and the first that exceeds tolerance."""
    first = np.zeros(pairs, np.int64)
    open_ = np.flatnonzero(excess(np.arange(pairs), first) <= tolerance)  # the others are too large with any side
    first[open_] = first_index(lambda i, at: excess(open_[i], at) >= -tolerance, first[open_], sides)
    after = first.copy()
    after[open_] = first_index(lambda i, at: excess(open_[i], at) > tolerance, first[open_], sides)
    return first, after


def _distinct(baseline: Baseline, by: Sequence[Floats]) -> list[Floats]:
    """Each network once: what a factory rounds to the same network costs the same."""
    if baseline.exact:
        return list(by)
    costs = baseline.costs(*by)
    sides = [baseline.resolution_at(float(r)) for r in by[2]]
    same = np.stack([costs.macs, costs.params, costs.activations, sides], axis=1)
    kept = np.sort(np.unique(same, axis=0, return_index=True)[1])
    return [axis[kept] for axis in by]
