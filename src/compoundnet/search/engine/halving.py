"""When a trial gives up: asynchronous successive halving."""

import math
from collections.abc import Iterable, Sequence

from compoundnet.checks import check_whole

__all__ = ["gives_up"]


def gives_up(
    curve: Sequence[float], others: Iterable[Sequence[float]], *, min_epochs: int, factor: int, epochs: int
) -> bool:
    """Whether a trial that has come as far as ``curve`` should go no further.

    A trial is judged after min_epochs, min_epochs * factor, min_epochs * factor^2, ... epochs: it goes on if its
    last value is among the best 1 / factor of those that have come as far, itself included (at least one goes
    on, ties do, NaN never). Nobody waits for anybody, so the first to arrive always goes on (Li et al. 2020,
    "A System for Massively Parallel Hyperparameter Tuning", MLSys; in the form that stops trials and never
    resumes them). One that has come to the end has nothing left to give up.

    Args:
        curve: one value for each epoch so far; more is better.
        others: the curves of those it competes with, ended or not.
        min_epochs: before which nobody gives up.
        factor: how many arrive for one that goes on.
        epochs: of a whole trial.

    >>> gives_up([0.5], [[0.6, 0.7], [0.4]], min_epochs=1, factor=3, epochs=9)
    True
    """
    check_whole("min_epochs", min_epochs)
    check_whole("factor", factor, least=2)
    reached = len(curve)
    if reached >= epochs or not _is_rung(reached, min_epochs, factor):
        return False
    if math.isnan(curve[-1]):
        return True
    arrived = [curve[-1], *(_rated(other[reached - 1]) for other in others if len(other) >= reached)]
    best = sorted(arrived, reverse=True)
    return curve[-1] < best[max(1, len(best) // factor) - 1]


def _is_rung(reached: int, min_epochs: int, factor: int) -> bool:
    rung = min_epochs
    while rung < reached:
        rung *= factor
    return rung == reached


def _rated(value: float) -> float:
    return -math.inf if math.isnan(value) else value
