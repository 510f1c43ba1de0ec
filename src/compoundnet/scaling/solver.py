"""The largest network along a rule that fits a budget, and what both ways of solving share.

Rounding makes finitely many networks of a baseline. Along a rule every interval between two breakpoints
of the cost factor s is one network: all are priced at once, and the largest s that fits is exact, whether
or not costs grow with s.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from compoundnet.cost import Cost
from compoundnet.errors import RequestError
from compoundnet.scaling.baseline import AXES, Axis, Baseline
from compoundnet.scaling.budget import Budget, shown, spent
from compoundnet.scaling.compound import LEAST_SIDE, Multipliers, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = [
    "Found",
    "Latency",
    "Many",
    "Price",
    "along",
    "choices",
    "found_at",
    "networks_along",
    "never_ends",
    "nothing_fits",
    "overstepping",
    "pricer",
]

Many: TypeAlias = "tuple[Floats, Floats, Floats]"
"""Depth, width and resolution multipliers of many candidates."""
Price: TypeAlias = Callable[[Many], tuple[Cost, dict[str, Any]]]
Latency: TypeAlias = Callable[[Any, Any, Any], Any]
"""Milliseconds of a baseline at (depth, width, resolution); numbers or arrays."""

_POWERS = (-30, 20)  # of two: factors of the baseline's cost along a rule
_USUAL = 9  # the power of two that ends an ordinary budget: B0 to L2 is 2^9 times the MACs


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The answer of a solver: multipliers, cost, and the smallest step beyond them.

    Attributes:
        scaling: multipliers of the baseline.
        cost: realised.
        spent: what the network spends of each limit, by its name.
        next_scaling: the next larger network; along a rule the next one, free the one step on one axis that
            oversteps least. None where there is none.
        next_cost: what that one would cost.
        next_spent: what it would spend.
        binding: limits that it would overstep.
        doubts: where better ones were not looked at, a line each.
    """

    scaling: Multipliers
    cost: Cost
    spent: dict[str, float]
    next_scaling: Multipliers | None
    next_cost: Cost | None
    next_spent: dict[str, float]
    binding: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def networks_along(baseline: Baseline, rule: Rule, low: float, high: float) -> "Floats":
    """Cost factors s in low..high, ascending, one for each distinct network along the rule (s = 1 among them).

    An interval of s between two breakpoints is one network and stands here by one of its points; a breakpoint
    where one axis has stepped already and another has not is one by itself.
    """
    import numpy as np

    edges = [np.array([low, high])]
    for axis, exponent in zip(AXES, rule.exponents, strict=True):
        if exponent:
            edges.append(baseline.breakpoints(axis, low**exponent, high**exponent) ** (1 / exponent))
    bounds = np.unique(np.concatenate(edges))
    s = np.unique(np.concatenate([bounds, np.sqrt(bounds[:-1] * bounds[1:]), [1.0] if low <= 1 <= high else []]))
    return _distinct(baseline, rule, s)


def along(baseline: Baseline, rule: Rule, budget: Budget, latency: Latency | None = None) -> Found:
    """The largest network along ``rule`` that fits ``budget``; over cost factors 2^-30 to 2^20.

    Sides are of 8 pixels or more, or of the baseline's if that has fewer.

    Exact where the baseline is; else by bisection, as if costs never fell while the factor grows. Where a factory
    does not build what is larger than its baseline, the growth ends, and the answer says so.

    Raises:
        RequestError: nothing fits (says what would and which limit to loosen), or no limit ever binds.
    """
    import numpy as np

    price = pricer(baseline, budget, latency)
    refused = [""]

    def overstep(by: Many) -> Any:
        try:
            return overstepping(price(by)[1], budget)
        except RequestError as error:
            if baseline.exact or max(axis.max() for axis in by) <= 1:
                raise
            refused.append(str(error))
            return np.full(by[0].shape, np.inf)

    low, high = _range(baseline, rule, budget, overstep)
    s = networks_along(baseline, rule, low, high)
    doubts: tuple[str, ...] = ()
    if not baseline.exact:
        s = _around_last(s, lambda at: bool(overstep(_at(rule, at))[0] <= 1))
        if len(s) > 1 and np.isinf(overstep(_at(rule, s[1:]))[0]):
            s, doubts = s[:1], (f"larger networks were not looked at: {refused[-1]}",)
    by = _at(rule, s)
    costs, used = price(by)
    fits = np.flatnonzero(overstepping(used, budget) <= 1)
    if not len(fits):
        raise nothing_fits(baseline, by, used, budget, "along this rule", ["or choose each axis on its own (--free)"])
    i = int(fits[-1])
    found = found_at(by, costs, used, budget, i, i + 1 if i + 1 < len(s) else None)
    return replace(found, doubts=doubts)


