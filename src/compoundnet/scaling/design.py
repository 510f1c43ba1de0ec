"""The best network under a budget: what is asked for in, an architecture with the reasons out."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compoundnet.architecture import Architecture
from compoundnet.checks import check_yes_or_no
from compoundnet.cost import Cost
from compoundnet.errors import RequestError
from compoundnet.scaling.accuracy import AccuracyModel, baseline_in_words, following
from compoundnet.scaling.baseline import AXES, ArchitectureBaseline, Baseline
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.compound import Multipliers, Rule, find, opened
from compoundnet.scaling.free import free as solve_free
from compoundnet.scaling.solver import Found, along

if TYPE_CHECKING:
    from compoundnet.scaling.latency import DeviceProfile

__all__ = ["Design", "design", "plain"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """The best network that fits, and why it is no larger.

    Attributes:
        architecture: the scaled network; for a factory, what its baseline makes of the multipliers.
        cost: realised, exact.
        scaling: multipliers of the baseline, in as few digits as give this very network.
        exact: whether no network in between was passed over; a factory's are tried on a grid.
        binding: limits that the next larger network would overstep.
        spent: what it spends of each limit, by the limit's name.
        next_scaling: the next larger network along the rule; free: the step on one axis that oversteps least.
        next_cost: what that one would cost.
        next_spent: what it would spend.
        phi: log of the nominal cost d w^2 r^2 to the base of the rule's factor; None without a rule.
        doubts: why a better network may have been passed over, a line each.
    """

    architecture: Any
    cost: Cost
    scaling: Multipliers
    exact: bool
    binding: tuple[str, ...]
    spent: dict[str, float]
    next_scaling: Multipliers | None
    next_cost: Cost | None
    next_spent: dict[str, float]
    phi: float | None
    doubts: tuple[str, ...]


def design(
    baseline: str | Path | Architecture | Baseline,
    *,
    macs: float | None = None,
    params: float | None = None,
    activations: float | None = None,
    weights_bytes: float | None = None,
    memory_bytes: float | None = None,
    training_bytes: float | None = None,
    batch_size: int | None = None,
    latency_ms: float | None = None,
    profile: "DeviceProfile | str | Path | None" = None,
    rule: str | Rule | None = None,
    free: bool = False,
    model: AccuracyModel | None = None,
) -> Design:
    """The best scaling of ``baseline`` whose realised costs stay within every limit (units: :class:`Budget`).

    Along ``rule``, the paper's unless given, that is the largest that fits, exactly. With ``free`` depth, width and
    resolution are chosen on their own: the best of all distinct networks by what ``rule`` is optimal for. With
    ``model`` they are too, by that accuracy model instead of a rule. ``latency_ms`` is predicted by ``profile``, or
    the file of one; by default by what ``compoundnet profile`` left for eager PyTorch, one thread, one image.

    >>> found = design("efficientnet_b0", macs=0.8e9)
    >>> found.cost.macs, found.binding
    (793290176, ('macs',))

    Raises:
        RequestError: no limit, nothing that fits, a limit that never binds, no profile for a limit on latency, or
            what cannot go together.
    """
    budget = Budget(
        macs=macs, params=params, activations=activations, weights_bytes=weights_bytes, memory_bytes=memory_bytes,
        training_bytes=training_bytes, batch_size=batch_size, latency_ms=latency_ms,
    )  # fmt: skip
    start, shares, ranks = _opened(baseline), find(rule), _model(rule, free, model)
    latency = _latency(start, budget, profile)
    found = along(start, shares, budget, latency) if ranks is None else solve_free(start, ranks, budget, latency)
    by = plain(start, found.scaling)
    return Design(
        architecture=start.realised(by),
        cost=found.cost,
        scaling=by,
        exact=start.exact and not found.doubts,
        binding=found.binding,
        spent=found.spent,
        next_scaling=found.next_scaling and plain(start, found.next_scaling),
        next_cost=found.next_cost,
        next_spent=found.next_spent,
        phi=_phi(found, shares) if ranks is None else None,
        doubts=(*found.doubts, *_doubts(start, ranks, by)),
    )


def _doubts(baseline: Baseline, ranks: AccuracyModel | None, by: Multipliers) -> Iterator[str]:
    if ranks is not None:
        studied = baseline_in_words(baseline.name, baseline.resolution_at(1.0))
        yield from ranks.doubts(_realised(baseline, by), studied)
    if baseline.caution:
        yield baseline.caution


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


def _opened(baseline: str | Path | Architecture | Baseline) -> Baseline:
    if isinstance(baseline, str) and ":" in baseline and not baseline.endswith(".json"):
        raise RequestError(
            f"{baseline!r} names a factory; give compoundnet.baselines.open_baseline({baseline!r}), which tries it"
        )
    if isinstance(baseline, (str, Path, Architecture)):
        return ArchitectureBaseline(opened(baseline))
    if not hasattr(baseline, "breakpoints"):
        raise RequestError(
            f"baseline is {baseline!r:.60}; give a name, a JSON file, an Architecture, or for a factory "
            "what compoundnet.baselines.open_baseline makes of it"
        )
    return baseline


def _model(rule: str | Rule | None, free: bool, model: AccuracyModel | None) -> AccuracyModel | None:
    """What ranks networks free over all axes; None along the rule."""
    check_yes_or_no("free", free)
    if model is None:
        return following(find(rule)) if free else None
    if not isinstance(model, AccuracyModel):
        raise RequestError(f"model is {model!r:.60}; give an AccuracyModel, as scaling.accuracy.read_model reads one")
    if rule is not None:
        raise RequestError("an accuracy model ranks networks by itself; give a rule or a model, not both")
    return model


def _realised(baseline: Baseline, by: Multipliers) -> Multipliers:
    """By how much each axis really grew."""
    import numpy as np

    return Multipliers(*(baseline.effective(axis, np.array([m])).item() for axis, m in zip(AXES, by, strict=True)))


def _phi(found: Found, rule: Rule) -> float:
    return math.log(found.scaling.nominal) / math.log(rule.factor)


def _latency(
    baseline: Baseline, budget: Budget, profile: "DeviceProfile | str | Path | None"
) -> Callable[[Any, Any, Any], Any] | None:
    if budget.latency_ms is None:
        if profile is not None:
            raise RequestError("a profile goes with a limit on latency, and there is none")
        return None
    if not isinstance(baseline, ArchitectureBaseline):
        raise RequestError(
            f"latency is predicted for architectures; {baseline.name} is a factory: limit something else"
        )
    from compoundnet.scaling.latency import opened_profile, predict_ms

    arch, of = baseline.architecture, opened_profile(profile)
    return lambda d, w, r: predict_ms(of, arch, depth=d, width=w, resolution=r)
