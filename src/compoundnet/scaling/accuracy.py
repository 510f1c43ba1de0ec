"""Which of two scaled networks is the better one: a loss with diminishing returns on each axis.

    loss(d, w, r) = floor + k_d d^-p_d + k_w w^-p_w + k_r r^-p_r

It falls with every axis and is separable, so that the best network under a budget is found exactly, and it
is the simplest form whose optimum under the nominal cost d w^2 r^2 <= s is a compound rule: with
p_d = c / e_d, p_w = 2 c / e_w, p_r = 2 c / e_r and k_i proportional to e_i the optimum is d = s^e_d,
w = s^(e_w/2), r = s^(e_r/2) for every s, and the loss there falls as s^-c. (Set the gradient of the loss
proportional to that of ln d + 2 ln w + 2 ln r: p_d k_d d^-p_d = p_w k_w w^-p_w / 2 = p_r k_r r^-p_r / 2.)
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from compoundnet.architecture import Number
from compoundnet.checks import check_number, check_text, check_whole, finite
from compoundnet.errors import RequestError
from compoundnet.scaling.compound import Multipliers, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["AccuracyModel", "Studied", "Term", "baseline_in_words", "fit", "following", "read_model"]

# Top-1 errors of B0 and B7, 22.9 and 15.7 % over a realised factor of 97.8 (Tan & Le 2019, Table 2): 0.082.
_SLOPE = math.log(22.9 / 15.7) / math.log(97.8)
_NO_SHARE = 1e-6
_POWERS = (0.05, 4.0)  # what a fit looks for; beyond, an axis is flat or a cliff
_SAME = 1e-6  # relative
_LEFT_OVER = 2  # networks more than numbers to be fitted, which tell how far they are off
_NOTHING = 1e-9  # of the largest error: less than that is rounding, and brings nothing
_STEEPEST = 1e6  # a power; a rule with hardly a share for an axis asks for 1e5
_SPREAD = math.sqrt(2)  # networks of one cost lie nearer together; they cannot say what more of everything brings


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """``weight * x^-power``: what is lost for want of one axis.

    Raises:
        RequestError: a number that is negative or not finite, or a power beyond a million.
    """

    weight: float
    power: float

    def __post_init__(self) -> None:
        check_number("weight", self.weight, lambda x: x >= 0, "be a finite number that is not negative")
        check_number("power", self.power, lambda x: 0 <= x <= _STEEPEST, f"lie in 0..{_STEEPEST:g}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Studied:
    """What a fitted model rests on: distinct networks, the least and most of each axis, as realised, and of d w^2 r^2.

    ``baseline`` is what was scaled, in the words of :func:`baseline_in_words`; None where that is not known.

    Raises:
        RequestError: numbers that cannot be.
    """

    networks: int
    least: Multipliers
    most: Multipliers
    cheapest: float
    dearest: float
    baseline: str | None = None

    def __post_init__(self) -> None:
        check_whole("networks", self.networks)
        if self.baseline is not None:
            check_text("baseline", self.baseline, baseline_in_words("efficientnet_b0", 224))
        for name in ("least", "most"):
            ends = getattr(self, name)
            if not isinstance(ends, (list, tuple)) or len(ends) != 3 or not all(finite(x) and x > 0 for x in ends):
                raise RequestError(f"{name} is {ends!r:.60}; it must be three positive multipliers")
            object.__setattr__(self, name, Multipliers(*ends))
        for name in ("cheapest", "dearest"):
            check_number(name, getattr(self, name), lambda x: x > 0, "be a positive number")


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyModel:
    """The loss above. Only differences count where it comes from a rule; a fit predicts the error itself, 0..1.

    ``deviation`` is how far networks lie from a fit, the root of the weighted squares by the degrees of freedom,
    and ``studied`` what it rests on; None without a fit.

    Raises:
        RequestError: an axis without a term, or a number that is negative or not finite.
    """

    depth: Term
    width: Term
    resolution: Term
    floor: float = 0.0
    deviation: float | None = None
    studied: Studied | None = None

    def __post_init__(self) -> None:
        for axis in Multipliers._fields:
            if not isinstance(getattr(self, axis), Term):
                raise RequestError(f"{axis} is {getattr(self, axis)!r:.60}; it must be a Term of a weight and a power")
        check_number("floor", self.floor, lambda x: x >= 0, "be a finite number that is not negative")
        if self.deviation is not None:
            check_number("deviation", self.deviation, lambda x: x >= 0, "be a share, such as 0.01")

    def loss(self, depth: Number, width: Number, resolution: Number) -> Any:
        """The loss at multipliers; numbers or arrays."""
        return self.floor + self.lost("depth", depth) + self.lost("width", width) + self.lost("resolution", resolution)

    def lost(self, axis: str, x: Number) -> Any:
        """What is lost for want of one axis, at a multiplier of it."""
        term: Term = getattr(self, axis)
        return term.weight * x**-term.power

    def counts(self, axis: str) -> bool:
        """Whether the loss depends on that axis at all."""
        term: Term = getattr(self, axis)
        return term.weight > 0 and term.power > 0

    def doubts(self, sizes: Multipliers, baseline: str | None = None) -> Iterator[str]:
        """Why a network of these realised multipliers of ``baseline`` may be worse than the fit says, a line each."""
        if self.studied is None:
            return
        if baseline and self.studied.baseline and baseline != self.studied.baseline:
            yield f"the study was of {self.studied.baseline}, and what it found need not hold for {baseline}"
        for axis, x, least, most in zip(Multipliers._fields, sizes, self.studied.least, self.studied.most, strict=True):
            if self.counts(axis) and not least * (1 - _SAME) <= x <= most * (1 + _SAME):
                yield f"its {axis}, x{x:.3g}, lies beyond what was studied, x{least:.3g} to x{most:.3g}"
            power = getattr(self, axis).power
            if self.counts(axis) and not _POWERS[0] * (1 + _SAME) < power < _POWERS[1] * (1 - _SAME):
                yield f"what {axis} brings is not settled: its power, {power:.3g}, is an end of what the fit looked for"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that :meth:`from_json` reads back equal."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Any) -> "AccuracyModel":
        """The model of a dictionary. RequestError: it is none."""
        try:
            axes = {axis: Term(**record[axis]) for axis in ("depth", "width", "resolution")}
            studied = record.get("studied")
            return cls(
                **axes,
                floor=record["floor"],
                deviation=record.get("deviation"),
                studied=None if studied is None else Studied(**studied),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise RequestError(f"not an accuracy model: {error}") from error


def baseline_in_words(name: str, resolution: int) -> str:
    """What is scaled, so that studies and designs of the same can be told from others: its name and its side."""
    return f"{name} at {resolution} px"


def following(rule: Rule, slope: float = _SLOPE) -> AccuracyModel:
    """The model whose best network under every nominal cost is the rule's; the loss falls as cost^-slope.

    >>> model = following(Rule.from_coefficients(1.2, 1.1, 1.15))
    >>> round(model.loss(1.2, 1.1, 1.15), 4) < round(model.loss(1.92, 1.0, 1.0), 4)  # the same cost, on one axis
    True
    """
    depth, width, resolution = (
        Term(weight=share, power=slope / exponent if exponent > _NO_SHARE else 0.0)  # without one it counts for nothing
        for share, exponent in zip(rule.shares, rule.exponents, strict=True)
    )
    return AccuracyModel(depth=depth, width=width, resolution=resolution)


def fit(
    points: Sequence[Multipliers],
    accuracy: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    baseline: str | None = None,
) -> AccuracyModel:
    """The model of trained networks: ``accuracy`` (0..1) of each, more ``weights`` for those measured more often.

    ``baseline`` is what they are scalings of, in the words of :func:`baseline_in_words`.

    For given powers the rest is linear and not negative (non-negative least squares); the powers are searched on a
    grid and then by Nelder-Mead. An axis that all networks have alike counts for nothing.

    Raises:
        RequestError: unequal numbers of them, one that is not finite, networks all of nearly one cost, or too few: it
            takes two more distinct ones than there are numbers to fit, nine where all three axes differ.
    """
    import numpy as np
    from scipy.optimize import minimize, nnls

    x, error, weight = _table(points, accuracy, weights)
    varied = np.flatnonzero(np.ptp(x, axis=0) > _SAME)
    _check_enough(x, len(varied))
    root = np.sqrt(weight)

    def linear(powers: Any) -> tuple[Any, float]:
        design = np.column_stack([np.ones(len(x)), *(x[:, varied] ** -powers).T]) * root[:, None]
        found, residual = nnls(design, error * root)
        return found, float(residual)

    def misfit(log_powers: Any) -> float:
        return linear(np.exp(np.clip(log_powers, *np.log(_POWERS))))[1]

    grid = np.log(np.geomspace(*_POWERS, 6))
    start = min((np.array(powers) for powers in product(grid, repeat=len(varied))), key=misfit)
    found = minimize(misfit, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-9, "maxiter": 600})
    powers = np.exp(np.clip(found.x, *np.log(_POWERS)))
    (floor, *scale), residual = linear(powers)
    terms = [Term(weight=0.0, power=0.0)] * 3
    for axis, k, p in zip(varied, scale, powers, strict=True):
        if k * x[:, axis].min() ** -p > _NOTHING * error.max():
            terms[axis] = Term(weight=float(k), power=float(p))
    freedom = 1 - _numbers(len(varied)) / len(x)
    return AccuracyModel(
        depth=terms[0],
        width=terms[1],
        resolution=terms[2],
        floor=float(floor),
        deviation=residual / math.sqrt(weight.sum() * freedom),
        studied=Studied(
            networks=len(np.unique(x, axis=0)),
            least=Multipliers(*map(float, x.min(axis=0))),
            most=Multipliers(*map(float, x.max(axis=0))),
            cheapest=float(_nominal(x).min()),
            dearest=float(_nominal(x).max()),
            baseline=baseline,
        ),
    )


def _table(
    points: Sequence[Multipliers], accuracy: Sequence[float], weights: Sequence[float] | None
) -> "tuple[Floats, Floats, Floats]":
    """Multipliers (n, 3), errors (n,), weights (n,)."""
    import numpy as np

    try:
        x = np.array(points, float).reshape(-1, 3)
        y = np.asarray(accuracy, float).ravel()
        weight = np.ones(len(x)) if weights is None else np.asarray(weights, float).ravel()
    except (TypeError, ValueError) as error:
        raise RequestError(f"networks, accuracies and weights must be numbers: {error}") from error
    if not len(x) == len(y) == len(weight):
        raise RequestError(f"there are {len(x)} networks, {len(y)} accuracies and {len(weight)} weights; give one each")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(weight).all()):
        raise RequestError("a multiplier, an accuracy or a weight is not finite; leave such networks out")
    if (x <= 0).any() or (weight <= 0).any():
        raise RequestError("a multiplier or a weight is not positive; leave such networks out")
    if (y < 0).any() or (y > 1).any():
        raise RequestError(f"accuracies are {y.min():g} to {y.max():g}; they are shares, 0..1: 50 % is 0.5")
    return x, 1 - y, weight


def _nominal(x: "Floats") -> "Floats":
    """d w^2 r^2 of each."""
    import numpy as np

    nominal: Any = Multipliers(*x.T).nominal
    return np.asarray(nominal, np.float64)


def _numbers(axes: int) -> int:
    """How many a fit finds: a floor, and a weight and a power an axis."""
    return 1 + 2 * axes


def _check_enough(x: "Floats", axes: int) -> None:
    """The networks are enough to tell how accuracy scales."""
    import numpy as np

    distinct, least = len(np.unique(x, axis=0)), _numbers(max(axes, 1)) + _LEFT_OVER
    if distinct < least:
        raise RequestError(
            f"{distinct} networks of different sizes cannot say how accuracy scales; it takes at least {least}"
        )
    cost = _nominal(x)
    if cost.max() < _SPREAD * cost.min():
        raise RequestError(
            f"the networks all cost about the same, x{cost.min():.3g} to x{cost.max():.3g}, and cannot say "
            "how accuracy grows with cost; study networks of two costs at least"
        )


def read_model(path: str | Path) -> AccuracyModel:
    """The accuracy model in the ``result.json`` of a study, or in a study's folder, and what the study was of.

    Raises:
        RequestError: there is none.
    """
    path = Path(path)
    try:
        path = path / "result.json" if path.is_dir() else path
        record = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RequestError(f"cannot read study {str(path)!r}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"study {str(path)!r} is not JSON: {error}") from error
    model = record.get("accuracy_model") if isinstance(record, dict) else None
    if model is None:
        raise RequestError(
            f"{str(path)!r} holds no accuracy model; the result.json of a study does, if its networks were enough"
        )
    try:
        found = AccuracyModel.from_json(model)
    except RequestError as error:
        raise RequestError(f"study {str(path)!r}: {error}") from error
    if found.studied is None or found.studied.baseline is not None:
        return found
    return replace(found, studied=replace(found.studied, baseline=_baseline_of(record.get("request"))))


def _baseline_of(request: Any) -> str | None:
    """What was scaled, by the request beside a model that does not say so, as of studies before models did; or None."""
    match request:
        case {
            "baseline": {"architecture": {"name": str(name), "resolution": int(side)}}
            | {"factory": str(name), "resolution": int(side)}
        }:
            return baseline_in_words(name, side)
    return None
