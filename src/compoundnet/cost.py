"""What an architecture costs: one walk over its layers, for one network or for arrays of candidates.

Only arithmetic that means the same for Python ints and NumPy arrays is used, so that
``cost(arch, depth=..., width=..., resolution=...)`` prices many scalings in one call. No framework.

Memory is eager PyTorch's, in float32, without workspaces of the convolution library. *Inference*
counts the tensors alive at the worst moment of one image's forward pass (the frames of the nested
modules keep their inputs alive), plus the weights; *training* the tensors autograd saves per image.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from compoundnet.architecture import Architecture, FusedMBConv, MBConv, Number, Sizes
from compoundnet.errors import RequestError

__all__ = ["Cost", "Layer", "cost", "layers"]

_FLOAT_BYTES = 4
_COUNTER_BYTES = 8  # a batch norm's num_batches_tracked
_EXACT = 2**53  # whole numbers up to here are exact in an array of floats
_CHUNK = 16384  # candidates priced at a time: the walk's arrays then stay in the processor's cache
_KEEPS_OUTPUT = {"relu"}  # activations whose gradient needs their output; that of the others needs their input


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Costs of one network (ints), or of many (int64 arrays of one shape).

    ``macs``: multiply-adds of convolutions and linear layers for one image, squeeze-excitation
    included. ``activations``: elements these layers write (Dollar et al. 2021).
    """

    params: Any
    macs: Any
    activations: Any
    weights_bytes: Any
    inference_bytes: Any
    training_bytes_per_image: Any


class Layer(NamedTuple):
    """One part of the network, named as in the built module; ``copies`` of it stand one after another.

    ``channels`` and ``side`` are its output's; ``macs``, ``activations``, ``saved`` and ``live`` are for one image.
    """

    name: str
    stage: int | None
    copies: Any
    channels: Any
    side: Any
    params: Any
    state_bytes: Any  # parameters and buffers
    macs: Any
    activations: Any
    saved: Any  # elements that the backward pass needs
    live: Any  # elements alive at its worst moment in inference


class _Tensor(NamedTuple):
    """What flows between parts. ``kept`` is 1 where the part that wrote it saves it for the backward pass."""

    channels: Any
    side: Any
    kept: Any = 0

    @property
    def elements(self) -> Any:
        return self.channels * self.side * self.side


class _Place(NamedTuple):
    """Where a part stands; ``held``: elements that outer frames keep alive, the part's own input not counted."""

    name: str
    stage: int | None = None
    copies: Any = 1
    held: Any = 0

    def part(self, name: str, held: Any = 0) -> "_Place":
        return self._replace(name=f"{self.name}.{name}", held=self.held + held)


def cost(arch: Architecture, *, depth: Number = 1.0, width: Number = 1.0, resolution: Number = 1.0) -> Cost:
    """Costs of ``arch`` scaled by the multipliers: ints for numbers, arrays for NumPy arrays (broadcast).

    >>> from compoundnet.zoo import architecture
    >>> cost(architecture("efficientnet_b0")).macs
    385814752

    Raises:
        RequestError: a multiplier that is not positive or makes too large a network, arrays that do not
            broadcast, or arrays with a cost above 2^53.
    """
    if isinstance(depth, (int, float)) and isinstance(width, (int, float)) and isinstance(resolution, (int, float)):
        return _fold(layers(arch.scaled(depth=depth, width=width, resolution=resolution)))
    return _cost_of_many(arch, depth, width, resolution)


def layers(arch: Architecture) -> list[Layer]:
    """Every part of the network in order, with its output's shape and its costs."""
    return list(_walk(arch, arch.sizes()))


