"""The best network under a budget: what is asked for in, an architecture with the reasons out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compoundnet.architecture import Architecture
from compoundnet.cost import Cost
from compoundnet.errors import RequestError
from compoundnet.scaling.accuracy import AccuracyModel, following
from compoundnet.scaling.baseline import ArchitectureBaseline, Baseline
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.compound import Multipliers, Rule, find
from compoundnet.scaling.free import free as solve_free
from compoundnet.scaling.solver import Found, along
from compoundnet.zoo import architecture

if TYPE_CHECKING:
    from compoundnet.scaling.latency import DeviceProfile

__all__ = ["Design", "design", "solve"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """The best network that fits, and why it is no larger.

    Attributes:
        architecture: the scaled network; for a factory, what its baseline makes of the multipliers.
        cost: realised, exact.
        scaling: multipliers of the baseline, in as few digits as give this very network.
        binding: limits that the next larger network would overstep.
        spent: what it spends of each limit, by the limit's name.
        next_scaling: the next larger network along the rule; free: the step on one axis that oversteps least.
        next_spent: what that one would spend.
        phi: log of the nominal cost d w^2 r^2 to the base of the rule's factor; None without a rule.
    """

    architecture: Any
    cost: Cost
    scaling: Multipliers
    binding: tuple[str, ...]
    spent: dict[str, float]
    next_scaling: Multipliers | None
    next_spent: dict[str, float]
    phi: float | None


def design(
    baseline: str | Architecture | Baseline,
    *,
    macs: float | None = None,
    params: float | None = None,
    activations: float | None = None,
    weights_bytes: float | None = None,
    memory_bytes: float | None = None,
    training_bytes: float | None = None,
    batch_size: int | None = None,
    latency_ms: float | None = None,
    profile: "DeviceProfile | None" = None,
    rule: str | Rule = "efficientnet",
    free: bool | AccuracyModel = False,
) -> Design:
    """The best scaling of ``baseline`` whose realised costs stay within every limit (units: :class:`Budget`).

    Along ``rule`` that is the largest that fits, exactly. With ``free`` depth, width and resolution are chosen
    on their own: the best of all distinct networks by an accuracy model, or, with True, by the one that
    ``rule`` is optimal for. ``latency_ms`` is predicted by ``profile``.

    >>> found = design("efficientnet_b0", macs=0.8e9)
    >>> found.cost.macs, found.binding
    (793290176, ('macs',))

    Raises:
        RequestError: no limit, nothing that fits, a limit that never binds, or latency without a profile.
    """
    budget = Budget(
        macs=macs, params=params, activations=activations, weights_bytes=weights_bytes, memory_bytes=memory_bytes,
        training_bytes=training_bytes, batch_size=batch_size, latency_ms=latency_ms,
    )  # fmt: skip
    return solve(_opened(baseline), budget, rule=find(rule), model=_model(free, rule), profile=profile)


def solve(
    baseline: Baseline, budget: Budget, *, rule: Rule, model: AccuracyModel | None, profile: "DeviceProfile | None"
) -> Design:
    """:func:`design` with everything found: free by ``model``, or along ``rule`` where that is None."""
    latency = _latency(baseline, budget, profile)
    found = along(baseline, rule, budget, latency) if model is None else solve_free(baseline, model, budget, latency)
    by = plain(baseline, found.scaling)
    return Design(
        architecture=baseline.realised(by),
        cost=found.cost,
        scaling=by,
        binding=found.binding,
        spent=found.spent,
        next_scaling=found.next_scaling and plain(baseline, found.next_scaling),
        next_spent=found.next_spent,
        phi=None if model is not None else _phi(found, rule),
    )


def plain(baseline: Baseline, by: Multipliers) -> Multipliers:
    """The same network in fewer digits: each multiplier rounded as far as the sizes stay what they are."""
    import numpy as np

    def same(trial: Multipliers) -> bool:
        columns = (np.array([a, b]) for a, b in zip(by, trial, strict=True))
        first, second = baseline.sizes(*columns)
        return bool((first == second).all())

    if not baseline.exact:  # what is built follows the side as it is rounded
        by = by._replace(resolution=baseline.resolution_at(by.resolution) / baseline.resolution_at(1.0))
    for axis in by._fields:
        value = getattr(by, axis)
        shorter = (
            f(value * 10**digits) / 10**digits for digits in range(2, 10) for f in (round, math.floor, math.ceil)
        )
        trials = (by._replace(**{axis: short}) for short in shorter if short > 0)
        by = next((trial for trial in trials if same(trial) and (baseline.exact or axis != "resolution")), by)
    return by


def _opened(baseline: str | Architecture | Baseline) -> Baseline:
    found = architecture(baseline) if isinstance(baseline, str) else baseline
    return ArchitectureBaseline(found) if isinstance(found, Architecture) else found


def _model(free: bool | AccuracyModel, rule: str | Rule) -> AccuracyModel | None:
    if isinstance(free, AccuracyModel):
        return free
    return following(find(rule)) if free else None


def _phi(found: Found, rule: Rule) -> float:
    d, w, r = found.scaling
    return math.log(d * w * w * r * r) / math.log(rule.factor)


def _latency(
    baseline: Baseline, budget: Budget, profile: "DeviceProfile | None"
) -> Callable[[Any, Any, Any], Any] | None:
    if budget.latency_ms is None:
        return None
    if profile is None:
        raise RequestError("a limit on latency needs a profile of the device; compoundnet profile makes one")
    if not isinstance(baseline, ArchitectureBaseline):
        raise RequestError(
            f"latency is predicted for architectures; {baseline.name} is a factory: limit something else"
        )
    from compoundnet.scaling.latency import predict_ms

    arch = baseline.architecture
    return lambda d, w, r: predict_ms(profile, arch, depth=d, width=w, resolution=r)
