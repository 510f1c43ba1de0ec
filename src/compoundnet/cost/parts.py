"""The parts of a network and what each costs by itself. Every number is an int, or an array of candidates."""

from typing import Any, Literal, NamedTuple

from compoundnet.architecture import Activation, Architecture

__all__ = ["FLOAT_BYTES", "Flow", "Kind", "Layer", "Place", "classifier", "conv", "flow", "hidden", "keeps_output"]
__all__ += ["larger", "max_pool", "mean_pool", "routing", "squeeze_excite"]

Kind = Literal["conv", "depthwise", "linear", "squeeze_excite", "pool"]

FLOAT_BYTES = 4
_COUNTER_BYTES = 8  # a batch norm's num_batches_tracked
_INDEX_FLOATS = 2  # an int64 is as long as two floats
_KEEPS_OUTPUT = {"relu"}  # activations whose gradient needs their output; that of the others needs their input


class Layer(NamedTuple):
    """One part of the network, named as in the built module; ``copies`` of it stand one after another.

    ``channels`` and ``side`` are its output's, ``c_in`` and ``side_in`` its input's (a linear layer takes the
    mean of it first); ``macs``, ``activations``, ``saved`` and ``live`` are for one image.
    """

    name: str
    stage: int | None
    kind: Kind
    kernel: int
    stride: int
    activated: bool  # its output goes through an activation, after the sum if it ``adds``
    adds: Any  # 1 where the block's input is added to its output, else 0
    copies: Any
    c_in: Any
    channels: Any
    side_in: Any
    side: Any
    params: Any
    state_bytes: Any  # parameters and buffers
    macs: Any
    activations: Any
    saved: Any  # elements that the backward pass needs
    live: Any  # elements alive at its worst moment in inference
    activation: Activation | None = None  # None: the network's
    experts: int = 0  # whose kernels are mixed for each image; 0: the kernel is the same for all


class Flow(NamedTuple):
    """What flows between parts. ``kept`` is 1 where the part that wrote it saves it for the backward pass."""

    channels: Any
    side: Any
    elements: Any
    kept: Any = 0


class Place(NamedTuple):
    """Where a part stands, and how often.

    ``held``: elements that outer frames keep alive, the part's own input not counted; ``drops``: 1 where
    stochastic depth applies to a block that adds its input.
    """

    name: str
    stage: int | None = None
    copies: Any = 1
    held: Any = 0
    drops: int = 0

    def part(self, name: str, held: Any = 0) -> "Place":
        """A part of the block that stands here, while whose frame holds ``held`` elements more."""
        return self._replace(name=f"{self.name}.{name}", held=self.held + held)


def flow(channels: Any, side: Any, kept: int = 0) -> Flow:
    """What flows, with its elements counted once."""
    return Flow(channels, side, channels * (side * side), kept)


def keeps_output(arch: Architecture, activation: Activation | None = None) -> bool:
    """Whether the backward pass of the activation (None: the network's) needs what it wrote, not what it read."""
    return (activation or arch.activation) in _KEEPS_OUTPUT


def conv(
    place: Place, x: Flow, c_out: Any, arch: Architecture, kernel: int = 1, stride: int = 1,
    depthwise: bool = False, linear: bool = False, activation: Activation | None = None, experts: int = 0,
) -> tuple[Layer, Flow]:  # fmt: skip
    """Convolution, batch norm and, unless ``linear``, activation: its layer and its output.

    With ``experts`` their kernels are mixed first, by a product of matrices; the mixture is what is saved.
    """
    side = _ceil_div(x.side, stride)
    area = side * side
    elements = c_out * area
    weights = kernel * kernel * (c_out if depthwise else x.channels * c_out)
    held, mixed = (weights * max(1, experts)), (weights if experts else 0)
    padded, into = 0, x.elements * (1 - x.kept)
    if arch.pads(kernel, stride):  # and that copy is what the convolution saves
        wide = x.side + larger((side - 1) * stride + kernel - x.side, 0)
        padded = into = x.channels * wide * wide
    beside = padded + mixed  # alive while the convolution runs, before the norm needs room for its output
    layer = Layer(
        name=place.name, stage=place.stage, kind="depthwise" if depthwise else "conv", kernel=kernel, stride=stride,
        activated=not linear, adds=0, copies=place.copies, c_in=x.channels, channels=c_out, side_in=x.side, side=side,
        params=held + 2 * c_out,
        state_bytes=FLOAT_BYTES * held + (4 * FLOAT_BYTES * c_out + _COUNTER_BYTES),
        macs=weights * (area + experts),
        activations=elements + mixed,
        saved=into + (elements if linear else 2 * elements) + mixed,
        live=place.held + x.elements + (2 * elements if isinstance(beside, int) and not beside else
                                        elements + larger(beside, elements)),
        activation=activation, experts=experts,
    )  # fmt: skip
    return layer, Flow(c_out, side, elements, 1 if keeps_output(arch, activation) and not linear else 0)


