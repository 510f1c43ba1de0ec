"""Which networks a study should train next, given what has ended: where the surface is high, or not yet known."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from compoundnet.search.answers.networks import Network, pool
from compoundnet.search.answers.simplex import to_plane
from compoundnet.search.answers.surface import fewest_networks, fit
from compoundnet.search.trials import Candidate, Outcome

__all__ = ["next_points"]


def next_points(outcomes: Iterable[Outcome], candidates: Sequence[Candidate], n: int) -> tuple[Candidate, ...]:
    """The ``n`` networks that most deserve to be trained next: their candidates, every seed.

    Where the outcomes carry a surface, by expected improvement over the best that was tried (Jones et
    al. 1998), one after another, each as if it had come out as predicted. Where they do not yet, the
    network farthest from all that were tried in its group. A pure function: a study that was killed
    decides the same again. Networks of which a trial has ended, whatever came of it, are not proposed.
    """
    outcomes = list(outcomes)
    tried = pool(outcomes) if outcomes else ()
    done = {(network.group, network.name) for network in tried}
    waiting = [c for c in candidates if (c.group, c.network) not in done]
    untried = pool(Outcome(candidate=c, state="failed", value=None) for c in waiting) if waiting else ()
    usable = [network for network in tried if network.values or network.estimates]
    if len(usable) >= fewest_networks(len({network.group for network in usable})):
        chosen = _improving(usable, untried, n)
    else:
        chosen = _farthest(tried, untried, n)
    return tuple(c for network in chosen for c in waiting if (c.group, c.network) == (network.group, network.name))


def _improving(tried: Sequence[Network], untried: Sequence[Network], n: int) -> list[Network]:
    surface = fit(tried)
    best = max((network.shares for network in tried), key=lambda shares: float(surface.height(shares)[0]))
    left, chosen = list(untried), list[Network]()
    while left and len(chosen) < n:
        gains = [_expected_improvement(*surface.gain(network.shares, best)) for network in left]
        chosen.append(left.pop(gains.index(max(gains))))
        surface = surface.expecting(chosen[-1])
    return chosen


def _expected_improvement(mean: float, error: float) -> float:
    if error <= 0:
        return max(0.0, mean)
    ratio = mean / error
    return mean * math.erfc(-ratio / math.sqrt(2)) / 2 + error * math.exp(-ratio * ratio / 2) / math.sqrt(2 * math.pi)


def _farthest(tried: Sequence[Network], untried: Sequence[Network], n: int) -> list[Network]:
    """Where nothing of a group was tried, first the network nearest the middle of the triangle."""
    seen = {u.group: [to_plane(t.shares) for t in tried if t.group == u.group] for u in untried}
    middle = to_plane([1 / 3] * 3)

    def loneliness(network: Network) -> tuple[float, float]:
        at = to_plane(network.shares)
        nearest = min((float(np.linalg.norm(at - other)) for other in seen[network.group]), default=math.inf)
        return nearest, -float(np.linalg.norm(at - middle))

    left, chosen = list(untried), list[Network]()
    while left and len(chosen) < n:
        chosen.append(max(left, key=loneliness))
        left.remove(chosen[-1])
        seen[chosen[-1].group].append(to_plane(chosen[-1].shares))
    return chosen
