"""The parts' costs folded into the network's, for one network or for arrays of candidates."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

from compoundnet.architecture import Architecture, Number
from compoundnet.cost.parts import FLOAT_BYTES, Layer, larger
from compoundnet.cost.walk import walk
from compoundnet.errors import RequestError

__all__ = ["Cost", "Fold", "cost", "layers", "layers_of", "multipliers", "priced", "times"]

Fold: TypeAlias = Callable[[Iterable[Layer]], dict[str, Any]]
"""From the parts of one network, or of many, to named totals."""

_EXACT = 2**53  # whole numbers up to here are exact in an array of floats
_CHUNK = 16384  # candidates priced at a time: the walk's arrays then stay in the processor's cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Costs of one network (ints), or of many (int64 arrays of one shape).

    ``macs``: multiply-adds of convolutions and linear layers for one image, squeeze-excitation
    included. ``activations``: elements these layers write (Dollar et al. 2021). ``weights_bytes``: parameters
    and buffers. ``inference_bytes``: peak for one image, weights included; ``training_bytes_per_image``: what one
    image leaves for the backward pass. Both float32 and with channels last, the layout in which this package runs
    and trains networks; contiguous ones take up to 15 % more in inference, for the copies that convolutions make.
    """

    params: Any
    macs: Any
    activations: Any
    weights_bytes: Any
    inference_bytes: Any
    training_bytes_per_image: Any

    def at(self, i: int) -> "Cost":
        """The cost of one of many, in ints."""
        return Cost(**{name: int(getattr(self, name)[i]) for name in self.__slots__})

    def to_record(self) -> dict[str, Any]:
        """By name, as plain JSON where it is the cost of one network."""
        return {name: getattr(self, name) for name in self.__slots__}


def cost(arch: Architecture, *, depth: Number = 1.0, width: Number = 1.0, resolution: Number = 1.0) -> Cost:
    """Costs of ``arch`` scaled by the multipliers: ints for numbers, arrays for NumPy arrays (broadcast).

    >>> from compoundnet.zoo import architecture
    >>> cost(architecture("efficientnet_b0")).macs
    385814752

    Raises:
        RequestError: what is no Architecture, a multiplier that is no number, is not positive or makes too large a
            network, arrays that do not broadcast, or arrays with a cost above 2^53.
    """
    return Cost(**priced(arch, depth, width, resolution, _fold))


def layers(arch: Architecture) -> list[Layer]:
    """Every part of the network in order, with its output's shape and its costs."""
    return list(walk(arch, arch.sizes()))


def layers_of(
    arch: Architecture, *, depth: Number = 1.0, width: Number = 1.0, resolution: Number = 1.0
) -> Iterator[Layer]:
    """The parts of ``arch`` scaled by the multipliers, as :func:`layers` lists them.

    Of arrays (broadcast, then flattened), the fields are whole numbers in float64 arrays, one a candidate, or
    ints that hold for all. Blocks that cannot differ come once, with ``copies`` of them: 0 where a candidate
    has none. One part is made at a time, so that many candidates need little memory.

    Raises:
        RequestError: what is no Architecture, a multiplier that is no number, is not positive or makes too large a
            network, or arrays that do not broadcast.
    """
    _check_kind(arch)
    axes = multipliers(depth, width, resolution)
    if isinstance(axes[0], (int, float)):
        return iter(layers(arch.scaled(depth=axes[0], width=axes[1], resolution=axes[2])))
    _check_extremes(arch, axes)
    return walk(arch, arch.sizes(*(axis.ravel() for axis in axes)))


