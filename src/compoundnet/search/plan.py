"""Which candidates a study trains: for each rule and cost the largest network that fits, each network once a seed."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compoundnet.cost import Cost
from compoundnet.errors import RequestError
from compoundnet.scaling import Multipliers, Rule
from compoundnet.scaling.baseline import AXES, Baseline
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.design import plain
from compoundnet.scaling.solver import along, choices
from compoundnet.search.answers.simplex import Floats
from compoundnet.search.trials import UNEQUAL, Candidate

_MOST = 20_000_000  # networks that are priced at once: a gigabyte

__all__ = ["Plan", "plan_axes", "plan_coefficients"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Candidates in the order in which they are needed (every network from one seed before any from the next).

    ``notes`` say what was asked for and is not among them, and why.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]


def plan_coefficients(
    baseline: Baseline, phis: Sequence[float], networks: int, seeds: Sequence[int], tolerance: float
) -> Plan:
    """Candidates for the search of alpha, beta, gamma: networks of 2^phi times the baseline's realised MACs.

    Of all distinct networks within ``tolerance`` of that, none smaller than the baseline on any axis, those
    ``networks`` that cover the triangle of realised shares most evenly.

    Raises:
        RequestError: no network comes near enough.
    """
    candidates, notes = [], []
    for phi in phis:
        near = _near(baseline, 2.0**phi, tolerance)
        kept = [_at(baseline, 2.0**phi, plain(baseline, by)) for by in _spread(baseline, near, networks)]
        ratios = [f.macs_factor for f in kept]
        notes.append(
            f"phi {phi:g}: {len(near[0])} distinct networks cost within {100 * tolerance:g} % of {2.0**phi:.3g} times "
            f"the baseline; {len(kept)} of them are tried (x{min(ratios):.3f} to x{max(ratios):.3f})"
        )
        candidates += [f.candidate(f"phi {phi:g}", seed, {}) for seed in seeds for f in kept]
    return Plan(candidates=_breadth_first(candidates), notes=tuple(notes))


def plan_axes(baseline: Baseline, rules: Mapping[str, Rule], factors: Sequence[float], seeds: Sequence[int]) -> Plan:
    """Candidates for the comparison of rules at equal realised MACs: every rule at every factor, and the baseline."""
    candidates, notes = [], []
    one = _at(baseline, 1.0, Multipliers(1.0, 1.0, 1.0))
    candidates += [one.candidate("x1", seed, {"rule": "baseline"}) for seed in seeds]
    for factor in factors:
        named: dict[str, str] = {}  # the rule of each network
        for name, rule in rules.items():
            found = _sized(baseline, rule, factor)
            if found is None:
                notes.append(f"no network along {name} costs about {factor:g} times the baseline")
                continue
            if found.network in named:
                notes.append(
                    f"{name} at x{factor:g} rounds to the network of {named[found.network]}; it is not trained twice"
                )
                continue
            named[found.network] = name
            if abs(found.macs_factor / factor - 1) > UNEQUAL:
                notes.append(f"{name} at x{factor:g}: rounding leaves no network nearer than x{found.macs_factor:.3g}")
            candidates += [found.candidate(f"x{factor:g}", seed, {"rule": name}) for seed in seeds]
    return Plan(candidates=_breadth_first(candidates), notes=tuple(notes))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sized:
    """A network that costs about ``factor`` times the baseline."""

    factor: float
    network: str
    scaling: Multipliers
    effective: Multipliers
    resolution: int
    cost: Cost
    macs_factor: float

    def candidate(self, group: str, seed: int, tags: Mapping[str, object]) -> Candidate:
        return Candidate(
            network=self.network,
            multipliers=self.scaling,
            seed=seed,
            group=group,
            tags={
                "shares": _shares(self.scaling),
                "realised_shares": _shares(self.effective),
                "effective": list(self.effective),
                "nominal_factor": self.factor,
                "nominal_product": self.scaling.depth * (self.scaling.width * self.scaling.resolution) ** 2,
                "macs_factor": self.macs_factor,
                "macs": self.cost.macs,
                "params": self.cost.params,
                "activations": self.cost.activations,
                "training_bytes_per_image": self.cost.training_bytes_per_image,
                "resolution": self.resolution,
                **tags,
            },
        )


def _near(baseline: Baseline, factor: float, tolerance: float) -> list[Floats]:
    """Every distinct network, nowhere smaller than the baseline, whose realised MACs are ``factor`` times its own.

    As arrays of the three multipliers.
    """
    most = {"depth": factor, "width": factor**0.5, "resolution": factor**0.5}
    slack = 1 + 2 * tolerance  # an axis alone may overshoot before it is priced
    axes = [choices(baseline, axis, 1.0, most[axis] * slack) for axis in AXES]
    count = math.prod(map(len, axes))
    if count > _MOST:
        raise RequestError(
            f"{factor:g} times the MACs of {baseline.name} can be reached by {count:,} networks, too many to look at; "
            "take a smaller phi"
        )
    by = [grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")]
    costs = baseline.costs(*by)
    ratio = costs.macs / _own_macs(baseline)
    at = np.flatnonzero(np.abs(ratio / factor - 1) <= tolerance)
    if not baseline.exact:  # what a factory rounds to the same network costs the same
        sides = [baseline.resolution_at(float(r)) for r in by[2][at]]
        same = np.stack([costs.macs[at], costs.params[at], costs.activations[at], sides], axis=1)
        at = at[np.sort(np.unique(same, axis=0, return_index=True)[1])]
    if not len(at):
        nearest = float(ratio[np.argmin(np.abs(np.log(ratio / factor)))])
        raise RequestError(
            f"no scaling of {baseline.name} costs within {100 * tolerance:g} % of {factor:g} times its MACs "
            f"(the nearest {nearest:.3g} times); raise the tolerance"
        )
    return [axis[at] for axis in by]


def _spread(baseline: Baseline, near: Sequence[Floats], n: int) -> list[Multipliers]:
    """The ``n`` whose realised shares lie furthest apart: the nearest to the middle, then always the remotest."""
    logs = [np.log(baseline.effective(axis, m)) for axis, m in zip(AXES, near, strict=True)]
    points = np.stack([logs[0], 2 * logs[1], 2 * logs[2]], axis=1)
    points /= points.sum(axis=1, keepdims=True)
    chosen = [int(np.argmin(((points - 1 / 3) ** 2).sum(axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(n, len(points)):
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        distance[chosen] = -1  # others may have the very same shares
        chosen.append(int(np.argmax(distance)))
    return [Multipliers(*(float(axis[i]) for axis in near)) for i in chosen]


def _sized(baseline: Baseline, rule: Rule, factor: float) -> _Sized | None:
    """The network along ``rule`` whose realised MACs are nearest to ``factor`` times the baseline's, above or below.

    None where only a network smaller than the baseline is near.
    """
    found = along(baseline, rule, Budget(macs=factor * _own_macs(baseline)))
    sides = [by for by in (found.scaling, found.next_scaling) if by is not None and min(by) >= 1]
    sized = [_at(baseline, factor, plain(baseline, by)) for by in sides]
    return min(sized, key=lambda f: abs(math.log(f.macs_factor / factor)), default=None)


def _at(baseline: Baseline, factor: float, by: Multipliers) -> _Sized:
    columns = [np.array([m]) for m in by]
    effective = Multipliers(*(float(baseline.effective(a, c)[0]) for a, c in zip(AXES, columns, strict=True)))
    costs = baseline.costs(*columns)
    price = Cost(**{name: int(getattr(costs, name)[0]) for name in Cost.__slots__})
    side = baseline.resolution_at(by.resolution)
    row = (
        [float(n) for n in baseline.sizes(*columns)[0]]
        if baseline.exact
        else [price.macs, price.params, price.activations, side]
    )
    return _Sized(
        factor=factor,
        network=hashlib.sha256(f"{baseline.name} {row}".encode()).hexdigest()[:12],
        scaling=by,
        effective=effective,
        resolution=side,
        cost=price,
        macs_factor=price.macs / _own_macs(baseline),
    )


def _own_macs(baseline: Baseline) -> int:
    return int(baseline.costs(*np.ones((3, 1))).macs[0])


def _shares(by: Multipliers) -> list[float]:
    """Shares of the logarithm of d w^2 r^2; a third each where nothing is scaled."""
    logs = [math.log(by.depth), 2 * math.log(by.width), 2 * math.log(by.resolution)]
    total = sum(logs)
    return [log / total for log in logs] if total > 0 else [1 / 3] * 3


def _breadth_first(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """All of the first seed, then all of the second; the cheapest groups first, else stable."""
    return tuple(sorted(candidates, key=lambda c: (c.seed, c.tags["nominal_factor"])))
