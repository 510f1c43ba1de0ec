"""Which candidates a study trains: for each rule and cost the network nearest to it, each network once a seed."""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compoundnet.checks import finite
from compoundnet.cost import Cost
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Multipliers, Rule
from compoundnet.scaling.baseline import AXES, Baseline
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.compound import COST_POWERS
from compoundnet.scaling.design import plain
from compoundnet.scaling.solver import along, choices
from compoundnet.search.answers.axes.comparison import Place
from compoundnet.search.answers.surface import fewest_networks
from compoundnet.search.near import networks_near, own_macs
from compoundnet.search.trials import UNEQUAL, Candidate

__all__ = ["StudyPlan", "check_tags", "plan_axes", "plan_coefficients"]

Floats: TypeAlias = NDArray[np.float64]

_WIDTHS = 2.0 ** np.arange(11)  # MACs grow at least as width does, so that these reach any factor
_READ = {"shares": 3, "realised_shares": 3, "effective": 3, "nominal_factor": 1, "macs_factor": 1, "macs": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyPlan:
    """Candidates in the order in which they are needed (every network from one seed before any from the next).

    Attributes:
        candidates: what is trained.
        notes: what was asked for and is not among them, and why.
        same: by group and rule, what is not trained because it is the network of another group and rule.
        bases: the rules that widen a larger base.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]
    same: Mapping[Place, Place] = field(default_factory=dict)
    bases: tuple[str, ...] = ()


def plan_coefficients(
    baseline: Baseline, phis: Sequence[float], networks: int, seeds: Sequence[int], tolerance: float
) -> StudyPlan:
    """Candidates for the search of alpha, beta, gamma: networks of 2^phi times the baseline's realised MACs.

    Of all distinct networks within ``tolerance`` of that, none smaller than the baseline on any axis, those
    ``networks`` that cover the triangle of realised shares most evenly.

    Raises:
        RequestError: no network comes near enough, or only such as are tried at another phi.
    """
    candidates, notes, taken = [], [], set[str]()
    for phi in phis:
        near = networks_near(baseline, 2.0**phi, tolerance)
        free = _without(baseline, near, taken) if taken else near
        kept = [_at(baseline, 2.0**phi, plain(baseline, by)) for by in _spread(baseline, free, networks)]
        if not kept:
            raise RequestError(
                f"every network of phi {phi:g} is one of another phi; leave it out, or give one further off"
            )
        taken |= {found.network for found in kept}
        ratios = [f.macs_factor for f in kept]
        notes.append(
            f"phi {phi:g}: {len(near[0])} distinct networks cost within {100 * tolerance:g} % of {2.0**phi:.3g} times "
            f"the baseline; {len(kept)} of them are tried (x{min(ratios):.3f} to x{max(ratios):.3f})"
            + (f", {shared} more are tried at another phi" if (shared := len(near[0]) - len(free[0])) else "")
        )
        candidates += [f.candidate(f"phi {phi:g}", seed, {}) for seed in seeds for f in kept]
    distinct, fewest = len({(c.group, c.network) for c in candidates}), fewest_networks(len(phis))
    if distinct < fewest:
        notes.append(f"{distinct} networks are too few for an interval, which needs {fewest}; the best will be named")
    return StudyPlan(candidates=_breadth_first(candidates), notes=tuple(notes))


def plan_axes(
    baseline: Baseline,
    rules: Mapping[str, Rule],
    factors: Sequence[float],
    seeds: Sequence[int],
    bases: Sequence[tuple[float, float]] = (),
) -> StudyPlan:
    """Candidates for the comparison of rules at equal realised MACs: every rule at every factor, and the baseline.

    ``bases`` are multipliers (depth, resolution) of larger networks to start from. Each is a rule of its own that
    scales width alone. It begins with the base itself, in a group of its own, unless a factor has nearly that cost.
    Plain width is then among the rules.

    Raises:
        RequestError: a base beyond all factors, the network of another base, or the name of another rule.
    """
    rules = {**rules, **({"width": RULES["width"]} if bases and "width" not in rules else {})}
    starts = _starts(baseline, bases, rules, factors)
    lines: dict[str, Callable[[float], _Sized | None]] = {
        **{name: partial(_sized, baseline, rule) for name, rule in rules.items()},
        **{name: partial(_widened, baseline, start) for name, start in starts.items()},
    }
    places = {("x1", "baseline"): _at(baseline, 1.0, Multipliers(1.0, 1.0, 1.0))}
    same, notes = dict[Place, Place](), list[str]()
    before = {places["x1", "baseline"].network: "the baseline"}  # trained at another cost
    for factor in factors:
        named: dict[str, str] = {}  # the rule of each network
        for name, sized in lines.items():
            found, group = sized(factor), f"x{factor:g}"
            if found is None:
                notes.append(_absent(name, factor, starts.get(name)))
                continue
            if found.network in before:
                notes.append(f"{name} at {group} is the network of {before[found.network]}, and is left out there")
                continue
            places[group, name] = found
            first = named.setdefault(found.network, name)
            if first != name:
                same[group, name] = group, first
                notes.append(f"{name} at {group} rounds to the network of {first}, and has its results")
            elif abs(found.macs_factor / factor - 1) > UNEQUAL:
                notes.append(f"{name} at {group}: rounding leaves no network nearer than x{found.macs_factor:.3g}")
        before |= {network: f"{name} at x{factor:g}" for network, name in named.items()}
    for name, start in starts.items():
        least = min((found.macs_factor for (_, rule), found in places.items() if rule == name), default=math.inf)
        if start.macs_factor * (1 + UNEQUAL) < least:
            twin = next((p for p, found in places.items() if found.network == start.network and p not in same), None)
            if twin:
                same[name, name] = twin
            places[name, name] = start
    trained = [(group, name, found) for (group, name), found in places.items() if (group, name) not in same]
    candidates = [found.candidate(group, seed, {"rule": name}) for group, name, found in trained for seed in seeds]
    return StudyPlan(candidates=_breadth_first(candidates), notes=tuple(notes), same=same, bases=tuple(starts))


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
                "nominal_product": self.scaling.nominal,
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


def _without(baseline: Baseline, near: Sequence[Floats], taken: Collection[str]) -> list[Floats]:
    """Those of the networks whose name is not ``taken``."""
    scalings = [plain(baseline, Multipliers(*map(float, by))) for by in zip(*near, strict=True)]
    left = np.array([_at(baseline, 1.0, by).network not in taken for by in scalings], dtype=bool)
    return [axis[left] for axis in near]


def _spread(baseline: Baseline, near: Sequence[Floats], n: int) -> list[Multipliers]:
    """The ``n`` whose realised shares lie furthest apart: the nearest to the middle, then always the remotest."""
    logs = [np.log(baseline.effective(axis, m)) for axis, m in zip(AXES, near, strict=True)]
    points = np.stack([power * log for power, log in zip(COST_POWERS, logs, strict=True)], axis=1)
    total = points.sum(axis=1, keepdims=True)
    points = np.divide(points, total, out=np.full_like(points, 1 / 3), where=total > 0)  # 0: as large as the baseline
    if not len(points):
        return []
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


def _starts(
    baseline: Baseline, bases: Sequence[tuple[float, float]], rules: Mapping[str, Rule], factors: Sequence[float]
) -> dict[str, _Sized]:
    """The bases by the names of their lines, without (1, 1), which is plain width."""
    if bases and rules["width"].width != 1:
        raise RequestError(
            "bases are compared with plain width, and rule 'width' is another; give its file another name"
        )
    starts: dict[str, _Sized] = {}
    known = {_at(baseline, 1.0, Multipliers(1.0, 1.0, 1.0)).network: "the baseline itself"}
    for depth, resolution in bases:
        if (depth, resolution) == (1, 1):
            continue
        told, name = f"base {depth:g},{resolution:g}", f"width at d{depth:g} r{resolution:g}"
        start = _at(baseline, 1.0, plain(baseline, Multipliers(depth, 1.0, resolution)))
        if name in rules:
            raise RequestError(f"{told} would be called {name!r}, as a rule is already; give the rule another name")
        if start.network in known:
            raise RequestError(f"{told} rounds to {known[start.network]}; leave it out, or make it larger")
        if start.macs_factor > (1 + UNEQUAL) * max(factors):
            raise RequestError(
                f"{told} costs {start.macs_factor:.3g} times the baseline's MACs, more than any of the factors "
                f"({', '.join(f'{factor:g}' for factor in factors)}); give a larger factor, or a smaller base"
            )
        known[start.network] = told
        starts[name] = replace(start, factor=start.macs_factor)
    return starts


def _widened(baseline: Baseline, start: _Sized, factor: float) -> _Sized | None:
    """Of the base and all that widening makes of it, what costs most nearly ``factor`` times the baseline's MACs.

    None where the base itself costs more.
    """
    if start.macs_factor > (1 + UNEQUAL) * factor:
        return None
    own, (depth, _, resolution) = own_macs(baseline), start.scaling

    def ratio(widths: Floats) -> Floats:
        return np.asarray(baseline.costs(*np.broadcast_arrays(depth, widths, resolution)).macs / own / factor)

    most = next((w for w in _WIDTHS if ratio(np.array([w]))[0] >= 1), _WIDTHS[-1])
    widths = choices(baseline, "width", 1.0, most)
    nearest = float(widths[np.argmin(abs(np.log(ratio(widths))))])
    return _at(baseline, factor, plain(baseline, Multipliers(depth, nearest, resolution)))


def _absent(name: str, factor: float, start: _Sized | None) -> str:
    if start is None:
        return f"no network along {name} costs about {factor:g} times the baseline"
    return f"{name} begins at x{start.macs_factor:.3g}, and has no network at x{factor:g}"


def _at(baseline: Baseline, factor: float, by: Multipliers) -> _Sized:
    columns = [np.array([m]) for m in by]
    effective = Multipliers(*(float(baseline.effective(a, c)[0]) for a, c in zip(AXES, columns, strict=True)))
    costs = baseline.costs(*columns)
    price = costs.at(0)
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
    """Shares of the logarithm of the nominal cost; a third each where nothing is scaled."""
    logs = [power * math.log(m) for power, m in zip(COST_POWERS, by, strict=True)]
    total = sum(logs)
    return [log / total for log in logs] if total > 0 else [1 / 3] * 3


def _breadth_first(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """All of the first seed, then all of the second; the cheapest groups first, else stable."""
    return tuple(sorted(candidates, key=lambda c: (c.seed, c.tags["nominal_factor"])))
