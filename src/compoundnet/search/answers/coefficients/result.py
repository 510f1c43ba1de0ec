"""What an analysis of coefficients found: values, as JSON and as the rows of a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from compoundnet.scaling import Multipliers, Rule
from compoundnet.scaling.baseline import AXES
from compoundnet.search.answers.networks import Network
from compoundnet.search.answers.surface import Difference, Surface

__all__ = ["LEVEL", "CoefficientsResult", "Comparison", "Interval", "Training", "network_row"]

LEVEL = 0.90
"""Of every interval of an analysis of coefficients."""

Shares = tuple[float, float, float]

# key of a candidate's tags, column of the table
_TAGS = (
    ("resolution", "resolution_px"),
    ("nominal_factor", "nominal_factor"),
    ("nominal_product", "nominal_product"),  # of the multipliers: depth * width^2 * resolution^2
    ("macs_factor", "macs_factor"),
    ("macs", "macs"),
    ("params", "params"),
    ("activations", "activations"),
    ("training_bytes_per_image", "training_bytes_per_image"),
)


class Interval(NamedTuple):
    """Both ends."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The best rule against a published one: ``gain`` is predicted accuracy of the best less that of the published.

    ``extrapolated``: the published shares lie outside what was tried.
    """

    name: str
    rule: Rule
    gain: Difference
    extrapolated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Whether the answer would have been another after half the training; None where the curves do not tell.

    Where trials were stopped early, the training is compared up to the first stop: until there every trial is known,
    while those that went on were chosen for being high.

    Attributes:
        epochs: of the shortest training that went to the end.
        compared: the epochs whose answers are compared: a half and the whole, of the training or of what precedes the
            first stop.
        halfway: best shares by accuracy at the first of these.
        drift: of each share from there to the other, with an interval that holds for all three at once.
        rank_correlation: Spearman's, of the networks at the two, within groups.
        rise: mean gain of accuracy in the last quarter of the epochs.
    """

    epochs: int
    compared: tuple[int, int] | None
    halfway: Shares | None
    drift: tuple[Difference, ...] | None
    rank_correlation: float | None
    rise: float | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CoefficientsResult:
    """The best rule for sharing a cost factor among the axes, and how far to trust it.

    Attributes:
        rule: the best shares; ``rule.coefficients`` are alpha, beta, gamma.
        shares_interval: of each share; None without a surface.
        coefficients_interval: of alpha, beta, gamma; None without a surface.
        region: corners of the part of the triangle that holds the best shares, None without a surface.
        best: the best network that was trained, of each group.
        networks: everything that was tried, in the order in which it was.
        published: the best rule against the published ones; empty without a surface.
        surface: None where too few networks were trained to the end.
        training: whether it was long enough.
        answer: all of this in a sentence or two.
        warnings: what speaks against it, a sentence each.
        doubt: why the data do not support the rule, None where they do.
    """

    rule: Rule
    shares_interval: tuple[Interval, ...] | None
    coefficients_interval: tuple[Interval, ...] | None
    region: tuple[Shares, ...] | None
    best: tuple[Network, ...]
    networks: tuple[Network, ...]
    published: tuple[Comparison, ...]
    surface: Surface | None
    training: Training
    answer: str = ""
    warnings: tuple[str, ...] = ()
    doubt: str | None = None

    @property
    def supported(self) -> bool:
        """Whether the data show that it matters how the cost is shared; better than any other rule it may not be."""
        return self.doubt is None

    @property
    def shares(self) -> Shares:
        """Of depth, width and resolution."""
        return (self.rule.depth, self.rule.width, self.rule.resolution)

    def table(self) -> list[dict[str, Any]]:
        """A row a network, best first within its group: shares asked for and realised, costs, seeds, accuracy."""
        groups = list(dict.fromkeys(network.group for network in self.networks))

        def order(network: Network) -> tuple[int, bool, float]:
            return groups.index(network.group), network.mean is None, -(network.mean or 0.0)

        return [network_row(network, self.surface) for network in sorted(self.networks, key=order)]

    def to_json(self) -> dict[str, Any]:
        """Plain values, none of them NaN; ``Rule(**result.to_json()["rule"])`` is the rule again."""
        return {
            "answer": self.answer,
            "warnings": list(self.warnings),
            "supported": self.supported,
            "doubt": self.doubt,
            "rule": _rule_json(self.rule),
            "coefficients": dict(zip(("alpha", "beta", "gamma"), self.rule.coefficients, strict=True)),
            "level": LEVEL,
            "shares_interval": self.shares_interval and _named(self.shares_interval, AXES),
            "coefficients_interval": self.coefficients_interval
            and _named(self.coefficients_interval, ("alpha", "beta", "gamma")),
            "region": self.region and [list(shares) for shares in self.region],
            "best": [network_row(network, self.surface) for network in self.best],
            "networks": self.table(),
            "published": [
                {
                    "name": other.name,
                    "rule": _rule_json(other.rule),
                    "gain": other.gain._asdict(),
                    "extrapolated": other.extrapolated,
                }
                for other in self.published
            ],
            "surface": self.surface and _surface_json(self.surface),
            "training": _training_json(self.training),
        }


def network_row(network: Network, surface: Surface | None) -> dict[str, Any]:
    """One row of the table; what is not known is None. Accuracies are shares of 1."""
    predicted = surface is not None and network.group in surface.groups
    expected = float(surface.predict([network.shares], network.group)[0][0]) if predicted and surface else None
    return {
        "group": network.group,
        "network": network.name,
        **_prefixed("nominal_share", network.nominal_shares),
        **_prefixed("realised_share", network.shares),
        **_prefixed("multiplier", network.multipliers),
        **{column: network.tags.get(key) for key, column in _TAGS},
        "seeds": len(network.values),
        "pruned": network.pruned,
        "failed": network.failed,
        "accuracy": network.mean,
        "accuracy_deviation": network.deviation,
        "accuracy_standard_error": network.standard_error,
        "accuracy_predicted": expected,
    }


def _prefixed(prefix: str, values: Multipliers | Shares) -> dict[str, float]:
    return {f"{prefix}_{axis}": float(value) for axis, value in zip(AXES, values, strict=True)}


def _rule_json(rule: Rule) -> dict[str, float]:
    return {"depth": rule.depth, "width": rule.width, "resolution": rule.resolution, "factor": rule.factor}


def _named(intervals: tuple[Interval, ...], names: tuple[str, ...]) -> dict[str, list[float]]:
    return {name: [interval.low, interval.high] for name, interval in zip(names, intervals, strict=True)}


def _surface_json(surface: Surface) -> dict[str, Any]:
    return {
        "response": "logit of accuracy" if surface.form.logit else "accuracy",
        "slope_on_realised_cost": surface.form.cost,
        "linear_terms_by_group": surface.form.by_group,
        "networks": len(surface.tried),
        "draws_of_stopped_trials": len(surface.parts),
        "seed_noise_of_response": surface.seed_noise,
        "misfit_of_response": surface.misfit,
        "prediction_error": surface.error,
        "prediction_error_if_flat": surface.flat_error,
        "flat_p": surface.flat_p,
    }


def _training_json(training: Training) -> dict[str, Any]:
    drift: Mapping[str, Any] | None = None
    if training.drift is not None:
        drift = {axis: moved._asdict() for axis, moved in zip(AXES, training.drift, strict=True)}
    return {
        "epochs": training.epochs,
        "compared_epochs": training.compared and list(training.compared),
        "halfway_shares": training.halfway and list(training.halfway),
        "drift": drift,
        "rank_correlation": training.rank_correlation,
        "rise_in_last_quarter": training.rise,
    }
