"""The best network under a budget with depth, width and resolution each on its own.

Every pair of a distinct depth and width is taken with its largest resolution that fits, found by
bisection for all pairs at once (costs grow with the side). The best by an accuracy model that rises with every
axis is among these. A few pairs are taken first: what they reach says for every other pair which side it would
need to be as good, and most cannot afford that side.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from compoundnet.errors import RequestError
from compoundnet.scaling.accuracy import AccuracyModel
from compoundnet.scaling.baseline import AXES, Axis, Baseline
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.compound import Multipliers
from compoundnet.scaling.solver import Found, Latency, Price, choices, found_at, nothing_fits, overstepping, pricer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["free"]

_AXIS = (1 / 8, 8.0)  # multipliers of one axis, to begin with
_FARTHEST = 128.0
_AXIS_COUNTED = (1 / 2, 4.0)  # where every network must be built to be counted
_SPARSE = 8  # of the depths and widths that are taken first, every so many


def free(baseline: Baseline, model: AccuracyModel, budget: Budget, latency: Latency | None = None) -> Found:
    """The best network by ``model`` that fits ``budget``, among all distinct ones from an eighth of each axis on.

    Upward an axis is looked at up to 8 times the baseline's, and twice as far, up to 128 times, while the best
    stands at that end. A baseline that is not exact is looked at on its grid, from a half and up to 4 times.

    An axis that counts for nothing in the model stays as it is, or shrinks where otherwise nothing fits; of equally
    good networks that with the fewest MACs is taken.

    Raises:
        RequestError: nothing fits, no limit bounds every axis, or nothing counts in the model.
    """
    import numpy as np

    if not budget.bounds_all:
        raise RequestError(
            f"{' and '.join(budget.limits())} alone does not limit the resolution; "
            "add a limit on MACs, activations, memory or latency"
        )
    if not any(model.counts(axis) for axis in AXES):
        raise RequestError("by this accuracy model no axis makes a network better, so it cannot choose; take a rule")
    low, high = _AXIS if baseline.exact else _AXIS_COUNTED
    price = pricer(baseline, budget, latency)
    ends = dict.fromkeys(AXES, high)
    while True:
        grid = {a: choices(baseline, a, low, ends[a]) if model.counts(a) else np.ones(1) for a in AXES}
        found = _best_on(baseline, grid, model, budget, price)
        if found is None:
            for axis in AXES:
                if not model.counts(axis):
                    grid[axis] = choices(baseline, axis, low, 1.0)
            found = _best_on(baseline, grid, model, budget, price)
        if found is None:
            least = (grid["depth"][:1], grid["width"][:1], grid["resolution"][:1])
            raise nothing_fits(baseline, least, price(least)[1], budget)
        at_end = [a for a in AXES if model.counts(a) and getattr(found.scaling, a) == grid[a][-1]]
        if not at_end or not baseline.exact or max(ends[a] for a in at_end) >= _FARTHEST:
            return found
        ends |= {a: 2 * ends[a] for a in at_end}


def _best_on(
    baseline: Baseline, grid: dict[Axis, "Floats"], model: AccuracyModel, budget: Budget, price: Price
) -> Found | None:
    """The best network on a grid of multipliers; None if none fits."""

    def overstep(at: Any) -> Any:
        d, w, r = (grid[axis][i] for axis, i in zip(AXES, at, strict=True))
        return overstepping(price((d, w, r))[1], budget)

    size = {axis: baseline.effective(axis, grid[axis]) for axis in AXES}
    best, at = _search(size, model, overstep)
    return None if math.isinf(best) else _cheapest(grid, size, at, model, budget, price)


def _search(size: dict[Axis, "Floats"], model: AccuracyModel, overstep: Callable[[Any], Any]) -> tuple[float, Any]:
    """The least loss of any triple of indices that does not overstep, and all triples that have it."""
    import numpy as np

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

    low = _first(lambda at: loss(pairs, at) <= best, np.full_like(pairs[0], sides))
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


def _first(holds: Callable[[Any], Any], ends: Any) -> Any:
    """The first index, for each of many, at which something holds that then holds on; its end if nowhere."""
    import numpy as np

    low, high = np.zeros_like(ends), ends.copy()
    while (low < high).any():
        middle = (low + high) // 2
        there = holds(np.minimum(middle, ends - 1)) & (low < high)
        high = np.where(there, middle, high)
        low = np.where(there, low, np.minimum(middle + 1, high))
    return low


def _cheapest(
    grid: dict[Axis, "Floats"],
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
