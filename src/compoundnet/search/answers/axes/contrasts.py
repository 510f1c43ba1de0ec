"""Means over seeds with their intervals, and the differences of two rules.

Every interval is about training again on the same images with other seeds, at 95 %. Not paired by
seed: other networks draw other weights from the same seed, so that pairing would spend degrees of freedom
for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compoundnet.scaling import Multipliers
from compoundnet.search.answers.networks import Network
from compoundnet.search.answers.seeds import Noise, reach

__all__ = ["BASELINE", "LEVEL", "Contrast", "Row", "contrast", "row"]

LEVEL = 0.95
"""Of every interval."""

BASELINE = "baseline"
"""The rule, in the tags, of the network that all others scale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One rule at one cost. Accuracies in 0..1; ``low`` and ``high`` are None with fewer than two seeds.

    ``macs_factor`` is realised MACs over the baseline's, ``factor`` what was asked for, ``nominal_product`` what the
    multipliers come to (depth * width^2 * resolution^2).
    """

    rule: str
    group: str
    factor: float
    multipliers: Multipliers
    resolution_px: int | None
    macs: int | None
    nominal_product: float | None
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

    ``low`` and ``high`` are None where one of the two has fewer than two seeds, and both 0 where rounding made the
    two one network. ``apart`` is the largest share by which realised MACs of the two differ at one cost, None where
    they are not known.
    """

    group: str | None
    rule: str
    other: str
    value: float
    low: float | None
    high: float | None
    seeds: int  # the fewest of those compared
    costs: int  # groups that have both
    apart: float | None

    @property
    def identical(self) -> bool:
        """Whether the two are one network wherever they were compared."""
        return self.low == self.high == 0


def row(network: Network, noise: Noise) -> Row:
    """The row of a network whose tags name its ``rule`` and its ``nominal_factor``."""
    tags, n = network.tags, len(network.values)
    half = reach(noise, 1 / n, LEVEL) if n > 1 else None
    return Row(
        rule=tags["rule"],
        group=network.group,
        factor=float(tags["nominal_factor"]),
        multipliers=network.multipliers,
        resolution_px=tags.get("resolution"),
        macs=tags.get("macs"),
        nominal_product=tags.get("nominal_product"),
        macs_factor=tags.get("macs_factor"),
        params=tags.get("params"),
        activations=tags.get("activations"),
        seeds=len(network.values),
        accuracy=network.mean,
        low=network.mean - half if network.mean is not None and half is not None else None,
        high=network.mean + half if network.mean is not None and half is not None else None,
        deviation=network.deviation,
    )


def contrast(
    networks: Mapping[tuple[str, str], Network], groups: Sequence[str], rule: str, other: str, noise: Noise
) -> Contrast | None:
    """``rule`` less ``other``, averaged over those of the groups that have both; None where none has.

    The variance of the mean difference over k groups is the noise times the sum of all 1 / seeds, over k^2; where the
    two are one network they do not differ, and add nothing to it.

    Args:
        networks: by group and rule.
        groups: to average over.
        rule: the one.
        other: what is subtracted.
        noise: of one training.
    """
    found = [(group, networks.get((group, rule)), networks.get((group, other))) for group in groups]
    both = [(group, one, two) for group, one, two in found if one and two and one.values and two.values]
    if not both:
        return None
    value = sum(float(np.mean(one.values)) - float(np.mean(two.values)) for _, one, two in both) / len(both)
    seeds = [len(network.values) for _, *pair in both for network in pair]
    differing = [len(network.values) for _, one, two in both if one.name != two.name for network in (one, two)]
    gaps = [gap for _, one, two in both if (gap := _gap(one, two)) is not None]
    known = min(differing, default=2) > 1
    half = reach(noise, sum(1 / n for n in differing) / len(both) ** 2, LEVEL) if known else None
    return Contrast(
        group=both[0][0] if len(groups) == 1 else None,
        rule=rule,
        other=other,
        value=value,
        low=None if half is None else value - half,
        high=None if half is None else value + half,
        seeds=min(seeds),
        costs=len(both),
        apart=max(gaps) if len(gaps) == len(both) else None,
    )


def _gap(one: Network, two: Network) -> float | None:
    """Share by which the dearer of two networks costs more than the other."""
    low, high = sorted(network.tags.get("macs_factor") or 0.0 for network in (one, two))
    return high / low - 1 if low else None
