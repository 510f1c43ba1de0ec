"""The noise between seeds, pooled over the networks of a study, and the intervals that follow from it.

The noise is taken to be the same for all networks, as in an analysis of variance: two or three seeds of one network
say next to nothing of it, and may agree by chance.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from compoundnet.search.answers.networks import Network
from compoundnet.search.answers.simplex import Floats

__all__ = ["Noise", "pooled", "reach", "seed_noise"]

_NOTHING = 1e-12  # squares of accuracies that differ by rounding alone


class Noise(NamedTuple):
    """Variance of one training over seeds, and its degrees of freedom; (0, 0): nothing is known."""

    variance: float
    freedom: int


def pooled(groups: Iterable[Floats]) -> Noise:
    """Variance within groups, each about its own mean."""
    several = [values for values in groups if len(values) > 1]
    freedom = sum(len(values) - 1 for values in several)
    squares = sum(float(np.var(values)) * len(values) for values in several)
    return Noise(squares / freedom, freedom) if freedom else Noise(0.0, 0)


def seed_noise(networks: Iterable[Network]) -> Noise:
    """Of the accuracies of networks with several seeds. Where all seeds agree to the bit nothing is known: (0, 0)."""
    noise = pooled(np.array(network.values) for network in networks)
    return noise if noise.variance * noise.freedom > _NOTHING else Noise(0.0, 0)


def reach(noise: Noise, share: float, level: float) -> float | None:
    """Half the width of the interval (Student's t) of what has that share of one training's variance; None: unknown."""
    from scipy.stats import t

    if not share:
        return 0.0
    return float(t.ppf((1 + level) / 2, noise.freedom)) * math.sqrt(noise.variance * share) if noise.freedom else None
