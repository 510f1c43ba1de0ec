"""Networks of random weights through which a signal passes, and how far two of them are apart."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.nn import build

__all__ = ["TINY", "TINY_V1", "alike", "difference", "photographs", "random_network", "randomise"]

B0 = zoo.architecture("tf_efficientnet_b0")

TINY_V1 = replace(
    B0,
    name="tiny_v1",
    classes=7,
    head=24,
    stages=tuple(replace(s, channels=8, repeats=1 + (i == 1)) for i, s in enumerate(B0.stages[:3])),
)
"""EfficientNet's blocks only, with and without expansion; 0.1 s to build."""

TINY = replace(
    TINY_V1,
    name="tiny",
    stages=tuple(replace(s, channels=8) for s in zoo.architecture("tf_efficientnetv2_b0").stages[:2]) + TINY_V1.stages,
)
"""Every kind of block of EfficientNet and EfficientNetV2."""


def photographs(side: int, count: int = 2, channels: int = 3) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(side))


@torch.no_grad()
def randomise(model: nn.Module) -> nn.Module:
    """Random weights, and in every norm the statistics of a batch through them: else the signal dies on its way."""
    numbers = torch.Generator().manual_seed(0)
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    for weight in model.parameters():
        drawn = torch.randn(weight.shape, generator=numbers)
        weight.copy_(drawn / weight[0].numel() ** 0.5 if weight.ndim > 1 else 0.1 * drawn)
    for norm in norms:
        norm.weight.abs_().add_(0.5)
        norm.train().momentum = 1
    model(photographs(64, count=4))
    return model.eval()


def random_network(arch: Architecture) -> nn.Module:
    return randomise(build(arch))


@torch.inference_mode()
def difference(ours: nn.Module, theirs: nn.Module, side: int) -> float:
    """Largest difference of logits, as a share of how much they change from one photograph to another; in float64."""
    x = photographs(side).double()
    mine, other = ours.double()(x), theirs.double()(x)
    scale = (other[0] - other[1]).abs().max()
    assert scale > 0.01 * other.abs().max()  # the photograph counts, and nothing is NaN
    return ((mine - other).abs().max() / scale).item()


def alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """The same names, and equal bytes; batch counts, which only torch has, aside."""
    kept = [{n: t for n, t in state.items() if not n.endswith("num_batches_tracked")} for state in (one, other)]
    same = kept[0].keys() == kept[1].keys()
    return same and all(t.numpy().tobytes() == kept[1][n].numpy().tobytes() for n, t in kept[0].items())
