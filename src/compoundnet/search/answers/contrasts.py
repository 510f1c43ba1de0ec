"""Means over seeds with their intervals, and the differences of two rules.

Every interval is about training again on the same images with other seeds, at 95 %. Two rules are
compared by Welch's interval (1947): other networks draw other weights from the same seed, so that
pairing by seed would spend degrees of freedom for nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from compoundnet.scaling import Multipliers
from compoundnet.search.answers.networks import Network

__all__ = ["BASELINE", "LEVEL", "Contrast", "Row", "contrast", "row"]

LEVEL = 0.95
"""Of every interval."""

BASELINE = "baseline"
"""The rule, in the tags, of the network that all others scale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One rule at one cost. Accuracies in 0..1; ``low`` and ``high`` are None with fewer than two seeds.

    ``macs_factor`` is realised MACs over the baseline's, ``factor`` what was asked for.
    """

    rule: str
    group: str
    factor: float
    multipliers: Multipliers
    resolution_px: int | None
    macs: int | None
    macs_factor: float | None
    params: int | None
    activations: int | None
    seeds: int
    accuracy: float | None
    low: float | None
    high: float | None
    deviation: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """Accuracy of ``rule`` less that of ``other``; ``group`` is None for the mean over all groups that have both.

    ``low`` and ``high`` are None where one of the two has fewer than two seeds.
    """

    group: str | None
    rule: str
    other: str
    value: float
    low: float | None
    high: float | None
    seeds: int  # the fewer of the two


class _Sample(NamedTuple):
    """A mean, the variance of that mean, and its degrees of freedom."""

    mean: float
    variance: float
    freedom: int


def row(network: Network) -> Row:
    """The row of a network whose tags name its ``rule`` and its ``nominal_factor``."""
    tags, sample = network.tags, _sample(network)
    reach = _reach(sample.variance, sample.freedom) if sample and sample.freedom else None
    return Row(
        rule=tags["rule"],
        group=network.group,
        factor=float(tags["nominal_factor"]),
        multipliers=network.multipliers,
        resolution_px=tags.get("resolution"),
        macs=tags.get("macs"),
        macs_factor=tags.get("macs_factor"),
        params=tags.get("params"),
        activations=tags.get("activations"),
        seeds=len(network.values),
        accuracy=network.mean,
        low=sample.mean - reach if sample and reach is not None else None,
        high=sample.mean + reach if sample and reach is not None else None,
        deviation=network.deviation,
    )


def _sample(network: Network | None) -> _Sample | None:
    if network is None or network.mean is None:
        return None
    n = len(network.values)
    return _Sample(network.mean, float(np.var(network.values, ddof=1)) / n if n > 1 else math.nan, n - 1)


def contrast(
    networks: Mapping[tuple[str, str], Network], groups: Sequence[str], rule: str, other: str
) -> Contrast | None:
    """``rule`` less ``other``, averaged over those of the groups that have both; None where none has.

    Args:
        networks: by group and rule.
        groups: to average over.
        rule: the one.
        other: what is subtracted.
    """
    found = [(g, _sample(networks.get((g, rule))), _sample(networks.get((g, other)))) for g in groups]
    both = [(group, one, two) for group, one, two in found if one and two]
    if not both:
        return None
    value = sum(one.mean - two.mean for _, one, two in both) / len(both)
    samples = [sample for _, one, two in both for sample in (one, two)]
    reach = None
    if all(sample.freedom for sample in samples):
        variance = sum(sample.variance for sample in samples)
        below = sum(sample.variance**2 / sample.freedom for sample in samples)
        freedom = variance**2 / below if below > 0 else math.inf  # Welch and Satterthwaite
        reach = _reach(variance / len(both) ** 2, freedom)
    return Contrast(
        group=both[0][0] if len(groups) == 1 else None,
        rule=rule,
        other=other,
        value=value,
        low=None if reach is None else value - reach,
        high=None if reach is None else value + reach,
        seeds=min(sample.freedom + 1 for sample in samples),
    )


def _reach(variance: float, freedom: float) -> float:
    """Half the width of the interval of a mean (Student's t)."""
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance)
