"""Accuracy over the triangle of cost shares: a quadratic fitted to what was trained, with its uncertainty.

A mixture polynomial of second degree (Scheffé 1958) in the shares, the same for every group, plus an
offset a group: what a doubled and a quadrupled cost have in common is the shape. Networks count by
1 / (misfit + seed noise), both estimated from the data; where these leave a coefficient open, a wide
normal prior holds it (ridge), and the uncertainty says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from compoundnet.errors import RequestError
from compoundnet.search.answers import mixture
from compoundnet.search.answers.mixture import Form
from compoundnet.search.answers.networks import Network
from compoundnet.search.answers.simplex import SHAPE_COLUMNS, Floats, grid, hull, inside, shape_terms, to_plane
from compoundnet.units import counted

__all__ = ["Difference", "Form", "Surface", "fewest_networks", "fit"]

_STEPS = 100  # of a share: 0.01 of a doubled cost is 0.7 % of alpha, finer than rounding to a network
_COARSE_STEPS = 20  # for maxima of smooth functions over the triangle
_PAYS = 0.95  # a form must bring the error of prediction down to this much of the simpler one's
_LEVELLED = 1e-9  # room that is left to a network's residual where the fit goes through it


class Difference(NamedTuple):
    """A difference of accuracy, in 0..1, with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Surface:
    """A fitted surface; :func:`fit` makes it.

    Attributes:
        form: what was fitted.
        groups: names, in the order of the offsets.
        tried: shares of the networks it was fitted to, ``(n, 3)``.
        coefficients: ``(p,)``, of the response: an offset a group, the shape's six, then those of the form.
        covariance: of the coefficients, ``(p, p)``.
        seed_noise: standard deviation of the response between seeds; None if no network has two.
        misfit: standard deviation of the response of networks about the surface, beyond seed noise.
        error: root mean square error, in accuracy, of predicting a network from the others. Like the next two of those
            networks alone that were trained to the end: ends that were drawn, given the shares, follow the shares.
        flat_error: the same without a shape: for offsets, and the slope on realised cost where the form has one.
        flat_p: probability of a shape this strong if there were none (F test). None, like both errors, where too few
            were trained to the end to ask.
        influence: ``(p, n)``: how a change of a network's response moves each coefficient.
        residuals: ``(n,)``: by how much each network misses, freed of its own pull on the fit.
        parts: where trials were stopped early, the surfaces of each draw of their ends, of which this is the mean.
    """

    form: Form
    groups: tuple[str, ...]
    tried: Floats
    coefficients: Floats
    covariance: Floats
    seed_noise: float | None
    misfit: float
    error: float | None
    flat_error: float | None
    flat_p: float | None
    influence: Floats
    residuals: Floats
    parts: tuple["Surface", ...] = ()

    def predict(self, shares: ArrayLike, group: str) -> tuple[Floats, Floats]:
        """Accuracy and its standard error, each ``(m,)``, for shares ``(m, 3)`` at the group's nominal cost."""
        at = np.atleast_2d(np.asarray(shares, dtype=np.float64))
        index = np.full(len(at), self.groups.index(group))
        rows = mixture.design(at, index, np.zeros(len(at)), len(self.groups), self.form)
        mean: Floats = rows @ self.coefficients
        error: Floats = np.sqrt(((rows @ self.covariance) * rows).sum(axis=1))
        if not self.form.logit:
            return mean, error
        accuracy = mixture.expit(mean)
        return accuracy, error * accuracy * (1 - accuracy)

    def height(self, shares: ArrayLike) -> Floats:
        """The response ``(m,)`` at shares ``(m, 3)`` over that in the middle of the triangle, averaged over groups."""
        at = np.atleast_2d(np.asarray(shares, dtype=np.float64))
        height: Floats = shape_terms(at) @ self.coefficients[self._shape]
        return height

    def gain(self, shares: ArrayLike, other: ArrayLike) -> tuple[float, float]:
        """Height at ``shares`` (3,) over that at ``other``, and its standard error."""
        row = shape_terms(np.atleast_2d(shares))[0] - shape_terms(np.atleast_2d(other))[0]
        variance = float(row @ self.covariance[self._shape, self._shape] @ row)
        mean = float(row @ self.coefficients[self._shape])
        return mean, math.sqrt(max(0.0, variance))

    def expecting(self, network: Network) -> "Surface":
        """The surface as it would be if the network, once trained, came out exactly as predicted: only surer."""
        row = np.zeros(len(self.coefficients))
        row[self._shape] = shape_terms(np.atleast_2d(network.shares))[0]
        if network.group in self.groups:
            row[self.groups.index(network.group)] = 1.0
        pull = self.covariance @ row
        noise = self.misfit**2 + (self.seed_noise or 0.0) ** 2
        return replace(self, covariance=self.covariance - np.outer(pull, pull) / (noise + row @ pull))

    def maximum(self) -> Floats:
        """The shares ``(3,)`` where the surface, averaged over groups, is highest within what was tried."""
        best: Floats = self.maximisers(self.coefficients[:, None])[0]
        return best

    def group_maximum(self, group: str) -> Floats:
        """The shares ``(3,)`` where the surface of one group is highest within what was tried."""
        places = _places(self.tried, _STEPS)
        best: Floats = places[self.predict(places, group)[0].argmax()]
        return best

    def maximisers(self, coefficients: Floats) -> Floats:
        """The same for each of the coefficients ``(p, b)``: ``(b, 3)``."""
        places = _places(self.tried, _STEPS)
        best: Floats = places[(shape_terms(places) @ coefficients[self._shape]).argmax(axis=0)]
        return best

    def draws(self, multipliers: Floats) -> Floats:
        """Coefficients ``(p, b)`` of a bootstrap: each network's residual comes back times a multiplier of ``(n, b)``.

        Multipliers are independent, of mean 0 and variance 1.

        The wild bootstrap (Wu 1986). It resamples networks with all their seeds: a network's residual
        holds the noise of its seeds already, and resampling them once more would count it twice. A
        design of few networks stays whole, where drawing networks with replacement loses corners. With
        parts, each gives its share of the draws.
        """
        if self.parts:
            shared = np.array_split(multipliers, len(self.parts), axis=1)
            return np.concatenate([part.draws(mine) for part, mine in zip(self.parts, shared, strict=True)], axis=1)
        drawn: Floats = self.coefficients[:, None] + self.influence @ (self.residuals[:, None] * multipliers)
        return drawn

    def difference(self, shares: ArrayLike, other: ArrayLike, draws: Floats, level: float) -> Difference:
        """Accuracy at ``shares`` less that at ``other``, averaged over groups, with an interval.

        The interval holds for every place that was tried at once (studentised maximal deviation of the
        draws), so that it stays honest although ``shares`` was chosen for being the best of them.
        """
        against = shape_terms(np.atleast_2d(np.asarray(other, dtype=np.float64)))
        places = np.concatenate([_places(self.tried, _COARSE_STEPS), np.atleast_2d(shares)])
        rows = shape_terms(places) - against
        off = rows @ (draws - self.coefficients[:, None])[self._shape]
        spread = off.std(axis=1)
        moved = spread > _LEVELLED * max(1.0, float(spread.max()))
        reach = float(np.quantile(np.abs(off[moved] / spread[moved, None]).max(axis=0), level)) if moved.any() else 0.0
        gain = float(rows[-1] @ self.coefficients[self._shape])
        ends = (gain, gain - reach * float(spread[-1]), gain + reach * float(spread[-1]))
        return Difference(*(self._as_accuracy(end, float(against[0] @ self.coefficients[self._shape])) for end in ends))

    @property
    def _shape(self) -> slice:
        return slice(len(self.groups), len(self.groups) + SHAPE_COLUMNS)

    def _as_accuracy(self, gain: float, height: float) -> float:
        """A gain of the response over a place of that height as accuracy, averaged over groups."""
        if not self.form.logit:
            return gain
        base = self.coefficients[: len(self.groups)] + height
        return float((mixture.expit(base + gain) - mixture.expit(base)).mean())


