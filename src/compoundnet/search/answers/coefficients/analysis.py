"""Alpha, beta, gamma from trials that have ended: the best shares of the cost, and how far to trust them.

What was trained is pooled into networks, a surface over the triangle of shares is fitted to them, and
its highest place is the rule. How that place moves when the noise of the networks is drawn again gives
the interval. The paper (Tan & Le 2019, section 4) reports neither grid nor noise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Rule
from compoundnet.scaling.compound import COST_POWERS
from compoundnet.search.answers.coefficients.result import LEVEL, CoefficientsResult, Comparison, Interval, Training
from compoundnet.search.answers.coefficients.sentences import answer, doubt, warnings
from compoundnet.search.answers.networks import Network, pool
from compoundnet.search.answers.simplex import Floats, from_plane, hull, inside, to_plane
from compoundnet.search.answers.surface import Difference, Surface, fewest_networks, fit
from compoundnet.search.trials import Outcome

__all__ = ["CoefficientsResult", "analyse"]

_DRAWS = 1000  # of the bootstrap
_FEWEST_RANKED = 4  # networks of a group of which a rank correlation says something


def analyse(outcomes: Iterable[Outcome], *, factor: float = 2.0, seed: int = 0) -> CoefficientsResult:
    """The best rule for the cost factor of one unit of phi, from trials whose tags hold their ``shares``.

    Trials at a nominal factor of 1 (the baseline) have no place on the triangle and are left out. With
    too few networks for a surface, or where trials were stopped early and too few went on to say how those
    would have ended, the rule is that of the best network, without an interval.

    Args:
        outcomes: of any order and states; a trial that was recorded twice counts once.
        factor: cost factor that one unit of phi stands for.
        seed: of the bootstrap. The same outcomes and seed give the same result.

    Raises:
        RequestError: no trial was trained to the end, tags without shares, or a factor not above 1.
    """
    networks = tuple(network for network in pool(outcomes) if network.tags.get("nominal_factor") != 1)
    finished = [network for network in networks if network.values]
    if not finished:
        raise RequestError(
            f"of {len(networks)} networks none was trained to the end "
            f"({sum(n.pruned for n in networks)} trials stopped early, {sum(n.failed for n in networks)} failed); "
            "coefficients need at least one"
        )
    usable = [network for network in networks if network.values or network.estimates]
    usable.sort(key=lambda network: (network.group, network.name))  # whatever order they ended in, the same draws
    best = _best(finished)
    enough = len(usable) >= fewest_networks(len({network.group for network in usable}))
    all_known = not any(network.unknown for network in networks)
    surface = fit(usable) if enough and all_known else None
    multipliers = np.random.default_rng(seed).standard_normal((len(usable), _DRAWS))
    place = surface.maximum() if surface else np.array(_most_tried(best, finished).shares)
    rule = _rule(place, factor)
    bare = CoefficientsResult(
        rule=rule,
        shares_interval=None,
        coefficients_interval=None,
        region=None,
        best=best,
        networks=networks,
        published=(),
        surface=surface,
        training=_training(networks, surface, multipliers),
    )
    result = _with_intervals(bare, surface, place, surface.draws(multipliers)) if surface else bare
    return replace(result, answer=answer(result), warnings=warnings(result), doubt=doubt(result))


def _best(finished: Sequence[Network]) -> tuple[Network, ...]:
    """The best network of each group, among those with at least half as many seeds as any has: not the luckiest."""
    most = max(len(network.values) for network in finished)
    groups = dict.fromkeys(network.group for network in finished)
    best = []
    for group in groups:
        mates = [network for network in finished if network.group == group]
        trusted = [network for network in mates if 2 * len(network.values) >= most] or mates
        best.append(max(trusted, key=lambda network: network.mean or 0.0))
    return tuple(best)


def _most_tried(best: Sequence[Network], finished: Sequence[Network]) -> Network:
    """The best network of the group in which most were trained to the end."""
    return max(best, key=lambda candidate: sum(network.group == candidate.group for network in finished))


def _rule(shares: Floats, factor: float) -> Rule:
    """To nine digits, so that a share of nothing is 0 and not what floating point left of it."""
    depth, width = (round(float(share), 9) + 0.0 for share in shares[:2])
    return Rule(depth=depth, width=width, resolution=max(0.0, round(1 - depth - width, 9)), factor=factor)


def _with_intervals(result: CoefficientsResult, surface: Surface, place: Floats, draws: Floats) -> CoefficientsResult:
    maximisers = np.concatenate([surface.maximisers(draws), place[None]])
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low = np.minimum(np.quantile(maximisers, tails[0], axis=0), place)
    high = np.maximum(np.quantile(maximisers, tails[1], axis=0), place)
    shares = [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    factor = result.rule.factor
    return replace(
        result,
        shares_interval=tuple(shares),
        coefficients_interval=tuple(
            Interval(*(factor ** (end / power) for end in ends))
            for ends, power in zip(shares, COST_POWERS, strict=True)
        ),
        region=_region(maximisers, place),
        published=tuple(_comparison(name, rule, surface, place, draws) for name, rule in RULES.items()),
    )


def _region(maximisers: Floats, place: Floats) -> tuple[tuple[float, float, float], ...]:
    """Corners of the hull of the maximisers nearest to the best place, so many that they make up the level."""
    at = to_plane(maximisers)
    away = np.linalg.norm(at - to_plane(place), axis=1)
    near = away <= np.quantile(away, LEVEL)
    corners = from_plane(hull(at[near])).tolist()
    return tuple((d, w, r) for d, w, r in corners)


def _comparison(name: str, rule: Rule, surface: Surface, place: Floats, draws: Floats) -> Comparison:
    shares = np.array([[rule.depth, rule.width, rule.resolution]])
    return Comparison(
        name=name,
        rule=rule,
        gain=surface.difference(place, shares, draws, LEVEL),
        extrapolated=bool(inside(to_plane(shares), hull(to_plane(surface.tried)))[0] < -1e-6),
    )


def _training(networks: Sequence[Network], surface: Surface | None, multipliers: Floats) -> Training:
    """Compare the answer with the one at half the epochs, from the networks whose curves are known."""
    finished = [network for network in networks if network.values]
    rises = [c[-1] - c[-1 - len(c) // 4] for n in finished for c in n.curves if len(c) >= 4 and np.isfinite(c).all()]
    whole = _last_common_epoch(networks)
    half = whole // 2
    before, after = (
        ([at for n in networks if (at := _seen_at(n, epoch))] for epoch in (half, whole)) if half else ([], [])
    )
    halfway, drift = None, None
    if surface and after and len(after) >= fewest_networks(len({n.group for n in after})):
        first, then = fit(before, surface.form), fit(after, surface.form)
        depth, width, resolution = map(float, first.maximum())
        halfway = (depth, width, resolution)
        drift = _drift(first, then, multipliers[: len(after)])
    return Training(
        epochs=min((len(c) for n in finished for c in n.curves), default=0),
        compared=(half, whole) if after else None,
        halfway=halfway,
        drift=drift,
        rank_correlation=_rank_correlation(before, after),
        rise=float(np.mean(rises)) if rises else None,
    )


def _last_common_epoch(networks: Sequence[Network]) -> int:
    """The last epoch that every trial came to: where the first was stopped early, or the end."""
    stopped = [len(c) for n in networks for c in n.stopped]
    return min(stopped or [len(c) for n in networks for c in n.curves], default=0)


def _seen_at(network: Network, epoch: int) -> Network | None:
    """The network as it stood after so many epochs, all its trials; None where a curve does not tell."""
    curves = (*network.curves, *network.stopped)
    if not curves or not all(len(c) >= epoch and np.isfinite(c).all() for c in curves):
        return None
    return replace(network, values=tuple(c[epoch - 1] for c in curves), estimates=())


def _drift(before: Surface, after: Surface, multipliers: Floats) -> tuple[Difference, ...]:
    """From one surface's best place to the other's; the same multipliers for both, as both saw the same trials."""
    moved = after.maximisers(after.draws(multipliers)) - before.maximisers(before.draws(multipliers))
    estimate = after.maximum() - before.maximum()
    tail = (1 - LEVEL) / 2 / 3  # three shares at once
    low, high = np.quantile(moved, [tail, 1 - tail], axis=0)
    ends = zip(estimate, np.minimum(low, estimate), np.maximum(high, estimate), strict=True)
    return tuple(Difference(*map(float, three)) for three in ends)


def _rank_correlation(before: Sequence[Network], after: Sequence[Network]) -> float | None:
    """Spearman's, within each group, averaged by number of networks; None where no group has four that differ."""
    from scipy.stats import rankdata

    total, count = 0.0, 0
    for group in dict.fromkeys(network.group for network in before):
        pairs = [(b.mean, a.mean) for b, a in zip(before, after, strict=True) if b.group == group]
        ranks = rankdata(np.array(pairs), axis=0)
        if len(pairs) >= _FEWEST_RANKED and ranks.std(axis=0).min() > 0:
            total += len(pairs) * float(np.corrcoef(ranks.T)[0, 1])
            count += len(pairs)
    return total / count if count else None
