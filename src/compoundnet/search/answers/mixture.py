"""The regression behind the surface: its columns, its response, and how much each network counts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compoundnet.search.answers.networks import Network
from compoundnet.search.answers.seeds import pooled
from compoundnet.search.answers.simplex import SHAPE_COLUMNS, Floats, shape_terms

__all__ = [
    "Form",
    "Responses",
    "design",
    "expit",
    "misfit_variance",
    "observe",
    "solve",
]

_PRIOR = 30.0  # deviation of the prior of a coefficient, in deviations of the response among networks
_EDGE = 1e-4  # accuracy is kept so far from 0 and 1 before its logit is taken
_NEGLIGIBLE = 1e-12  # variance of a response that is taken for exact


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What is fitted: accuracy or its logit; with a slope on realised cost; with linear terms of every group."""

    logit: bool = False
    cost: bool = False
    by_group: bool = False

    def coefficients(self, groups: int) -> int:
        """Free coefficients with so many groups."""
        return groups + SHAPE_COLUMNS - 1 + self.cost + 2 * (groups - 1) * self.by_group


class Responses(NamedTuple):
    """``n`` networks as arrays.

    ``shares`` (n, 3); ``group`` (n,) as an index; ``cost`` (n,): log of realised over nominal cost, 0 if
    unknown; ``response`` (n,); ``noise`` (n,): variance of the response from seeds;
    ``seed_noise``: standard deviation of the response between seeds, None if no network has two.
    """

    shares: Floats
    group: NDArray[np.int64]
    cost: Floats
    response: Floats
    noise: Floats
    seed_noise: float | None


def design(shares: Floats, group: NDArray[np.int64], cost: Floats, groups: int, form: Form) -> Floats:
    """Columns: an offset a group, the shape's six, then cost, then linear terms by group that sum to 0 over groups."""
    offsets = np.eye(groups)[group]
    columns = [offsets, shape_terms(shares)]
    if form.cost:
        columns.append(cost[:, None])
    if form.by_group:
        contrasts = offsets[:, :-1] - offsets[:, -1:]
        linear = shares - 1 / 3
        columns.append((contrasts[:, :, None] * linear[:, None, :]).reshape(len(shares), -1))
    return np.concatenate(columns, axis=1)


def observe(networks: Sequence[Network], groups: Sequence[str], form: Form) -> Responses:
    """The response of every network: the mean of its seeds."""
    link: Callable[[Floats], Floats] = _logit if form.logit else _as_it_is
    seeds = [link(np.array(network.values, dtype=np.float64)) for network in networks]
    within = pooled(seeds)
    ratios = [network.cost_ratio for network in networks]
    return Responses(
        shares=np.array([network.shares for network in networks]),
        group=np.array([groups.index(network.group) for network in networks]),
        cost=np.array([0.0 if ratio is None else np.log(ratio) for ratio in ratios]),
        response=np.array([values.mean() for values in seeds]),
        noise=np.array([within.variance / len(values) for values in seeds]).clip(_NEGLIGIBLE),
        seed_noise=math.sqrt(within.variance) if within.freedom else None,
    )


def solve(columns: Floats, weights: Floats, groups: int, spread: float) -> Floats:
    """Inverse of the weighted normal equations ``(p, p)``, with a wide prior on all but the offsets."""
    precision = np.full(columns.shape[1], (_PRIOR * spread) ** -2)
    precision[:groups] = 0.0
    return np.asarray(np.linalg.inv((columns.T * weights) @ columns + np.diag(precision)), dtype=np.float64)


def misfit_variance(columns: Floats, seen: Responses, groups: int, spread: float) -> float:
    """Variance of networks about the surface beyond their noise: what makes the residuals as large as they are.

    The estimator of Paule and Mandel (1982): weighted squares of the residuals sum to their degrees of
    freedom; 0 where the noise alone explains them.
    """
    freedom = len(columns) - int(np.linalg.matrix_rank(columns))

    def excess(variance: float) -> float:
        weights = 1 / (variance + seen.noise)
        fitted = columns @ (solve(columns, weights, groups, spread) @ (columns.T @ (weights * seen.response)))
        return float(weights @ (seen.response - fitted) ** 2) - freedom

    low, high = 0.0, spread**2
    if excess(low) <= 0:
        return 0.0
    while excess(high) > 0:
        high *= 4
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


def expit(response: Floats) -> Floats:
    """Accuracy from its logit."""
    accuracy: Floats = 1 / (1 + np.exp(-response))
    return accuracy


def _as_it_is(accuracy: Floats) -> Floats:
    return accuracy


def _logit(accuracy: Floats) -> Floats:
    share = _inner(accuracy)
    logit: Floats = np.log(share / (1 - share))
    return logit


def _inner(accuracy: Floats) -> Floats:
    inner: Floats = np.clip(accuracy, _EDGE, 1 - _EDGE)
    return inner