def fewest_networks(groups: int) -> int:
    """Networks below which no surface is fitted: three more than it has coefficients."""
    return Form().coefficients(groups) + 3


def fit(networks: Sequence[Network], form: Form | None = None) -> Surface:
    """The surface of the networks that have a final accuracy, measured or drawn.

    Where trials were stopped early, one surface for each draw of how they might have ended, and their mean. Whether
    there is a shape at all is then asked of those that were trained to the end.

    Without a form: the simplest, unless another predicts networks that were left out better by 5 %. A
    slope on realised cost, linear terms by group, and the logit each have to earn their place.

    Raises:
        RequestError: too few networks for the coefficients.
    """
    usable = [network for network in networks if network.values or network.estimates]
    groups = tuple(dict.fromkeys(network.group for network in usable))
    if len(usable) < fewest_networks(len(groups)):
        raise RequestError(
            f"{counted(len(usable), 'network')} in {counted(len(groups), 'group')} have a final accuracy; "
            f"a surface over the shares needs {fewest_networks(len(groups))}"
        )
    forms = [form] if form else _forms(usable, len(groups))
    best, *others = (_tested(_mean(_parts(usable, groups, each)), usable) for each in forms)
    for other in others:
        if other.error is not None and best.error is not None and other.error < _PAYS * best.error:
            best = other
    return best


def _parts(networks: Sequence[Network], groups: tuple[str, ...], form: Form) -> list["Surface"]:
    """A surface for each draw of the ends of what was stopped early."""
    draws = range(_draws(networks))
    return [_fit([network.completed(i) for network in networks], groups, form) for i in draws]


def _tested(surface: Surface, networks: Sequence[Network]) -> Surface:
    """With errors and p-value of what was measured."""
    if not any(network.estimates for network in networks):
        return surface
    measured = [replace(network, estimates=()) for network in networks if network.values]
    groups = tuple(dict.fromkeys(network.group for network in measured))
    if len(measured) < surface.form.coefficients(len(groups)) + 3:
        return replace(surface, error=None, flat_error=None, flat_p=None)
    alone = _fit(measured, groups, surface.form)
    return replace(surface, error=alone.error, flat_error=alone.flat_error, flat_p=alone.flat_p)


