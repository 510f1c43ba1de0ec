"""Outcomes pooled into networks: one row for each realised network of a group, over its seeds.

A trial that was stopped early has no final accuracy. Which trials are stopped depends only on what was
seen of them, so regressing the final accuracy on the accuracy at the epoch of stopping, over the trials
that went on, gives an unbiased estimate for those that did not ("missing at random", Rubin 1976), where
leaving them out would leave only the lucky and the good.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from compoundnet.errors import RequestError
from compoundnet.scaling import Multipliers
from compoundnet.search.trials import Outcome

__all__ = ["Estimate", "Network", "pool"]

_FEWEST = 6  # trials at the end from which a final accuracy is estimated for those that were stopped
_ALIKE = 1e-12  # sum of squared differences of accuracy
_RANK = {"complete": 2, "pruned": 1, "failed": 0}  # of a trial recorded twice, the one that got furthest counts


class Estimate(NamedTuple):
    """A final accuracy that was not measured, and the variance of the error that this makes."""

    value: float
    variance: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A realised network of one group, and what its trials gave.

    Attributes:
        name: identity of the realised network; two roundings to the same numbers share it.
        group: networks are compared inside their group.
        tags: of its first candidate: nominal and realised shares, costs.
        multipliers: of its first candidate.
        values: final accuracy of the trials that were trained to the end, by seed.
        curves: of the same trials, in the same order.
        estimates: for those stopped early, as far as the others allow one.
        pruned: number of trials stopped early.
        failed: number of trials that failed.
    """

    name: str
    group: str
    tags: Mapping[str, Any]
    multipliers: Multipliers
    values: tuple[float, ...]
    curves: tuple[tuple[float, ...], ...]
    estimates: tuple[Estimate, ...]
    pruned: int
    failed: int

    @property
    def mean(self) -> float | None:
        """Mean final accuracy over seeds; None where no trial was trained to the end."""
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds; None with fewer than two."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    @property
    def standard_error(self) -> float | None:
        """Of the mean over seeds; None with fewer than two."""
        deviation = self.deviation
        return None if deviation is None else deviation / math.sqrt(len(self.values))

    @property
    def nominal_shares(self) -> tuple[float, float, float]:
        """The shares asked for."""
        return _shares(self.tags.get("shares"), self.name)

    @property
    def shares(self) -> tuple[float, float, float]:
        """The shares that the rounded network really has, none below 0, summing to 1; the nominal if unknown.

        Also the nominal ones where rounding left the baseline as it was.
        """
        realised = self.tags.get("realised_shares")
        if realised is not None and len(realised) == 3 and max(realised) > 1e-9:
            return _shares([max(0.0, share) for share in realised], self.name)
        return self.nominal_shares

    @property
    def cost_ratio(self) -> float | None:
        """Realised cost over the cost asked for; None if the tags do not tell."""
        realised, nominal = self.tags.get("macs_factor"), self.tags.get("nominal_factor")
        return realised / nominal if realised and nominal else None


def pool(outcomes: Iterable[Outcome]) -> tuple[Network, ...]:
    """One row for each group and realised network, in the order in which they first appear.

    Of a trial recorded twice (the same network, seed and group) the one that got furthest counts, of two
    alike the later one.

    A trial that ended without a number has failed.

    Raises:
        RequestError: nothing was given, or a finished trial's value is not an accuracy in 0..1.
    """
    trials: dict[tuple[str, str, int], Outcome] = {}
    for outcome in map(_checked, outcomes):
        key = (outcome.candidate.group, outcome.candidate.network, outcome.candidate.seed)
        if key not in trials or _RANK[outcome.state] >= _RANK[trials[key].state]:
            trials[key] = outcome
    if not trials:
        raise RequestError("no trial has ended yet, so there is nothing to analyse; run some trials first")
    complete = [o for o in trials.values() if o.state == "complete"]
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for (group, name, _), outcome in trials.items():
        rows[group, name].append(outcome)
    return tuple(_network(row, complete) for row in rows.values())


def _estimate(outcome: Outcome, complete: Sequence[Outcome]) -> Estimate | None:
    """The regression of the final value on the value at this trial's last epoch, one intercept a group."""
    epoch, group = len(outcome.curve), outcome.candidate.group
    if not epoch or not math.isfinite(outcome.curve[-1]):
        return None
    known = [o for o in complete if len(o.curve) >= epoch and math.isfinite(o.curve[epoch - 1])]
    groups = sorted({o.candidate.group for o in known})
    freedom = len(known) - len(groups) - 1
    if group not in groups or len(known) < _FEWEST or freedom < 1:
        return None
    x = np.array([o.curve[epoch - 1] for o in known])
    y = np.array([_value(o) for o in known])
    member = np.array([[o.candidate.group == g for g in groups] for o in known], dtype=np.float64)
    means = member / member.sum(axis=0)
    dx, dy = x - member @ (means.T @ x), y - member @ (means.T @ y)
    spread = float(dx @ dx)
    if spread < _ALIKE:  # nothing to regress on: the group's mean is the estimate
        spread = math.inf
    slope = max(0.0, float(dx @ dy) / spread)
    noise = float(((dy - slope * dx) ** 2).sum()) / freedom
    mine = member[:, groups.index(group)] > 0
    step = outcome.curve[-1] - float(x[mine].mean())
    value = float(y[mine].mean()) + slope * step
    return Estimate(min(1.0, max(0.0, value)), noise * (1 + 1 / int(mine.sum()) + step * step / spread))


def _network(trials: Sequence[Outcome], everyone: Sequence[Outcome]) -> Network:
    """The row of one network; ``everyone`` are the trials of all networks that were trained to the end."""
    trials = sorted(trials, key=lambda o: o.candidate.seed)
    first = trials[0].candidate
    complete = [o for o in trials if o.state == "complete"]
    pruned = [o for o in trials if o.state == "pruned"]
    guesses = (_estimate(o, everyone) for o in pruned)
    return Network(
        name=first.network,
        group=first.group,
        tags=first.tags,
        multipliers=first.multipliers,
        values=tuple(_value(o) for o in complete),
        curves=tuple(o.curve for o in complete),
        estimates=tuple(guess for guess in guesses if guess is not None),
        pruned=len(pruned),
        failed=sum(o.state == "failed" for o in trials),
    )


def _value(outcome: Outcome) -> float:
    assert outcome.value is not None  # checked by pool
    return outcome.value


def _checked(outcome: Outcome) -> Outcome:
    value = outcome.value
    if outcome.state != "complete":
        return outcome
    if value is None or not math.isfinite(value):
        return replace(outcome, state="failed", value=None)
    if not 0 <= value <= 1:
        raise RequestError(
            f"trial {outcome.candidate.key} of network {outcome.candidate.network!r} ended with the value {value!r}; "
            "a finished trial's value must be an accuracy in 0..1"
        )
    return outcome


def _shares(raw: Any, name: str) -> tuple[float, float, float]:
    if raw is None or len(raw) != 3 or not all(math.isfinite(s) and s >= 0 for s in raw) or sum(raw) <= 0:
        raise RequestError(
            f"network {name!r} has shares {raw!r} in its tags; coefficients need three, none below 0, "
            "for depth, width and resolution"
        )
    total = float(sum(raw))
    return (raw[0] / total, raw[1] / total, raw[2] / total)
