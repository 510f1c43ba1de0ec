"""What one step of training holds at its worst moment: batch, optimiser, and where gradients meet activations.

A step frees what it saved of a part and makes that part's gradients as it goes back through the network. Shallow
parts save most and deep ones have most weights, so that the worst moment lies somewhere between, and depends on
the batch. Gradients are taken to be dropped before the forward pass, as torch does unless told otherwise.
"""

from collections.abc import Iterable
from functools import partial
from itertools import groupby
from typing import Any, Literal, NamedTuple, get_args

from compoundnet.architecture import Architecture, Number
from compoundnet.checks import check_choice, check_whole
from compoundnet.cost.parts import FLOAT_BYTES, Layer, larger
from compoundnet.cost.pricing import Cost, priced, times

__all__ = ["Optimizer", "training_bytes", "training_peak_bytes"]

Optimizer = Literal["adamw", "sgd", "rmsprop"]

# Numbers that the optimiser keeps for each weight: two moments; a momentum; a mean square and a momentum.
_STATES: dict[str, int] = {"adamw": 2, "sgd": 1, "rmsprop": 2}
_SCRATCH = 2  # copies of one parameter that an optimiser works with; it takes them one after another


def training_bytes(cost: Cost, batch_size: int, optimizer: Optimizer = "adamw") -> Any:
    """What a step holds if all of it were there at once: weights, states, gradients, and what every image saves.

    A rough figure where nothing but the cost is known, and no bound; arrays in, arrays out. Of the zoo's networks a
    step holds from 19 % less, as gradients are made while activations are freed, to 25 % more, as optimisers and what
    flows back need room: that counts most for small networks and batches. See :func:`training_peak_bytes`.

    Raises:
        RequestError: a batch size that is no positive integer, or an unknown optimiser.
    """
    _check(batch_size, optimizer)
    gradients = FLOAT_BYTES * cost.params
    states = _STATES[optimizer] * gradients
    return cost.weights_bytes + states + gradients + batch_size * cost.training_bytes_per_image


def training_peak_bytes(
    arch: Architecture,
    batch_size: int,
    optimizer: Optimizer = "adamw",
    *,
    depth: Number = 1.0,
    width: Number = 1.0,
    resolution: Number = 1.0,
) -> Any:
    """Most bytes that a step holds, for ``arch`` scaled by the multipliers; arrays as in :func:`compoundnet.cost.cost`.

    Float32, momentum included, no average of the weights. Within 1.5 % of the tensors that are alive in eager
    PyTorch; workspaces of the convolution library, some MB on a CPU, come on top.

    >>> from compoundnet.zoo import architecture
    >>> training_peak_bytes(architecture("efficientnet_b0"), 32) // 10**6
    2906

    Raises:
        RequestError: as ``cost``, a batch size that is no positive integer, or an unknown optimiser.
    """
    _check(batch_size, optimizer)
    padded = arch.padding == "same" and arch.stem_stride > 1 and arch.stem_kernel > 1
    fold = partial(_fold, batch_size=batch_size, states=_STATES[optimizer], image_lives=padded)
    return priced(arch, depth, width, resolution, fold)["training_peak_bytes"]


def _check(batch_size: int, optimizer: str) -> None:
    check_whole("batch_size", batch_size)
    check_choice("optimizer", optimizer, get_args(Optimizer))


class _Sum(NamedTuple):
    """Of parts from the image on: elements that they save for an image, and parameters."""

    saved: Any = 0
    params: Any = 0

    def plus(self, saved: Any, params: Any) -> "_Sum":
        return _Sum(self.saved + saved, self.params + params)

    def bytes(self, batch_size: int) -> Any:
        """What a moment holds beyond weights, states and all gradients: these parts have made none of theirs yet."""
        return FLOAT_BYTES * (batch_size * self.saved - self.params)


def _fold(parts: Iterable[Layer], batch_size: int, states: int, image_lives: bool) -> dict[str, Any]:
    before, worst, weights, largest = _Sum(), 0, 0, 0
    image: Any = None
    for _, block in groupby(parts, key=_block_name):
        layers = list(block)
        copies = layers[0].copies
        moments, whole = _back_through(layers, batch_size)
        # From copy to copy the bytes change by the same, so the worst is in the first or the last.
        to_last = larger(0, (copies - 1) * whole.bytes(batch_size))
        worst = larger(worst, times(copies > 0, before.bytes(batch_size) + moments + to_last))
        before = before.plus(times(copies, whole.saved), times(copies, whole.params))
        for layer in layers:
            weights = weights + times(layer.copies, layer.state_bytes)
            largest = larger(largest, times(layer.copies > 0, layer.params))
        image = layers[0].c_in * layers[0].side_in ** 2 if image is None else image
    lives = FLOAT_BYTES * batch_size * image if image_lives else 0
    gradients = FLOAT_BYTES * before.params
    peak = larger(worst, FLOAT_BYTES * _SCRATCH * largest)
    return {"training_peak_bytes": weights + (states + 1) * gradients + lives + peak}


def _block_name(layer: Layer) -> str:
    return layer.name if layer.stage is None else layer.name.rpartition(".")[0]


def _back_through(layers: list[Layer], batch_size: int) -> tuple[Any, _Sum]:
    """The most that the block's moments hold, as if it stood first, and the block's sum."""
    entry = layers[0].c_in * layers[0].side_in ** 2
    adds = sum(layer.adds for layer in layers)  # the gradient of the input that was added waits meanwhile
    before, worst = _Sum(), 0
    for layer in layers:
        here = layer.copies > 0  # a projection, say, may be there for some candidates
        waits = times(1 - layer.adds, adds * entry)
        for elements, params in _moments(layer):
            worst = larger(worst, times(here, before.plus(elements + waits, params).bytes(batch_size)))
        before = before.plus(times(here, layer.saved), times(here, layer.params))
    return worst, before


def _moments(layer: Layer) -> list[tuple[Any, Any]]:
    """Elements alive for an image and parameters without a gradient yet, at the moments that may be the worst.

    Each operation's backward pass turns the gradient of its output into that of its input, then drops what it saved.
    """
    x, y = layer.c_in * layer.side_in**2, layer.channels * layer.side**2
    if layer.kind == "linear":  # log-softmax and its gradients
        return [(layer.saved + 3 * y, layer.params)]
    if layer.kind == "squeeze_excite":  # the gradient, its product with the gates and that with the input
        return [(layer.saved + (2 if layer.activated else 3) * x, layer.params)]
    if layer.kind == "pool":
        return [(layer.saved + x + y, 0)]
    into = layer.saved - y * (2 if layer.activated else 1)  # the convolution's input, if it is the one to save it
    onward = 0 if layer.name == "stem" else larger(x, into)  # nobody wants the image's gradient
    return [(layer.saved + 2 * y, layer.params), (into + y + onward, 0)]
