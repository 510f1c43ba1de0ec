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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compoundnet.architecture import Number
from compoundnet.errors import RequestError
from compoundnet.scaling.compound import Multipliers, Rule

__all__ = ["AccuracyModel", "Term", "fit", "following", "read_model"]

# Top-1 errors of B0 and B7, 22.9 and 15.7 % over a realised factor of 97.8 (Tan & Le 2019, Table 2): 0.082.
_SLOPE = math.log(22.9 / 15.7) / math.log(97.8)
_NO_SHARE = 1e-6
_POWERS = (0.05, 4.0)  # what a fit looks for; beyond, an axis is flat or a cliff


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """``weight * x^-power``: what is lost for want of one axis."""

    weight: float
    power: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyModel:
    """The loss above. Only differences count where it comes from a rule; a fit predicts the error itself, 0..1.

    ``deviation`` is the root mean square of a fit's residuals, None without a fit.

    Raises:
        RequestError: a number that is negative or not finite.
    """

    depth: Term
    width: Term
    resolution: Term
    floor: float = 0.0
    deviation: float | None = None

    def __post_init__(self) -> None:
        terms = (self.depth, self.width, self.resolution)
        numbers = [self.floor, *(n for term in terms for n in (term.weight, term.power))]
        if not all(isinstance(n, (int, float)) and math.isfinite(n) and n >= 0 for n in numbers):
            raise RequestError(f"accuracy model is {self}; its numbers must be finite and not negative")

    def loss(self, depth: Number, width: Number, resolution: Number) -> Any:
        """The loss at multipliers; numbers or arrays."""
        pairs = ((self.depth, depth), (self.width, width), (self.resolution, resolution))
        return self.floor + sum(term.weight * x**-term.power for term, x in pairs)

    def counts(self, axis: str) -> bool:
        """Whether the loss depends on that axis at all."""
        term: Term = getattr(self, axis)
        return term.weight > 0 and term.power > 0

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that :meth:`from_json` reads back equal."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Any) -> "AccuracyModel":
        """The model of a dictionary. RequestError: it is none."""
        try:
            axes = {axis: Term(**record[axis]) for axis in ("depth", "width", "resolution")}
            return cls(**axes, floor=record["floor"], deviation=record.get("deviation"))
        except (TypeError, KeyError, AttributeError) as error:
            raise RequestError(f"not an accuracy model: {error}") from error


def following(rule: Rule, slope: float = _SLOPE) -> AccuracyModel:
    """The model whose best network under every nominal cost is the rule's; the loss falls as cost^-slope.

    >>> model = following(Rule.from_coefficients(1.2, 1.1, 1.15))
    >>> round(model.loss(1.2, 1.1, 1.15), 4) < round(model.loss(1.92, 1.0, 1.0), 4)  # the same cost, on one axis
    True
    """
    shares = (rule.depth, rule.width / 2, rule.resolution / 2)
    depth, width, resolution = (
        Term(weight=weight, power=slope / share if share > _NO_SHARE else 0.0)  # without one it counts for nothing
        for weight, share in zip((rule.depth, rule.width, rule.resolution), shares, strict=True)
    )
    return AccuracyModel(depth=depth, width=width, resolution=resolution)


def fit(
    points: Sequence[Multipliers], accuracy: Sequence[float], weights: Sequence[float] | None = None
) -> AccuracyModel:
    """The model of trained networks: ``accuracy`` (0..1) of each, more ``weights`` for those measured more often.

    For given powers the rest is linear and not negative (non-negative least squares); the three powers are
    searched on a grid and then by Nelder-Mead.

    Raises:
        RequestError: fewer than five networks, or all of one size.
    """
    import numpy as np
    from scipy.optimize import minimize, nnls

    x = np.array(points, float).reshape(-1, 3)
    if len(x) < 5 or np.ptp(x, axis=0).max() == 0:
        raise RequestError(f"{len(x)} networks of different sizes cannot say how accuracy scales; it takes at least 5")
    error = 1 - np.asarray(accuracy, float)
    root = np.sqrt(np.ones(len(x)) if weights is None else np.asarray(weights, float))

    def linear(powers: Any) -> tuple[Any, float]:
        design = np.column_stack([np.ones(len(x)), *(x**-powers).T]) * root[:, None]
        found, residual = nnls(design, error * root)
        return found, float(residual)

    def misfit(log_powers: Any) -> float:
        return linear(np.exp(np.clip(log_powers, *np.log(_POWERS))))[1]

    grid = np.log(np.geomspace(*_POWERS, 6))
    start = min(((a, b, c) for a in grid for b in grid for c in grid), key=misfit)
    found = minimize(misfit, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-9, "maxiter": 600})
    powers = np.exp(np.clip(found.x, *np.log(_POWERS)))
    (floor, *scale), residual = linear(powers)
    terms = [Term(weight=float(k), power=float(p)) for k, p in zip(scale, powers, strict=True)]
    return AccuracyModel(
        depth=terms[0],
        width=terms[1],
        resolution=terms[2],
        floor=float(floor),
        deviation=residual / float(np.sqrt((root**2).sum())),
    )


def read_model(path: Path) -> AccuracyModel:
    """The accuracy model in the ``result.json`` of a study. RequestError: there is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read study {str(path)!r}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"study {str(path)!r} is not JSON: {error}") from error
    model = record.get("accuracy_model") if isinstance(record, dict) else None
    if model is None:
        raise RequestError(f"{str(path)!r} holds no accuracy model; the result.json of a study does")
    return AccuracyModel.from_json(model)