def _draws(networks: Sequence[Network]) -> int:
    """Of the ends of trials stopped early; 1 where none was."""
    return max((len(ends) for network in networks for ends in network.estimates), default=1)


def _mean(parts: Sequence[Surface]) -> Surface:
    """The surfaces as one, by Rubin's rules (1987)."""
    if len(parts) == 1:
        return parts[0]
    coefficients = np.array([part.coefficients for part in parts])
    between = np.atleast_2d(np.cov(coefficients.T)) * (1 + 1 / len(parts))
    noises = [part.seed_noise for part in parts if part.seed_noise is not None]

    def mean(name: str) -> Any:
        return np.mean([getattr(part, name) for part in parts], axis=0)

    return replace(
        parts[0],
        coefficients=coefficients.mean(axis=0),
        covariance=mean("covariance") + between,
        seed_noise=float(np.mean(noises)) if noises else None,
        misfit=float(mean("misfit")),
        error=float(mean("error")),
        flat_error=float(mean("flat_error")),
        flat_p=mean("flat_p"),
        influence=mean("influence"),
        residuals=mean("residuals"),
        parts=tuple(parts),
    )


def _forms(networks: Sequence[Network], groups: int) -> list[Form]:
    """The forms that what was trained to the end can carry, the simplest first, which all of it together carries."""
    ratios = [network.cost_ratio or 0.0 for network in networks]
    may_cost = min(ratios) > 0 and max(ratios) > 1.01 * min(ratios)
    choices = product((False, True), (False, True) if groups > 1 else (False,), (False, True) if may_cost else (False,))
    forms = [Form(logit=logit, by_group=by_group, cost=cost) for logit, by_group, cost in choices]
    measured = sum(bool(network.values) for network in networks)
    carried = [form for form in forms if form.coefficients(groups) + 3 <= measured]
    return sorted(carried, key=lambda form: form.coefficients(groups)) or [Form()]


def _fit(networks: Sequence[Network], groups: tuple[str, ...], form: Form) -> Surface:
    seen = mixture.observe(networks, groups, form)
    full = mixture.design(seen.shares, seen.group, seen.cost, len(groups), form)
    # A slope on realised cost is no shape: left out here, it would count as one wherever dearer networks are better.
    after = len(groups) + SHAPE_COLUMNS
    flat = full[:, [*range(len(groups)), *range(after, after + form.cost)]]
    spread = max(1e-6, float((seen.response - flat @ np.linalg.pinv(flat) @ seen.response).std()))
    variance = mixture.misfit_variance(full, seen, len(groups), spread)
    weights = 1 / (variance + seen.noise)
    covariance = mixture.solve(full, weights, len(groups), spread)
    influence = covariance @ (full.T * weights)
    flat_influence = np.linalg.pinv((flat.T * weights) @ flat) @ (flat.T * weights)
    residuals, left_out = _misses(full, influence, seen.response)
    flat_residuals, flat_left_out = _misses(flat, flat_influence, seen.response)
    return Surface(
        form=form,
        groups=groups,
        tried=seen.shares,
        coefficients=influence @ seen.response,
        covariance=covariance,
        seed_noise=seen.seed_noise,
        misfit=float(np.sqrt(variance)),
        error=_error(seen.response, left_out, form),
        flat_error=_error(seen.response, flat_left_out, form),
        flat_p=_flat_p(full, flat, float(weights @ residuals**2), float(weights @ flat_residuals**2)),
        influence=influence,
        residuals=left_out,
    )


def _misses(columns: Floats, influence: Floats, response: Floats) -> tuple[Floats, Floats]:
    """Residuals, and what they would be if each network had been left out of the fit; 0 where only it decides."""
    residuals = response - columns @ (influence @ response)
    room = 1 - (columns * influence.T).sum(axis=1)
    left_out = np.where(room > _LEVELLED, residuals / np.maximum(room, _LEVELLED), 0.0)
    return residuals, left_out


def _error(response: Floats, left_out: Floats, form: Form) -> float:
    """Root mean square in accuracy."""
    misses = mixture.expit(response) - mixture.expit(response - left_out) if form.logit else left_out
    return float(np.sqrt((misses**2).mean()))


def _flat_p(full: Floats, flat: Floats, squares: float, flat_squares: float) -> float:
    from scipy.stats import f

    rank = int(np.linalg.matrix_rank(full))
    extra, freedom = rank - flat.shape[1], len(full) - rank
    if not extra or flat_squares <= squares:
        return 1.0
    if squares <= 1e-15 * flat_squares:
        return 0.0
    return float(f.sf((flat_squares - squares) / extra / (squares / freedom), extra, freedom))


def _places(tried: Floats, steps: int) -> Floats:
    """Where a maximum may lie: the grid within the hull of what was tried, and the tried shares themselves."""
    places = grid(steps)
    corners = hull(to_plane(tried))
    return np.concatenate([places[inside(to_plane(places), corners) >= 0], tried])
