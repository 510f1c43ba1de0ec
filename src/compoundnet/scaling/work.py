"""What a network has to do, layer by layer: the amounts that a device profile puts a price on.

Every amount is at least zero and never falls when a size grows: channels, side, or batch.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

from compoundnet.architecture import Activation, Architecture
from compoundnet.cost import Layer

__all__ = ["WORK", "Work", "work_of"]

_CONVOLUTIONS = ("stem", "pointwise", "conv", "depthwise")

WORK: tuple[str, ...] = (
    *(f"{kind}.{what}" for kind in _CONVOLUTIONS for what in ("calls", "macs", "rows", "read", "written", "weights")),
    *(f"squeeze_excite.{what}" for what in ("calls", "elements", "weights")),
    *(f"linear.{what}" for what in ("macs", "pooled")),
    *(f"pool.{what}" for what in ("calls", "elements")),
    *(f"{name}.{what}" for name in get_args(Activation) for what in ("calls", "elements")),
    *(f"{kind}.{what}" for kind in ("add", "pad") for what in ("calls", "elements")),
)
"""The names of all kinds of work; elements and multiply-adds are those of a whole batch.

Rows are the multiply-adds of one column: a kernel begins anew with each row, which small maps feel. A network
calls its stem once, so that ``stem.calls`` stands for all that is once a network.
"""


class Work(NamedTuple):
    """An amount of one kind of work; ``amount`` is a number, or an array of candidates."""

    name: str
    amount: Any


def work_of(layer: Layer, arch: Architecture, batch_size: int) -> Iterator[Work]:
    """The work of one copy of a layer."""
    read = batch_size * layer.c_in * layer.side_in * layer.side_in
    written = batch_size * layer.channels * layer.side * layer.side
    if layer.kind in ("conv", "depthwise"):
        yield from _convolution(layer, batch_size, read, written)
        if arch.pads(layer.kernel, layer.stride):  # a padded copy of the input
            yield from _op("pad", read)
    elif layer.kind == "squeeze_excite":
        yield from _op("squeeze_excite", written)
        yield Work("squeeze_excite.weights", layer.params)
    elif layer.kind == "pool":
        yield from _op("pool", read)
    else:
        yield Work("linear.macs", layer.c_in * layer.channels * batch_size)
        yield Work("linear.pooled", read)
    if layer.activated:
        yield from _op(layer.activation or arch.activation, written)
    if not _first_of_stage(layer):
        yield Work("add.calls", layer.adds)
        yield Work("add.elements", layer.adds * written)


def _convolution(layer: Layer, batch_size: int, read: Any, written: Any) -> Iterator[Work]:
    depthwise = layer.kind == "depthwise"
    kind = "stem" if layer.name == "stem" else layer.kind if depthwise or layer.kernel > 1 else "pointwise"
    weights = layer.kernel * layer.kernel * layer.channels * (1 if depthwise else layer.c_in)
    rows = batch_size * weights * layer.side
    yield Work(f"{kind}.calls", 1)
    yield Work(f"{kind}.macs", rows * layer.side)
    yield Work(f"{kind}.rows", rows)
    yield Work(f"{kind}.read", read)
    yield Work(f"{kind}.written", written)
    yield Work(f"{kind}.weights", weights * (batch_size if layer.experts else 1))
    if layer.experts:  # each image's kernel, by a product of matrices
        yield Work("linear.macs", layer.experts * weights * batch_size)


def _op(kind: str, elements: Any) -> Iterator[Work]:
    yield Work(f"{kind}.calls", 1)
    yield Work(f"{kind}.elements", elements)


def _first_of_stage(layer: Layer) -> bool:
    """Whether the layer is of its stage's first block, ``stages.I.0.*``.

    That block adds its input only where rounding happens to make its channels equal; counting that would let
    predictions fall where a network gets wider.
    """
    return layer.stage is not None and layer.name.split(".")[2] == "0"