def priced(arch: Architecture, depth: Number, width: Number, resolution: Number, fold: Fold) -> dict[str, Any]:
    """``fold`` over the parts of ``arch`` scaled by the multipliers: ints, or int64 arrays of their shape.

    Raises:
        RequestError: as :func:`cost`.
    """
    _check_kind(arch)
    axes = multipliers(depth, width, resolution)
    if isinstance(axes[0], (int, float)):
        return fold(layers(arch.scaled(depth=axes[0], width=axes[1], resolution=axes[2])))
    import numpy as np

    _check_extremes(arch, axes)
    flat = [axis.ravel() for axis in axes]
    columns: dict[str, Any] = {}
    for start in range(0, max(1, flat[0].size), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        for name, values in fold(walk(arch, arch.sizes(*(axis[chunk] for axis in flat)))).items():
            columns.setdefault(name, np.empty(flat[0].size, np.int64))[chunk] = _exact(name, values)
    return {name: column.reshape(axes[0].shape) for name, column in columns.items()}


def _check_kind(arch: object) -> None:
    if not isinstance(arch, Architecture):
        raise RequestError(f"{arch!r:.60} is no Architecture; compoundnet.architecture gives that of a name or a file")


def multipliers(depth: Number, width: Number, resolution: Number) -> tuple[Any, Any, Any]:
    """The three as Python's numbers where all are numbers (NumPy's too), else as float64 arrays of one shape.

    Raises:
        RequestError: a multiplier that is neither a number nor an array of numbers, or arrays that do not broadcast.
    """
    given: dict[str, Any] = {"depth": depth, "width": width, "resolution": resolution}
    if all(isinstance(value, Real) and not isinstance(value, bool) for value in given.values()):
        one = [value if isinstance(value, int) else float(value) for value in given.values()]
        return one[0], one[1], one[2]
    import numpy as np

    columns = [_column(axis, value) for axis, value in given.items()]
    try:
        many = np.broadcast_arrays(*columns)
    except ValueError as error:
        raise RequestError(f"depth, width and resolution do not fit together: {error}") from error
    return many[0], many[1], many[2]


def _column(axis: str, value: Any) -> Any:
    import numpy as np

    try:
        numbers = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):  # rows of unequal length, tensors that have no numbers here
        numbers = np.asarray(None)
    if numbers.dtype.kind not in "iuf":
        raise RequestError(f"{axis} multiplier is {value!r:.60}; it must be a number, or an array of numbers")
    return numbers.astype(np.float64)


def _check_extremes(arch: Architecture, axes: Sequence[Any]) -> None:
    """The smallest multipliers and the largest make a network; sizes grow with them, and NaN is both."""
    import numpy as np

    if axes[0].size:
        for extreme in (np.min, np.max):
            d, w, r = (float(extreme(axis)) for axis in axes)
            arch.scaled(depth=d, width=w, resolution=r)


def _exact(name: str, values: Any) -> Any:
    import numpy as np

    if np.size(values) and np.max(values) > _EXACT:
        raise RequestError(f"{name} of a candidate is above 2^53, too large to count exactly; use smaller multipliers")
    return values


def _fold(parts: Iterable[Layer]) -> dict[str, Any]:
    params: Any = 0
    state_bytes: Any = 0
    macs: Any = 0
    activations: Any = 0
    saved: Any = 0
    live: Any = 0
    for layer in parts:
        params = params + times(layer.copies, layer.params)
        state_bytes = state_bytes + times(layer.copies, layer.state_bytes)
        macs = macs + times(layer.copies, layer.macs)
        activations = activations + times(layer.copies, layer.activations)
        saved = saved + times(layer.copies, layer.saved)
        live = larger(live, times(layer.copies > 0, layer.live))
    return {
        "params": params,
        "macs": macs,
        "activations": activations,
        "weights_bytes": state_bytes,
        "inference_bytes": state_bytes + FLOAT_BYTES * live,
        "training_bytes_per_image": FLOAT_BYTES * saved,
    }


def times(copies: Any, value: Any) -> Any:
    """The product, without the arithmetic where ``copies`` is the 1 of a layer that is always there."""
    return value if isinstance(copies, (int, bool)) else copies * value