def pricer(baseline: Baseline, budget: Budget, latency: Latency | None) -> "Price":
    """What candidates cost, and what they spend of each limit."""

    def price(by: Many) -> tuple[Cost, dict[str, Any]]:
        costs = baseline.costs(*by)
        peak = budget.training_bytes and baseline.training_bytes(*by, budget.training_images)
        return costs, spent(costs, budget, training_bytes=peak, latency_ms=latency and latency(*by))

    return price


def _at(rule: Rule, s: "Floats") -> Many:
    """The multipliers of cost factors."""
    depth, width, resolution = (s**exponent for exponent in rule.exponents)
    return depth, width, resolution


def _least_factor(baseline: Baseline, rule: Rule) -> float:
    """The cost factor below which the side would be less than 8 pixels, or the baseline's own if that is less."""
    return _least_multiplier(baseline) ** (2 / rule.resolution) if rule.resolution else 0.0


def _least_multiplier(baseline: Baseline) -> float:
    own = baseline.resolution_at(1.0)
    return LEAST_SIDE / own if own > LEAST_SIDE else 0.0


def _distinct(baseline: Baseline, rule: Rule, s: "Floats") -> "Floats":
    """One of each run of equal networks: the middle one, or 1."""
    import numpy as np

    sizes = baseline.sizes(*_at(rule, s))
    starts = np.flatnonzero(np.append(True, (np.diff(sizes, axis=0) != 0).any(axis=1)))
    ends = np.append(starts[1:], len(s)) - 1
    kept: Floats = s[(starts + ends) // 2]
    kept[(s[starts] <= 1) & (s[ends] >= 1)] = 1.0
    return kept


def choices(baseline: Baseline, axis: Axis, low: float, high: float) -> "Floats":
    """Multipliers of one axis in low..high, ascending, one for each distinct size; the baseline's own is exactly 1."""
    import numpy as np

    index = AXES.index(axis)
    low = max(low, _least_multiplier(baseline)) if axis == "resolution" else low
    bounds = np.concatenate([[low], baseline.breakpoints(axis, low, high), [high]])
    middles = (bounds[:-1] + bounds[1:]) / 2
    x = np.concatenate([[1.0] if low <= 1 <= high else [], middles, bounds])  # the first stands for its equals
    one = np.ones(len(x))
    sizes = baseline.sizes(*(x if i == index else one for i in range(3)))
    distinct: Floats = np.sort(x[np.unique(sizes, axis=0, return_index=True)[1]])
    return distinct


def _range(baseline: Baseline, rule: Rule, budget: Budget, overstep: Callable[[Any], Any]) -> tuple[float, float]:
    """Cost factors between which the largest network that fits must lie.

    An exact baseline is priced at powers of two, all at once; the upper end is four doublings past the last
    that fits, for rounding can make a larger factor cheaper, but not sixteen times. Any other is doubled,
    or halved, from where it stands.

    Raises:
        RequestError: no limit ends its growth.
    """
    (least, most), smallest = _POWERS, _least_factor(baseline, rule)
    least = max(least, math.floor(math.log2(smallest))) if smallest else least
    find = _last_power if baseline.exact else _last_power_by_doubling
    try:
        last = find(rule, overstep, least, most)
    except RequestError:  # of one axis alone 2^20 may be more than can be counted
        if not baseline.exact:
            raise
        most = _largest_power(rule, overstep, most)
        last = find(rule, overstep, least, most)
    if last == most:
        raise never_ends(baseline, budget, f"along this rule, up to 2^{most} times its cost")
    low = max(2.0**last, smallest)
    return low, max(2.0 ** (min(last + 4, most) if baseline.exact else last + 1.5), 4 * low)


def _last_power(rule: Rule, overstep: Callable[[Any], Any], least: int, most: int) -> int:
    """The last power of two that fits, looking further up only while the end of a stretch fits."""
    import numpy as np

    last, start = least, least
    for end in (min(_USUAL, most), most):
        powers = np.arange(start, end + 1, dtype=np.float64)
        fits = np.flatnonzero(overstep(_at(rule, 2.0**powers)) <= 1)
        last = start + int(fits[-1]) if len(fits) else last
        if last < end:
            break
        start = end
    return last


def _largest_power(rule: Rule, overstep: Callable[[Any], Any], most: int) -> int:
    """The largest power of two up to ``most`` whose cost can be counted; 0, the baseline, always can."""
    import numpy as np

    for power in range(most, 0, -1):
        try:
            overstep(_at(rule, np.array([2.0**power])))
        except RequestError:
            continue
        return power
    return 0


def _last_power_by_doubling(rule: Rule, overstep: Callable[[Any], Any], least: int, most: int) -> int:
    import numpy as np

    def holds(power: int) -> bool:
        return bool(overstep(_at(rule, np.array([2.0**power])))[0] <= 1)

    if not holds(0):
        return next((power for power in range(-1, least, -1) if holds(power)), least)
    last = 0
    while last < most and holds(last + 1):
        last += 1
    return last


def _around_last(s: "Floats", fits: Callable[["Floats"], bool]) -> "Floats":
    """The last of ``s`` that fits and the one after it, by bisection; the first two if none does."""
    low, high = 0, len(s)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(s[middle : middle + 1]) else (low, middle)
    return s[low : low + 2]


def overstepping(used: dict[str, Any], budget: Budget) -> Any:
    """The largest share of any limit that is spent; at most 1: it fits."""
    import numpy as np

    with np.errstate(over="ignore"):  # by a limit next to nothing
        return np.max([np.asarray(used[name], float) / limit for name, limit in budget.limits().items()], axis=0)


def found_at(by: Any, costs: Cost, used: dict[str, Any], budget: Budget, i: int, after: int | None) -> Found:
    """Candidate ``i`` as the answer, candidate ``after`` as the next larger."""

    def plain(values: dict[str, Any], at: int) -> dict[str, float]:
        return {name: values[name][at].item() for name in values}

    larger = {} if after is None else plain(used, after)
    return Found(
        scaling=Multipliers(*(float(axis[i]) for axis in by)),
        cost=costs.at(i),
        spent=plain(used, i),
        next_scaling=None if after is None else Multipliers(*(float(axis[after]) for axis in by)),
        next_cost=None if after is None else costs.at(after),
        next_spent=larger,
        binding=tuple(name for name, limit in budget.limits().items() if larger.get(name, 0) > limit),
    )


def never_ends(baseline: Baseline, budget: Budget, where: str) -> RequestError:
    """No limit is reached as far as was looked."""
    limits, another = budget.limits(), "" if budget.macs else ", or another one, such as on MACs"
    return RequestError(
        f"{' and '.join(limits)} never {'end' if len(limits) > 1 else 'ends'} the growth of {baseline.name} {where}; "
        f"give a lower limit{another}"
    )


def nothing_fits(
    baseline: Baseline, by: Many, used: dict[str, Any], budget: Budget, where: str, also: Sequence[str] = ()
) -> RequestError:
    """Names the candidate that oversteps least, and the limits that would have to give way.

    ``where`` says among what it is the nearest, and ``also`` what was not looked at.
    """
    import numpy as np

    i = int(np.argmin(overstepping(used, budget)))
    needs = [
        f"{name} of at least {shown(name, used[name][i])} ({used[name][i]:,}), not {shown(name, limit)}"
        for name, limit in budget.limits().items()
        if used[name][i] > limit
    ]
    side = baseline.resolution_at(float(by[2][i]))
    loosen = "loosen that limit" if len(needs) == 1 else "loosen these limits"
    return RequestError(
        f"no scaling of {baseline.name} {where} fits; the nearest (depth x{by[0][i]:.3g}, width x{by[1][i]:.3g}, "
        f"{side} px) needs {' and '.join(needs)}: {'; '.join([f'{loosen}, or take a smaller baseline', *also])}"
    )
