"""How trials that were stopped early might have ended: drawn many times over, from one rung of halving to the next.

Whether a trial is stopped depends only on what was seen of it and of its mates. So what came after a rung can be
learnt from those that passed it, given the accuracy there ("missing at random", Rubin 1976). Given that alone, though,
the estimate is right on average and wrong by network: of two trials that stood alike early, the one of better shares
is likely to end better, and bad shares would be pulled up. So the regression has the network's shape among its columns,
held by a ridge; what the ridge leaves open is drawn, not guessed ("multiple imputation", Rubin 1987). Trials of one
draw share its coefficients, and seeds of a network its residual, so that errors add up as they really would.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compoundnet.search.answers.simplex import Floats, shape_terms
from compoundnet.search.trials import Outcome

__all__ = ["DRAWS", "draw_ends", "full_length"]

DRAWS = 20
"""Ends that are drawn for a trial."""

_FEWEST = 6  # trials that passed a rung, from which those that did not are drawn
_FREEDOM = 3.0  # least degrees of freedom that the regression must leave to its noise
_SLOPE = 1.0  # deviation of the prior of the slope on the accuracy at the rung, about 1
_SAME = 1e-6  # a direction in which shapes vary by less than this part of the most is none
_LEAST_NOISE = 1e-12  # variance of accuracy


class _Step(NamedTuple):
    """A regression from one rung to the next: ``root`` is that of its coefficients' covariance over the variance."""

    coefficients: Floats
    root: Floats
    variance: float
    freedom: float


class _Table(NamedTuple):
    """``n`` trials as arrays.

    ``accuracy`` (n, rungs), NaN where a trial was stopped before; ``group`` (n,) and ``network`` (n,) as indices;
    ``shape`` (n, k): whitened shape terms, and the realised cost in doublings.
    """

    accuracy: Floats
    group: NDArray[np.int64]
    network: NDArray[np.int64]
    shape: Floats


def full_length(trials: Sequence[Outcome]) -> int:
    """Epochs of the trials that went to the end; 0 if none did, or nothing is known of them."""
    return max((len(o.curve) for o in trials if o.state == "complete"), default=0)


def draw_ends(trials: Sequence[Outcome], shares: Floats, cost: Floats, seed: int = 0) -> dict[int, tuple[float, ...]]:
    """Final accuracies of those stopped early, :data:`DRAWS` each, by their place among the trials.

    A trial is left out where too few passed one of the rungs before it, or none of its group did.

    Args:
        trials: stopped early or trained to the end.
        shares: of their networks, ``(n, 3)``.
        cost: logarithm of realised over nominal cost, ``(n,)``.
        seed: of the draws.
    """
    end = full_length(trials)
    stops = {i: len(o.curve) for i, o in enumerate(trials) if o.state == "pruned" and 0 < len(o.curve) < end}
    if not stops:
        return {}
    rungs = [*sorted(set(stops.values())), end]
    table = _table(trials, rungs, shares, cost)
    spread = _spread(table)
    rng = np.random.default_rng(seed)
    now = np.full((len(trials), DRAWS), np.nan)
    for rung in range(len(rungs) - 1):
        seen = table.accuracy[:, rung]
        now = np.where(np.isnan(seen)[:, None], now, seen[:, None])
        now = _next_rung(table, rung, now, spread, rng)
    return {i: tuple(np.clip(now[i], 0, 1).tolist()) for i in stops if np.isfinite(now[i]).all()}


def _table(trials: Sequence[Outcome], rungs: Sequence[int], shares: Floats, cost: Floats) -> _Table:
    def known(o: Outcome) -> list[float]:
        last = o.value if o.state == "complete" and o.value is not None else math.nan
        return [*(o.curve[r - 1] if len(o.curve) >= r else math.nan for r in rungs[:-1]), last]

    accuracy = np.array([known(o) for o in trials], dtype=np.float64)
    groups = np.unique([o.candidate.group for o in trials], return_inverse=True)[1]
    names = np.unique([f"{o.candidate.group} {o.candidate.network}" for o in trials], return_inverse=True)[1]
    shape = np.concatenate([_whitened(shape_terms(shares)), cost[:, None] / math.log(2)], axis=1)
    return _Table(accuracy, groups, names, shape)


