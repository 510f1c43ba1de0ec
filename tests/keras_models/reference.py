"""What the same network gives in torch: logits, and one training step. Shapes are those of our torch modules."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet.architecture import Architecture
from compoundnet.nn import Network, build

__all__ = ["CLASSES", "Step", "images_for", "labels_for", "relative", "settled", "step"]

CLASSES = 10
_N = 4
_ADDED = ("project.norm", "expand.norm", "second.norm", "fused.norm")  # last in a branch


@dataclass(frozen=True, kw_only=True)
class Step:
    """One training step: gradients by name, the state after it, and how many values each norm averaged over."""

    gradients: dict[str, np.ndarray[Any, Any]]
    state: dict[str, Tensor]
    averaged: dict[str, int]


def settled(arch: Architecture, seed: int = 0) -> Network:
    """A network in evaluation mode as after a training: norms have weights of their own, and statistics of images.

    Without these a deep network of fresh kernels grows from block to block until it only amplifies rounding; what
    is added to a block's input is kept small for the same reason, as gradients grow likewise.
    """
    generator = torch.Generator().manual_seed(seed)
    network = build(arch)
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, norm in norms.items():
        low, high = (0.1, 0.4) if name.endswith(_ADDED) else (0.5, 1.5)
        nn.init.uniform_(norm.weight, low, high, generator)
        nn.init.uniform_(norm.bias, -0.2, 0.2, generator)
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(images_for(arch, max(32, arch.resolution), n=2))
    for norm in norms.values():
        norm.momentum = arch.norm.momentum
        assert norm.running_var is not None
        norm.running_var += 0.1
    return network.eval()


def images_for(arch: Architecture, side: int, n: int = _N) -> Tensor:
    return torch.randn(n, arch.in_channels, side, side, generator=torch.Generator().manual_seed(side))


def labels_for(arch: Architecture, n: int = _N) -> Tensor:
    return torch.arange(n) % arch.classes


def step(network: Network, images: Tensor) -> Step:
    """Cross-entropy's gradients in training mode; the network's own values stay, its statistics move."""
    network.train()
    with _counted(network) as averaged:
        loss = F.cross_entropy(network(images), labels_for(network.architecture, len(images)))
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad.numpy() for name, p in network.named_parameters() if p.grad is not None}
    return Step(gradients=gradients, state=network.state_dict(), averaged=averaged)


def relative(found: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest value wanted."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / max(float(np.abs(wanted).max()), 1e-30))


class _counted:  # reads as a word after `with`
    """Values a channel that each norm gets in the forward passes inside."""

    def __init__(self, network: nn.Module) -> None:
        self.norms = {name: m for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
        self.counts: dict[str, int] = {}

    def __enter__(self) -> dict[str, int]:
        self.hooks = list(self._hooks())
        return self.counts

    def __exit__(self, *_: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _hooks(self) -> Iterator[Any]:
        for name, norm in self.norms.items():

            def count(_: nn.Module, args: tuple[Tensor], name: str = name) -> None:
                self.counts[name] = args[0].numel() // args[0].shape[1]

            yield norm.register_forward_pre_hook(count)
