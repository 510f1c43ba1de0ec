"""The best network under a budget with depth, width and resolution each on its own.

Every pair of a distinct depth and width is taken with its largest resolution that fits, found by
bisection for all pairs at once (costs grow with the side). The best by an accuracy model that rises with every
axis is among these. A few pairs are taken first: what they reach says for every other pair which side it would
need to be as good, and most cannot afford that side.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from compoundnet.errors import RequestError
from compoundnet.scaling.accuracy import AccuracyModel
from compoundnet.scaling.baseline import AXES, Axis, Baseline
from compoundnet.scaling.bisection import first_index
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.compound import Multipliers
from compoundnet.scaling.solver import (
    Found,
    Latency,
    Price,
    choices,
    found_at,
    never_ends,
    nothing_fits,
    overstepping,
    pricer,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

_Ends: TypeAlias = dict[Axis, tuple[float, float]]
_Grid: TypeAlias = "dict[Axis, Floats]"

__all__ = ["free"]

_EXACT = (2.0**-20, 8.0)  # multipliers of one axis, to begin with; at the first any size is the smallest there is
_COUNTED = (1 / 2, 4.0)  # where every network must be built to be counted
_FARTHEST = 128.0  # and its inverse
_SPARSE = 8  # of the depths and widths that are taken first, every so many


def free(baseline: Baseline, model: AccuracyModel, budget: Budget, latency: Latency | None = None) -> Found:
    """The best network by ``model`` that fits ``budget``, among all distinct ones with sides of 8 pixels or more.

    Upward an axis is looked at up to 8 times the baseline's, and twice as far, up to 128 times, while the best
    stands at that end. A baseline that is not exact is looked at on its grid, from a half to 4 times; twice as far
    up likewise, and down, to a 128th, while the best, or nothing, stands at that end. Where the best stands at an
    end all the same, the answer says so.

    An axis that counts for nothing in the model stays as it is, or shrinks where otherwise nothing fits; of equally
    good networks that with the fewest MACs is taken.

    Raises:
        RequestError: nothing fits, no limit bounds every axis, or nothing counts in the model.
    """
    if not budget.bounds_all:
        limits = budget.limits()
        raise RequestError(
            f"{' and '.join(limits)} alone {'do' if len(limits) > 1 else 'does'} not limit the resolution; "
            "add a limit on MACs, activations, memory or latency"
        )
    if not any(model.counts(axis) for axis in AXES):
        raise RequestError("by this accuracy model no axis makes a network better, so it cannot choose; take a rule")
    price = pricer(baseline, budget, latency)
    ends: _Ends = dict.fromkeys(AXES, _EXACT if baseline.exact else _COUNTED)
    refused: dict[Axis, str] = {}
    shrunk = False  # what counts for nothing
    while True:
        grid = _grid(ends, baseline, model, shrunk)
        found = _best_on(baseline, grid, model, budget, price)
        wider, why = _widened(ends, grid, found, baseline, model, refused)
        refused |= why
        if wider != ends:
            ends = wider
        elif found is None and not shrunk:
            shrunk = True
        else:
            break
    doubts = [
        f"{axis} was looked at from x{ends[axis][0]:g} to x{ends[axis][1]:g} only: {why}"
        for axis, why in refused.items()
    ]
    if found is None:
        least = (grid["depth"][:1], grid["width"][:1], grid["resolution"][:1])
        where = "with a side of 8 px or more" if baseline.exact else "on the grid that was looked at"
        raise nothing_fits(baseline, least, price(least)[1], budget, where, doubts)
    return replace(found, doubts=(*doubts, *_ended(ends, grid, found, baseline, model, refused)))


def _grid(ends: _Ends, baseline: Baseline, model: AccuracyModel, shrunk: bool) -> _Grid:
    """The multipliers between the ends; of an axis that counts for nothing 1 alone, or if ``shrunk`` none above."""
    import numpy as np

    return {
        axis: choices(baseline, axis, ends[axis][0], ends[axis][1] if model.counts(axis) else 1.0)
        if shrunk or model.counts(axis)
        else np.ones(1)
        for axis in AXES
    }


def _widened(
    ends: _Ends, grid: _Grid, found: Found | None, baseline: Baseline, model: AccuracyModel, closed: Iterable[Axis]
) -> tuple[_Ends, dict[Axis, str]]:
    """The ends, twice as far where the best stands at one, but for axes that are closed; and why others are now."""
    wider, refused = dict(ends), {}
    for axis in (a for a in AXES if a not in closed):
        (low, high), (at_low, at_high) = ends[axis], _at_ends(grid[axis], axis, found, model)
        beyond = (
            low / 2 if at_low and low > 1 / _FARTHEST else low,
            2 * high if at_high and high < _FARTHEST else high,
        )
        try:  # a factory may build nothing there
            for end in set(beyond) - {low, high}:
                baseline.costs(*(end if a == axis else 1.0 for a in AXES))
        except RequestError as error:
            refused[axis] = str(error)
        else:
            wider[axis] = beyond
    return wider, refused


def _at_ends(multipliers: "Floats", axis: Axis, found: Found | None, model: AccuracyModel) -> tuple[bool, bool]:
    """Whether the best has the first multiplier of an axis, as what does not fit would want, and the last."""
    counts = model.counts(axis)
    own = multipliers[0] if found is None else getattr(found.scaling, axis)
    low = bool(own == multipliers[0]) and (counts or len(multipliers) > 1)
    return low, found is not None and counts and bool(own == multipliers[-1])


def _ended(
    ends: _Ends, grid: _Grid, found: Found, baseline: Baseline, model: AccuracyModel, closed: Iterable[Axis]
) -> Iterator[str]:
    """Where the best stands at an end beyond which there would be more, a line each."""
    for axis in (a for a in AXES if a not in closed):
        at_low, at_high = _at_ends(grid[axis], axis, found, model)
        more = choices(baseline, axis, ends[axis][0] / 2, 1.0)[0] < grid[axis][0] and not baseline.exact
        if at_high or (at_low and more):
            own = getattr(found.scaling, axis)
            yield f"its {axis}, x{own:.3g}, is the {'largest' if at_high else 'smallest'} that was looked at"


def _best_on(baseline: Baseline, grid: _Grid, model: AccuracyModel, budget: Budget, price: Price) -> Found | None:
    """The best network on a grid of multipliers; None if none fits.

    Where each must be built, none is if the smallest does not fit, as if costs never fell.
    """
    import numpy as np

    def overstep(at: Any) -> Any:
        d, w, r = (grid[axis][i] for axis, i in zip(AXES, at, strict=True))
        return overstepping(price((d, w, r))[1], budget)

    if not baseline.exact and overstep(np.zeros((3, 1), int))[0] > 1:
        return None
    size = {axis: baseline.effective(axis, grid[axis]) for axis in AXES}
    try:
        best, at = _search(size, model, overstep)
    except RequestError as error:
        if not baseline.exact:  # what a factory says of itself
            raise
        raise never_ends(baseline, budget, "before its costs are too large to be counted") from error
    return None if math.isinf(best) else _cheapest(grid, size, at, model, budget, price)


def _search(size: dict[Axis, "Floats"], model: AccuracyModel, overstep: Callable[[Any], Any]) -> tuple[float, Any]:
    """The least loss of any triple of indices that does not overstep, and all triples that have it."""
    import numpy as np

    with np.errstate(over="ignore"):  # of next to nothing of an axis
        depth, width, resolution = (model.lost(axis, size[axis]) for axis in AXES)

    def loss(pairs: Any, sides: Any) -> Any:
        return depth[pairs[0]] + width[pairs[1]] + resolution[sides]

    grid = np.indices((len(depth), len(width)))
    best, at = math.inf, None
    for step in (_SPARSE, 1):
        pairs = grid[:, ::step, ::step].reshape(2, -1)
        best, at = _best_of(pairs, len(resolution), loss, overstep, best)
    return best, at


def _best_of(
    pairs: Any, sides: int, loss: Callable[[Any, Any], Any], overstep: Callable[[Any], Any], best: float
) -> tuple[float, Any]:
    """The least loss of these pairs where it is no more than ``best``, and all triples that have it.

    ``low`` and ``high`` are, for each pair, a side that fits and one that does not.
    """
    import numpy as np

    low = first_index(lambda pair, at: loss(pairs[:, pair], at) <= best, np.zeros_like(pairs[0]), sides)
    pairs, low = pairs[:, low < sides], low[low < sides]
    fits = overstep((*pairs, low)) <= 1
    pairs, low = pairs[:, fits], low[fits]
    high = np.full_like(low, sides)
    while len(low):
        best = min(best, float(loss(pairs, low).min()))
        hopeful = loss(pairs, high - 1) <= best
        pairs, low, high = pairs[:, hopeful], low[hopeful], high[hopeful]
        open_ = np.flatnonzero(high - low > 1)
        if not len(open_):
            break
        middle = (low[open_] + high[open_]) // 2
        fits = overstep((*pairs[:, open_], middle)) <= 1
        low[open_[fits]], high[open_[~fits]] = middle[fits], middle[~fits]
    kept = loss(pairs, low) <= best
    return best, (*pairs[:, kept], low[kept])


def _cheapest(
    grid: _Grid,
    size: dict[Axis, "Floats"],
    at: Any,
    model: AccuracyModel,
    budget: Budget,
    price: Price,
) -> Found:
    """Of equally good candidates that with the fewest MACs, and the better step on one axis that oversteps least."""
    import numpy as np

    by = [grid[axis][i] for axis, i in zip(AXES, at, strict=True)]
    costs, _ = price((by[0], by[1], by[2]))
    first = np.lexsort((costs.params, costs.macs))[0]
    chosen = Multipliers(*(float(axis[first]) for axis in by))
    own = {axis: int(i[first]) for axis, i in zip(AXES, at, strict=True)}
    loss = model.loss(*(size[axis][own[axis]] for axis in AXES))
    steps = [chosen]
    for axis in AXES:
        larger = np.flatnonzero(size[axis] > size[axis][own[axis]])
        step = own | {axis: int(larger[np.argmin(size[axis][larger])])} if len(larger) else own
        if model.loss(*(size[a][step[a]] for a in AXES)) < loss:
            steps.append(chosen._replace(**{axis: float(grid[axis][step[axis]])}))
    d, w, r = (np.array(column) for column in zip(*steps, strict=True))
    costs, used = price((d, w, r))
    after = int(np.argmin(overstepping(used, budget)[1:])) + 1 if len(steps) > 1 else None
    return found_at((d, w, r), costs, used, budget, 0, after)