def squeeze_excite(
    place: Place, x: Flow, squeezed: Any, arch: Architecture, activation: Activation | None = None, hard: bool = False
) -> tuple[Layer, Flow]:
    """Global mean, two biased 1x1 convolutions with an activation between, sigmoid, product with the input.

    ``hard``: a hard sigmoid, which saves what it reads and not only what it writes.
    """
    c = x.channels
    weights, written = 2 * c * squeezed, c + squeezed
    params = weights + written
    layer = Layer(
        name=place.name, stage=place.stage, kind="squeeze_excite", kernel=1, stride=1, activated=False, adds=0,
        copies=place.copies, c_in=c, channels=c, side_in=x.side, side=x.side,
        params=params, state_bytes=FLOAT_BYTES * params, macs=weights, activations=written,
        saved=x.elements * (1 - x.kept) + (3 if hard else 2) * c
        + squeezed * (1 if keeps_output(arch, activation) else 2),
        live=place.held + 2 * x.elements + 2 * c,
    )  # fmt: skip
    return layer, x._replace(kept=0)


def routing(place: Place, x: Flow, experts: int) -> Layer:
    """Global mean, a linear layer to the experts, sigmoid; its input goes on to the block's other parts."""
    weights = x.channels * experts
    params = weights + experts
    return Layer(
        name=place.name, stage=place.stage, kind="linear", kernel=1, stride=1, activated=False, adds=0,
        copies=place.copies, c_in=x.channels, channels=experts, side_in=x.side, side=1,
        params=params, state_bytes=FLOAT_BYTES * params, macs=weights, activations=experts,
        saved=x.channels + experts, live=place.held + x.elements + experts + larger(x.channels, experts),
    )  # fmt: skip


def max_pool(place: Place, x: Flow) -> tuple[Layer, Flow]:
    """3x3 max-pooling of stride 2, padded by 1; torch makes, and for the backward pass saves, an index an element."""
    y = flow(x.channels, _ceil_div(x.side, 2))
    indices = _INDEX_FLOATS * y.elements
    layer = Layer(
        name=place.name, stage=place.stage, kind="pool", kernel=3, stride=2, activated=False, adds=0,
        copies=place.copies, c_in=x.channels, channels=y.channels, side_in=x.side, side=y.side,
        params=0, state_bytes=0, macs=0, activations=0,
        saved=x.elements * (1 - x.kept) + indices, live=place.held + x.elements + y.elements + indices,
    )  # fmt: skip
    return layer, y


def mean_pool(place: Place, x: Flow, stride: int) -> tuple[Layer, Flow]:
    """Means of stride x stride squares; their backward pass needs the input, by its shape, and torch saves it."""
    y = flow(x.channels, _ceil_div(x.side, stride))
    layer = Layer(
        name=place.name, stage=place.stage, kind="pool", kernel=stride, stride=stride, activated=False, adds=0,
        copies=place.copies, c_in=x.channels, channels=y.channels, side_in=x.side, side=y.side,
        params=0, state_bytes=0, macs=0, activations=0,
        saved=x.elements * (1 - x.kept), live=place.held + x.elements + y.elements,
    )  # fmt: skip
    return layer, y


def hidden(place: Place, x: Flow, c_out: Any, arch: Architecture) -> tuple[Layer, Flow]:
    """Global mean, linear layer, activation: its layer and its output, of one pixel."""
    weights = x.channels * c_out
    params = weights + c_out
    layer = Layer(
        name=place.name, stage=place.stage, kind="linear", kernel=1, stride=1, activated=True, adds=0,
        copies=place.copies, c_in=x.channels, channels=c_out, side_in=x.side, side=1,
        params=params, state_bytes=FLOAT_BYTES * params, macs=weights, activations=c_out,
        saved=x.channels + c_out, live=place.held + x.elements + x.channels + 2 * c_out,
    )  # fmt: skip
    return layer, Flow(c_out, 1, c_out, int(keeps_output(arch)))


def classifier(place: Place, x: Flow, arch: Architecture, pooled: bool = False) -> Layer:
    """Global mean, unless the input has been ``pooled``, dropout, and a linear layer to the classes."""
    weights, drops = x.channels * arch.classes, arch.dropout > 0
    params = weights + arch.classes
    fresh = 2 if drops else 1 - (x.kept if pooled else 0)  # what dropout writes and its mask, or the input
    return Layer(
        name=place.name, stage=place.stage, kind="linear", kernel=1, stride=1, activated=False, adds=0,
        copies=place.copies, c_in=x.channels, channels=arch.classes, side_in=x.side, side=1,
        params=params, state_bytes=FLOAT_BYTES * params, macs=weights, activations=arch.classes,
        saved=x.channels * fresh, live=place.held + x.elements + (0 if pooled else x.channels) + arch.classes,
    )  # fmt: skip


def larger(a: Any, b: Any) -> Any:
    """The larger of the two, element by element."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return max(a, b)
    import numpy as np

    return np.maximum(a, b)


def _ceil_div(side: Any, stride: int) -> Any:
    if stride == 1 or isinstance(side, int):
        return -(-side // stride) if stride > 1 else side
    import numpy as np

    return np.ceil(side / stride)
