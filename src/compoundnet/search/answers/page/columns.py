"""The columns of the pages' tables: their titles, and their numbers as a reader wants them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from compoundnet.scaling.baseline import AXES
from compoundnet.search.answers.coefficients.result import Comparison
from compoundnet.search.answers.wording import signed, triple
from compoundnet.units import SPACE, human, human_bytes, percent, share_range

__all__ = ["AXES_TABLE", "CONTRASTS", "NETWORKS", "PUBLISHED", "Column", "known"]

_DASH = "–"


class Column(NamedTuple):
    """A title and how a row is worded; a column whose ``needs`` are None or 0 in every row is left out."""

    title: str
    text: Callable[[Any], str]
    needs: str | None = None


def known(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns that say something about at least one of the rows."""
    return [c for c in columns if c.needs is None or any(row.get(c.needs) for row in rows)]


def _shares_of(prefix: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: triple(row[f"{prefix}_{axis}"] for axis in AXES)


def _multipliers(row: Mapping[str, Any]) -> str:
    return " / ".join(f"{row[f'multiplier_{axis}']:.2f}" for axis in AXES)


def _or_dash(key: str, form: Callable[[Any], str]) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: _DASH if row[key] is None else form(row[key])


def _times(factor: float) -> str:
    return f"×{factor:.3g}"


def _points(difference: float | None) -> str:
    return _DASH if difference is None else signed(difference)


def _between(low: float | None, high: float | None) -> str:
    return _DASH if low is None or high is None else f"{_points(low)} to {_points(high)}"


def _interval(row: Mapping[str, Any]) -> str:
    return _DASH if row["low"] is None else share_range((row["low"], row["high"]))


def _shares(other: Comparison) -> str:
    return triple((other.rule.depth, other.rule.width, other.rule.resolution))


_SCALING = Column("d / w / r", _multipliers)
_SIDE = Column("Side", _or_dash("resolution_px", lambda px: f"{px}{SPACE}px"), "resolution_px")
_COSTS = (
    Column("d·w²·r²", _or_dash("nominal_product", lambda product: f"×{product:.2f}"), "nominal_product"),
    Column("Realised cost", _or_dash("macs_factor", lambda factor: f"×{factor:.2f}"), "macs_factor"),
    Column("MACs", _or_dash("macs", human), "macs"),
    Column("Parameters", _or_dash("params", human), "params"),
    Column("Activations", _or_dash("activations", human), "activations"),
)

NETWORKS = (
    Column("Group", lambda row: str(row["group"])),
    Column("Shares", _shares_of("realised_share")),
    Column("Accuracy", lambda row: percent(row["accuracy"])),
    Column("±", _or_dash("accuracy_standard_error", lambda error: f"{100 * error:.1f}"), "accuracy_standard_error"),
    Column("Predicted", lambda row: percent(row["accuracy_predicted"]), "accuracy_predicted"),
    Column("Seeds", lambda row: str(row["seeds"])),
    Column("Stopped", lambda row: str(row["pruned"] or _DASH), "pruned"),
    Column("Failed", lambda row: str(row["failed"] or _DASH), "failed"),
    _SCALING,
    _SIDE,
    Column("Cost asked for", _or_dash("nominal_factor", _times), "nominal_factor"),
    *_COSTS,
    Column("Training, an image", _or_dash("training_bytes_per_image", human_bytes), "training_bytes_per_image"),
    Column("Shares asked for", _shares_of("nominal_share")),
)
"""Of :meth:`CoefficientsResult.table`."""

AXES_TABLE = (
    Column("Rule", lambda row: str(row["rule"])),
    Column("Cost asked for", lambda row: _times(row["factor"])),
    Column("Accuracy", lambda row: percent(row["accuracy"])),
    Column("Interval", _interval),
    Column("Over baseline", lambda row: _points(row["gain"]), "gain"),
    Column("Seeds", lambda row: str(row["seeds"])),
    *_COSTS,
    _SCALING,
    _SIDE,
)
"""Of :meth:`AxesResult.table`."""

PUBLISHED: tuple[Column, ...] = (
    Column("Rule", lambda other: f"({other.name})" if other.extrapolated else other.name),
    Column("Shares, %", _shares),
    Column("α, β, γ", lambda other: ", ".join(f"{c:.2f}" for c in other.rule.coefficients)),
    Column("Gain", lambda other: _points(other.gain.value)),
    Column("Interval", lambda other: _between(other.gain.low, other.gain.high)),
)
"""Of comparisons with published rules."""

CONTRASTS: tuple[Column, ...] = (
    Column("Cost", lambda contrast: contrast.group or "mean of all"),
    Column("Rule", lambda contrast: contrast.rule),
    Column("Against", lambda contrast: contrast.other),
    Column("Difference", lambda contrast: _points(contrast.value)),
    Column("Interval", lambda contrast: _between(contrast.low, contrast.high)),
    Column("Seeds", lambda contrast: str(contrast.seeds)),
)
"""Of differences between two rules."""
