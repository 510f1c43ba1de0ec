"""Outcomes pooled into networks: one row for each realised network of a group, over its seeds.

A trial that was stopped early has no final accuracy; leaving it out would leave only the lucky and the good.
:mod:`compoundnet.search.answers.stopped` draws how it might have ended.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compoundnet.errors import RequestError
from compoundnet.scaling import Multipliers
from compoundnet.search.answers.stopped import draw_ends, full_length
from compoundnet.search.trials import Outcome

__all__ = ["Network", "pool"]

_RANK = {"complete": 2, "pruned": 1, "failed": 0}  # of a trial recorded twice, the one that got furthest counts


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
        stopped: curves of the trials that were stopped early.
        estimates: for those stopped early, as far as the others allow one: final accuracies as they might have
            been, equally many for each trial of a study.
        pruned: number of trials stopped early.
        failed: number of trials that failed.
    """

    name: str
    group: str
    tags: Mapping[str, Any]
    multipliers: Multipliers
    values: tuple[float, ...]
    curves: tuple[tuple[float, ...], ...]
    stopped: tuple[tuple[float, ...], ...]
    estimates: tuple[tuple[float, ...], ...]
    pruned: int
    failed: int

    @property
    def mean(self) -> float | None:
        """Mean final accuracy over seeds; None where no trial was trained to the end."""
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def unknown(self) -> int:
        """Trials stopped early of which nobody can say how they would have ended."""
        return self.pruned - len(self.estimates)

    def completed(self, draw: int) -> "Network":
        """As if those stopped early had ended as they did in one of the draws."""
        return replace(self, values=(*self.values, *(ends[draw] for ends in self.estimates)), estimates=())

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
    alike the later one. One that was stopped after the last epoch lacks nothing, and counts as trained to the end.

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
    last = full_length(list(trials.values()))
    ended = {key: _as_complete(outcome, last) for key, outcome in trials.items()}
    estimates = _estimates([outcome for outcome in ended.values() if outcome.state != "failed"])
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for (group, name, _), outcome in ended.items():
        rows[group, name].append(outcome)
    return tuple(_network(row, estimates) for row in rows.values())


def _as_complete(outcome: Outcome, last: int) -> Outcome:
    """Halving may judge a trial after its last epoch too; there is nothing left to give up then."""
    ended = outcome.state == "pruned" and 0 < last <= len(outcome.curve)
    return _checked(replace(outcome, state="complete")) if ended else outcome


def _estimates(trials: Sequence[Outcome]) -> dict[str, tuple[float, ...]]:
    """Ends of those stopped early, by key; the order of the trials does not matter."""
    trials = sorted(trials, key=lambda o: o.candidate.key)
    if all(o.state == "complete" for o in trials):
        return {}
    places = [_network([o], {}) for o in trials]
    shares = np.array([place.shares for place in places])
    cost = np.array([math.log(place.cost_ratio or 1.0) for place in places])
    return {trials[i].candidate.key: ends for i, ends in draw_ends(trials, shares, cost).items()}


def _network(trials: Sequence[Outcome], estimates: Mapping[str, tuple[float, ...]]) -> Network:
    """The row of one network."""
    trials = sorted(trials, key=lambda o: o.candidate.seed)
    first = trials[0].candidate
    complete = [o for o in trials if o.state == "complete"]
    pruned = [o for o in trials if o.state == "pruned"]
    return Network(
        name=first.network,
        group=first.group,
        tags=first.tags,
        multipliers=first.multipliers,
        values=tuple(_value(o) for o in complete),
        curves=tuple(o.curve for o in complete),
        stopped=tuple(o.curve for o in pruned),
        estimates=tuple(estimates[o.candidate.key] for o in pruned if o.candidate.key in estimates),
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
    if value is None or not 0 <= value <= 1:
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
