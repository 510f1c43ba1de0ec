"""What a step of training any module holds at its worst moment, found on the meta device, where nothing is computed."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from compoundnet.errors import RequestError
from compoundnet.nn.counting import Alive, input_dtype

__all__ = ["training_step_bytes"]

_STATES = 2  # moments that AdamW keeps for each weight
_SCRATCH = 2  # copies of one parameter that it works with, one parameter after another


def training_step_bytes(module: nn.Module, resolution: int, batch_size: int, in_channels: int = 3) -> int:
    """Most bytes alive in a step of ``batch_size`` images (in_channels, resolution, resolution) with AdamW.

    ``module`` is on the meta device, and is left in training mode, with gradients. A step is a forward pass, a
    log-softmax over the last axis of what comes out, the backward pass, and the optimiser's; as
    :func:`compoundnet.cost.training_peak_bytes` counts it for an architecture.

    Raises:
        RequestError: nothing that comes out depends on a parameter that could be trained.
        Exception: whatever the module raises for such images.
    """
    kept = [*module.parameters(), *module.buffers()]
    trained = [p for p in module.parameters() if p.requires_grad]
    gradients: int = sum(p.nbytes for p in trained)
    with torch.device("meta"), Alive() as alive:  # the device is for tensors that the module makes as it runs
        for tensor in kept:
            alive.watch(tensor)
        images = torch.empty(batch_size, in_channels, resolution, resolution, dtype=input_dtype(module))
        _loss(module.train()(images)).backward()  # type: ignore[no-untyped-call]
    stepping: int = sum(t.nbytes for t in kept) + gradients + _SCRATCH * max((p.nbytes for p in trained), default=0)
    peak: int = max(alive.peak, stepping)
    return peak + _STATES * gradients


def _loss(out: Any) -> Tensor:
    """A number that depends on all that comes out."""
    outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and leaf.requires_grad]
    if not outputs:
        raise RequestError("nothing that comes out depends on a parameter that could be trained")
    return torch.stack([leaf.log_softmax(-1).sum() for leaf in outputs]).sum()