def _whitened(columns: Floats) -> Floats:
    """Uncorrelated columns of variance 1 that span the same; a ridge then treats all directions alike."""
    centred = columns - columns.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    kept = sizes > _SAME * max(1.0, float(sizes[0]))
    whitened: Floats = centred @ (directions[kept].T / sizes[kept]) * math.sqrt(len(columns))
    return whitened


def _spread(table: _Table) -> float:
    """How far trials of a group lie apart at the rung where they do most: a later stretch may set them as far apart."""
    apart = [_within_groups(column, table.group).std() for column in table.accuracy.T]
    return max(*map(float, apart), math.sqrt(_LEAST_NOISE))


def _within_groups(column: Floats, group: NDArray[np.int64]) -> Floats:
    """What is known of a column, less its group's mean."""
    known = np.isfinite(column)
    values, index = column[known], group[known]
    means = np.bincount(index, values) / np.maximum(np.bincount(index), 1)
    return np.asarray(values - means[index], dtype=np.float64)


def _next_rung(table: _Table, rung: int, now: Floats, spread: float, rng: np.random.Generator) -> Floats:
    """Accuracies at the next rung ``(n, DRAWS)`` of those that are at this one and went no further; NaN for others."""
    here, there = table.accuracy[:, rung], table.accuracy[:, rung + 1]
    passed = np.isfinite(here) & np.isfinite(there)
    groups = np.unique(table.group[passed])
    todo = np.flatnonzero(~np.isfinite(there) & np.isfinite(now).all(axis=1) & np.isin(table.group, groups))
    drawn = np.full_like(now, np.nan)
    if passed.sum() < _FEWEST:
        return drawn
    middle = float(here[passed].mean())

    def columns(rows: NDArray[np.int64] | NDArray[np.bool_], accuracy: Floats) -> Floats:
        offsets = (table.group[rows][:, None] == groups).astype(np.float64)
        return np.concatenate([offsets, (accuracy - middle)[:, None], table.shape[rows]], axis=1)

    step = _regression(columns(passed, here[passed]), there[passed] - here[passed], len(groups), spread)
    if step.freedom < _FREEDOM:
        return drawn
    for i in range(DRAWS):
        noise = math.sqrt(step.variance * step.freedom / rng.chisquare(step.freedom))
        coefficients = step.coefficients + noise * (step.root @ rng.standard_normal(len(step.coefficients)))
        residuals = noise * rng.standard_normal(int(table.network.max()) + 1)[table.network[todo]]
        drawn[todo, i] = now[todo, i] + columns(todo, now[todo, i]) @ coefficients + residuals
    return drawn


def _regression(columns: Floats, rise: Floats, groups: int, spread: float) -> _Step:
    """Offsets by group, then the slope, then the shape; noise and degrees of freedom settle each other.

    The slope is that of the rise, so that its prior mean of 0 is a slope of 1 of the accuracy.
    """
    precision = np.full(columns.shape[1], spread**-2)
    precision[:groups] = 0.0
    precision[groups] = _SLOPE**-2
    variance = max(float(rise.var()), _LEAST_NOISE)
    for _ in range(100):
        inverse = np.linalg.inv(columns.T @ columns + variance * np.diag(precision))
        coefficients = inverse @ (columns.T @ rise)
        freedom = len(rise) - float((columns @ inverse * columns).sum())
        squares = float(((rise - columns @ coefficients) ** 2).sum())
        before, variance = variance, max(squares / max(freedom, _SAME), _LEAST_NOISE)
        if abs(variance - before) < _SAME * before:
            break
    root = np.linalg.cholesky((inverse + inverse.T) / 2)
    return _Step(coefficients, np.asarray(root, dtype=np.float64), variance, freedom)