def _cost_of_many(arch: Architecture, depth: Number, width: Number, resolution: Number) -> Cost:
    import numpy as np

    try:
        axes = np.broadcast_arrays(*(np.asarray(axis, np.float64) for axis in (depth, width, resolution)))
    except ValueError as error:
        raise RequestError(f"depth, width and resolution do not fit together: {error}") from error
    if axes[0].size:
        for extreme in (np.min, np.max):  # NaN is both; sizes grow with the multipliers
            d, w, r = (float(extreme(axis)) for axis in axes)
            arch.scaled(depth=d, width=w, resolution=r)
    flat = [axis.ravel() for axis in axes]
    columns = {field.name: np.empty(flat[0].size, np.int64) for field in fields(Cost)}
    for start in range(0, flat[0].size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        folded = _fold(_walk(arch, arch.sizes(*(axis[chunk] for axis in flat))))
        for name, column in columns.items():
            column[chunk] = _exact(name, getattr(folded, name))
    return Cost(**{name: column.reshape(axes[0].shape) for name, column in columns.items()})


def _exact(name: str, values: Any) -> Any:
    import numpy as np

    if np.max(values) > _EXACT:
        raise RequestError(f"{name} of a candidate is above 2^53, too large to count exactly; use smaller multipliers")
    return values


def _fold(walk: Iterable[Layer]) -> Cost:
    params: Any = 0
    state_bytes: Any = 0
    macs: Any = 0
    activations: Any = 0
    saved: Any = 0
    live: Any = 0
    for layer in walk:
        params = params + _times(layer.copies, layer.params)
        state_bytes = state_bytes + _times(layer.copies, layer.state_bytes)
        macs = macs + _times(layer.copies, layer.macs)
        activations = activations + _times(layer.copies, layer.activations)
        saved = saved + _times(layer.copies, layer.saved)
        live = _larger(live, _times(layer.copies > 0, layer.live))
    return Cost(
        params=params,
        macs=macs,
        activations=activations,
        weights_bytes=state_bytes,
        inference_bytes=state_bytes + _FLOAT_BYTES * live,
        training_bytes_per_image=_FLOAT_BYTES * saved,
    )


def _walk(arch: Architecture, to: Sizes) -> Iterator[Layer]:
    """Parts in forward order; of a stage with an array of repeats the first blocks, then the rest as copies."""
    image = _Tensor(arch.in_channels, to.resolution)
    stem, x = _conv(_Place("stem"), image, to.stem, arch, kernel=3, stride=arch.stem_stride)
    yield stem
    stem_output = x.elements
    for i, stage in enumerate(arch.stages):
        stage_input = x.elements
        for j, copies in _blocks(to.repeats[i], alike_from=2 if arch.activation in _KEEPS_OUTPUT else 1):
            held = image.elements + stem_output * (i > 0) + stage_input * (j > 0)
            place = _Place(f"stages.{i}.{j}", i, copies, held)
            stride = stage.stride if j == 0 else 1
            *parts, last = _PARTS[type(stage.block)](place, stage.block, x, to.channels[i], stride, arch)
            adds = (stage.block.skip and stride == 1) * (x.channels == to.channels[i])
            drops = adds * (arch.drop_path > 0 and (i, j) != (0, 0))  # its mask is one saved element
            yield from (layer for layer, _ in parts)
            yield last[0]._replace(saved=last[0].saved + drops)
            there = copies > 0  # a candidate without this block hands on what it had
            x = last[1]._replace(kept=last[1].kept * (1 - adds) * there + x.kept * (1 - there))
    head, x = _conv(_Place("head", held=image.elements), x, to.head, arch)
    yield head
    params, noise = (to.head + 1) * arch.classes, to.head * (arch.dropout > 0)
    yield Layer(
        name="classifier", stage=None, copies=1, channels=arch.classes, side=1,
        params=params, state_bytes=_FLOAT_BYTES * params, macs=to.head * arch.classes, activations=arch.classes,
        saved=to.head + noise, live=image.elements + x.elements + to.head + arch.classes,
    )  # fmt: skip


def _blocks(repeats: Any, alike_from: int) -> Iterator[tuple[int, Any]]:
    """(index, copies) of a stage's blocks: each by itself, or of arrays those from ``alike_from`` on in one.

    The second differs from the first in stride and channels; the third from the second only where the
    first, which adds no input, hands on an output that its activation keeps.
    """
    if isinstance(repeats, int):
        yield from ((j, 1) for j in range(repeats))
    else:
        yield 0, 1
        yield from ((j, repeats > j) for j in range(1, alike_from))
        yield alike_from, _larger(repeats - alike_from, 0)


_Parts = list[tuple[Layer, _Tensor]]


def _mbconv(place: _Place, block: MBConv, x: _Tensor, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    parts, y, c_mid, held = [], x, x.channels * block.expansion, 0
    if block.expansion != 1:
        parts.append(_conv(place.part("expand"), y, c_mid, arch))
        y, held = parts[-1][1], x.elements
    parts.append(
        _conv(place.part("depthwise", held), y, c_mid, arch, kernel=block.kernel, stride=stride, depthwise=True)
    )
    if block.se_ratio:
        y = parts[-1][1]
        parts.append(_squeeze_excite(place.part("squeeze_excite", x.elements), y, block.squeezed(x.channels), arch))
    parts.append(_conv(place.part("project", x.elements), parts[-1][1], c_out, arch, linear=True))
    return parts


def _fused_mbconv(place: _Place, block: FusedMBConv, x: _Tensor, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    c_mid = c_out if block.expansion == 1 else x.channels * block.expansion
    parts = [_conv(place.part("fused"), x, c_mid, arch, kernel=block.kernel, stride=stride)]
    if block.expansion != 1:
        parts.append(_conv(place.part("project", x.elements), parts[-1][1], c_out, arch, linear=True))
    return parts


_PARTS: dict[type, Callable[..., _Parts]] = {MBConv: _mbconv, FusedMBConv: _fused_mbconv}


def _conv(
    place: _Place, x: _Tensor, c_out: Any, arch: Architecture,
    kernel: int = 1, stride: int = 1, depthwise: bool = False, linear: bool = False,
) -> tuple[Layer, _Tensor]:  # fmt: skip
    """Convolution, batch norm and, unless ``linear``, activation: its layer and its output."""
    y = _Tensor(c_out, _ceil_div(x.side, stride), 1 if arch.activation in _KEEPS_OUTPUT and not linear else 0)
    weights = kernel * kernel * (c_out if depthwise else x.channels * c_out)
    padded, into = 0, x.elements * (1 - x.kept)
    if arch.padding == "same" and stride > 1:  # padding makes a copy, and that is what the convolution saves
        wide = x.side + _larger((y.side - 1) * stride + kernel - x.side, 0)
        padded = into = x.channels * wide * wide
    layer = Layer(
        name=place.name, stage=place.stage, copies=place.copies, channels=c_out, side=y.side,
        params=weights + 2 * c_out,
        state_bytes=_FLOAT_BYTES * (weights + 4 * c_out) + _COUNTER_BYTES,
        macs=weights * y.side * y.side,
        activations=y.elements,
        saved=into + y.elements * (1 if linear else 2),
        live=place.held + x.elements + y.elements + _larger(padded, y.elements),
    )  # fmt: skip
    return layer, y


def _squeeze_excite(place: _Place, x: _Tensor, squeezed: Any, arch: Architecture) -> tuple[Layer, _Tensor]:
    """Global mean, two biased 1x1 convolutions with an activation between, sigmoid, product with the input."""
    c = x.channels
    params = 2 * c * squeezed + c + squeezed
    layer = Layer(
        name=place.name, stage=place.stage, copies=place.copies, channels=c, side=x.side,
        params=params, state_bytes=_FLOAT_BYTES * params, macs=2 * c * squeezed, activations=c + squeezed,
        saved=x.elements * (1 - x.kept) + 2 * c + squeezed * (1 if arch.activation in _KEEPS_OUTPUT else 2),
        live=place.held + 2 * x.elements + 2 * c,
    )  # fmt: skip
    return layer, _Tensor(c, x.side)


def _times(copies: Any, value: Any) -> Any:
    """The product, without the arithmetic where ``copies`` is the 1 of a layer that is always there."""
    return value if isinstance(copies, (int, bool)) else copies * value


def _ceil_div(side: Any, stride: int) -> Any:
    if stride == 1 or isinstance(side, int):
        return -(-side // stride) if stride > 1 else side
    import numpy as np

    return np.ceil(side / stride)


def _larger(a: Any, b: Any) -> Any:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return max(a, b)
    import numpy as np

    return np.maximum(a, b)
