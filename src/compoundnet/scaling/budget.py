"""Upper limits on costs: their names, their units, and how far a network is from them."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from compoundnet.checks import check_whole, finite
from compoundnet.cost import Cost
from compoundnet.errors import RequestError

__all__ = ["LIMITS", "Budget", "Limit", "Unit", "parse_quantity", "shown", "spent"]

Unit: TypeAlias = Literal["count", "bytes", "ms"]

_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_UNITS: dict[Unit, Mapping[str, float]] = {
    "count": _PREFIXES,
    "bytes": {"": 1.0} | {f"{prefix}B": factor for prefix, factor in {**_PREFIXES, **_BINARY}.items()},
    "ms": {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001},
}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*")
_EXAMPLE: dict[Unit, str] = {"count": "1.8G, 20M or 300000", "bytes": "64MB, 8GiB or 2000000", "ms": "15, 15ms or 0.5s"}
_VAST = 1e18  # beyond the prefixes, and what a person can read without an exponent
_NUMBERS: dict[Unit, str] = {"count": "1.8e9", "bytes": "64e6", "ms": "15"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """What can be limited: its field of :class:`Budget`, its flag, its unit, and whether every axis makes it grow.

    ``of`` is the field of :class:`compoundnet.cost.Cost` that it limits, None where no cost can say.
    """

    name: str
    flag: str
    unit: Unit
    bounds_all: bool  # grows with depth, width and resolution alike
    of: str | None


LIMITS = (
    Limit(name="macs", flag="--max-macs", unit="count", bounds_all=True, of="macs"),
    Limit(name="params", flag="--max-params", unit="count", bounds_all=False, of="params"),
    Limit(name="activations", flag="--max-activations", unit="count", bounds_all=True, of="activations"),
    Limit(name="weights_bytes", flag="--max-weights", unit="bytes", bounds_all=False, of="weights_bytes"),
    Limit(name="memory_bytes", flag="--max-memory", unit="bytes", bounds_all=True, of="inference_bytes"),
    Limit(name="training_bytes", flag="--max-training-memory", unit="bytes", bounds_all=True, of=None),
    Limit(name="latency_ms", flag="--max-latency-ms", unit="ms", bounds_all=True, of=None),
)
"""Everything that can be limited."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """Upper limits; None: no limit.

    Attributes:
        macs: multiply-adds of one image.
        params: parameters.
        activations: elements written by convolutions and linear layers for one image.
        weights_bytes: parameters and buffers.
        memory_bytes: peak of one image's inference, weights included.
        training_bytes: peak of a training step of ``batch_size`` images.
        latency_ms: predicted time of a batch on a profiled device.
        batch_size: images of a training step, 32 unless given; goes with ``training_bytes``. The optimiser is AdamW.

    Raises:
        RequestError: no limit at all, one that is not a positive number, or a batch size without its limit.
    """

    macs: float | None = None
    params: float | None = None
    activations: float | None = None
    weights_bytes: float | None = None
    memory_bytes: float | None = None
    training_bytes: float | None = None
    latency_ms: float | None = None
    batch_size: int | None = None

    def __post_init__(self) -> None:
        for limit in LIMITS:
            value = getattr(self, limit.name)
            if value is None:
                continue
            if not (finite(value) and value > 0):
                raise RequestError(
                    f"limit on {limit.name} is {value!r:.60}; "
                    f"it must be a positive number, such as {_NUMBERS[limit.unit]}"
                )
            object.__setattr__(self, limit.name, float(value))  # plain, also where it was NumPy's
        if not self.limits():
            names = ", ".join(f"{limit.name} ({limit.flag})" for limit in LIMITS)
            raise RequestError(f"no limit is given, so no network is the largest that fits; give one of {names}")
        if self.batch_size is not None and self.training_bytes is None:
            raise RequestError("batch_size goes with a limit on training memory, and there is none")
        if self.batch_size is not None:
            check_whole("batch_size", _plain(self.batch_size))
            object.__setattr__(self, "batch_size", _plain(self.batch_size))

    @property
    def training_images(self) -> int:
        """Of a training step."""
        return self.batch_size or 32

    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {limit.name: v for limit in LIMITS if (v := getattr(self, limit.name)) is not None}

    @property
    def bounds_all(self) -> bool:
        """Whether a limit is set that ends the growth of every axis."""
        return any(limit.bounds_all for limit in LIMITS if getattr(self, limit.name) is not None)


def _plain(value: Any) -> Any:
    """NumPy's whole numbers as Python's, anything else as it is."""
    return int(value) if hasattr(value, "__index__") and not isinstance(value, int) else value


def parse_quantity(text: str, unit: Unit, name: str) -> float:
    """``1.8G`` (count), ``64MB`` or ``64MiB`` (bytes), ``15ms`` (milliseconds) as a number in that unit.

    Raises:
        RequestError: not a number, or another kind of unit, such as bytes for a count.
    """
    matched = _NUMBER.fullmatch(text)
    number, suffix = (float(matched[1]), matched[2]) if matched else (math.nan, "")
    factors = _UNITS[unit]
    factor = factors.get(suffix, factors.get(_respelt(suffix, factors)))
    if not matched or factor is None:
        raise RequestError(f"{name} is {text!r}; {_why(unit, suffix if matched else None)}")
    quantity = number * factor
    if not (quantity > 0 and math.isfinite(quantity)):
        too = "it is too large" if quantity > 0 else "it must be positive"
        raise RequestError(f"{name} is {text!r}; {too}; write it such as {_EXAMPLE[unit]}")
    return quantity


def _respelt(suffix: str, known: Iterable[str]) -> str:
    """The one known unit that differs in case alone; ``m`` is milli, ``M`` mega, and ``b`` is bits."""
    if suffix.endswith("b"):
        return suffix
    first = suffix[:1]
    alike = [u for u in known if u.lower() == suffix.lower() and (first not in ("m", "M") or u.startswith(first))]
    return alike[0] if len(alike) == 1 else suffix


def _why(unit: Unit, suffix: str | None) -> str:
    if suffix is None:
        return f"it must be a number with a unit, such as {_EXAMPLE[unit]}"
    if unit == "count" and suffix.endswith(("B", "b")):
        return f"it counts operations or elements, not bytes: write it without B, such as {_EXAMPLE[unit]}"
    if unit == "bytes" and suffix in {**_PREFIXES, **_BINARY}:
        return f"it has no B, and bytes end in B, such as {_EXAMPLE[unit]}"
    if unit == "bytes" and suffix.endswith("b"):
        return f"m is milli and b are bits; bytes end in B, such as {_EXAMPLE[unit]}"
    return f"{suffix!r} is no unit of it; write it such as {_EXAMPLE[unit]}"


def shown(name: str, value: float) -> str:
    """A cost as people read it: ``1.80 G``, ``64.0 MB``, ``15 ms``, ``40,000 ms``."""
    from compoundnet.units import SPACE, human, human_bytes

    unit = next(limit.unit for limit in LIMITS if limit.name == name)
    if unit == "ms":
        return f"{value:,.0f}{SPACE}ms" if 999.5 <= value < _VAST else f"{value:.3g}{SPACE}ms"
    if not 1 <= value < _VAST:
        return f"{value:.3g}"
    return human_bytes(value) if unit == "bytes" else human(value)


def spent(cost: Cost, budget: Budget, *, training_bytes: Any = None, latency_ms: Any = None) -> dict[str, Any]:
    """What a network (or arrays of them) spends of everything that ``budget`` limits, by the limits' names.

    What no :class:`Cost` can say, the peak of a training step and the latency, is given.
    """
    given = {"training_bytes": training_bytes, "latency_ms": latency_ms}
    values = {limit.name: given[limit.name] if limit.of is None else getattr(cost, limit.of) for limit in LIMITS}
    return {name: values[name] for name in budget.limits()}


assert {limit.name for limit in LIMITS} == {f.name for f in fields(Budget)} - {"batch_size"}
