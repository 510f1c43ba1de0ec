"""Which candidates a study trains: for each rule and cost the largest network that fits, each network once a seed."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compoundnet.checks import finite
from compoundnet.cost import Cost
from compoundnet.errors import RequestError
from compoundnet.scaling import Multipliers, Rule
from compoundnet.scaling.baseline import AXES, Baseline
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.design import plain
from compoundnet.scaling.solver import along
from compoundnet.search.answers.surface import fewest_networks
from compoundnet.search.near import networks_near, own_macs
from compoundnet.search.trials import UNEQUAL, Candidate

__all__ = ["StudyPlan", "check_tags", "plan_axes", "plan_coefficients"]

Floats: TypeAlias = NDArray[np.float64]

_READ = {"shares": 3, "realised_shares": 3, "effective": 3, "nominal_factor": 1, "macs_factor": 1, "macs": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyPlan:
    """Candidates in the order in which they are needed (every network from one seed before any from the next).

    ``notes`` say what was asked for and is not among them, and why.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]


def plan_coefficients(
    baseline: Baseline, phis: Sequence[float], networks: int, seeds: Sequence[int], tolerance: float
) -> StudyPlan:
    """Candidates for the search of alpha, beta, gamma: networks of 2^phi times the baseline's realised MACs.

    Of all distinct networks within ``tolerance`` of that, none smaller than the baseline on any axis, those
    ``networks`` that cover the triangle of realised shares most evenly.

    Raises:
        RequestError: no network comes near enough.
    """
    candidates, notes = [], []
    for phi in phis:
        near = networks_near(baseline, 2.0**phi, tolerance)
        kept = [_at(baseline, 2.0**phi, plain(baseline, by)) for by in _spread(baseline, near, networks)]
        ratios = [f.macs_factor for f in kept]
        notes.append(
            f"phi {phi:g}: {len(near[0])} distinct networks cost within {100 * tolerance:g} % of {2.0**phi:.3g} times "
            f"the baseline; {len(kept)} of them are tried (x{min(ratios):.3f} to x{max(ratios):.3f})"
        )
        candidates += [f.candidate(f"phi {phi:g}", seed, {}) for seed in seeds for f in kept]
    distinct, fewest = len({(c.group, c.network) for c in candidates}), fewest_networks(len(phis))
    if distinct < fewest:
        notes.append(f"{distinct} networks are too few for an interval, which needs {fewest}; the best will be named")
    return StudyPlan(candidates=_breadth_first(candidates), notes=tuple(notes))


def plan_axes(
    baseline: Baseline, rules: Mapping[str, Rule], factors: Sequence[float], seeds: Sequence[int]
) -> StudyPlan:
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
    return StudyPlan(candidates=_breadth_first(candidates), notes=tuple(notes))


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


def check_tags(candidate: Candidate) -> None:
    """RequestError unless the tags hold the numbers that :meth:`_Sized.candidate` puts there and answers read."""
    for name, many in _READ.items():
        numbers = candidate.tags.get(name)
        found = numbers if isinstance(numbers, list | tuple) else [numbers]
        if len(found) != many or not all(map(finite, found)):
            raise RequestError(
                f"the record of trial {candidate.key} is damaged: its {name} is {numbers!r:.60}; bring back a copy of "
                "the study, or take another folder"
            )


def _spread(baseline: Baseline, near: Sequence[Floats], n: int) -> list[Multipliers]:
    """The ``n`` whose realised shares lie furthest apart: the nearest to the middle, then always the remotest."""
    logs = [np.log(baseline.effective(axis, m)) for axis, m in zip(AXES, near, strict=True)]
    points = np.stack([logs[0], 2 * logs[1], 2 * logs[2]], axis=1)
    total = points.sum(axis=1, keepdims=True)
    points = np.divide(points, total, out=np.full_like(points, 1 / 3), where=total > 0)  # 0: as large as the baseline
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
    found = along(baseline, rule, Budget(macs=factor * own_macs(baseline)))
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
        macs_factor=price.macs / own_macs(baseline),
    )


def _shares(by: Multipliers) -> list[float]:
    """Shares of the logarithm of d w^2 r^2; a third each where nothing is scaled."""
    logs = [math.log(by.depth), 2 * math.log(by.width), 2 * math.log(by.resolution)]
    total = sum(logs)
    return [log / total for log in logs] if total > 0 else [1 / 3] * 3


def _breadth_first(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """All of the first seed, then all of the second; the cheapest groups first, else stable."""
    return tuple(sorted(candidates, key=lambda c: (c.seed, c.tags["nominal_factor"])))
