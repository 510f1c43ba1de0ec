"""When a trial gives up: asynchronous successive halving."""

import math
from collections.abc import Iterable, Sequence

from compoundnet.checks import check_whole

__all__ = ["gives_up"]


def gives_up(curve: Sequence[float], others: Iterable[Sequence[float]], *, min_epochs: int, factor: int) -> bool:
    """Whether a trial that has come as far as ``curve`` should go no further.

    A trial is judged after min_epochs, min_epochs * factor, min_epochs * factor^2, ... epochs: it goes on if its
    last value is among the best 1 / factor of those that have come as far, itself included (at least one goes
    on, ties do, NaN never). Nobody waits for anybody, so the first to arrive always goes on (Li et al. 2020,
    "A System for Massively Parallel Hyperparameter Tuning", MLSys; in the form that stops trials and never
    resumes them).

    Args:
        curve: one value for each epoch so far; more is better.
        others: the curves of those it competes with, ended or not.
        min_epochs: before which nobody gives up.
        factor: how many arrive for one that goes on.

    >>> gives_up([0.5], [[0.6, 0.7], [0.4]], min_epochs=1, factor=3)
    True
    """
    check_whole("min_epochs", min_epochs)
    check_whole("factor", factor, least=2)
    epochs = len(curve)
    if not _is_rung(epochs, min_epochs, factor):
        return False
    if math.isnan(curve[-1]):
        return True
    arrived = [curve[-1], *(_rated(other[epochs - 1]) for other in others if len(other) >= epochs)]
    best = sorted(arrived, reverse=True)
    return curve[-1] < best[max(1, len(best) // factor) - 1]


def _is_rung(epochs: int, min_epochs: int, factor: int) -> bool:
    rung = min_epochs
    while rung < epochs:
        rung *= factor
    return rung == epochs


def _rated(value: float) -> float:
    return -math.inf if math.isnan(value) else value
