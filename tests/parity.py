"""Our networks and timm's with the same random weights: what they answer, and by how much they differ.

The weights are random, the norms' statistics those of a batch through these weights. With others the signal
dies away or drowns every bias within 100 layers, the logits hardly depend on the photograph, and a test
passes whatever is wrong. The weights go through the adapter, whose tables are tested with it.
"""

import zlib

import timm
import torch
from torch import Tensor, nn

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.nn import build
from compoundnet.weights.layout import expected_shapes
from compoundnet.weights.timm import from_ours

__all__ = ["TOLERANCE", "difference", "pair", "photographs", "random_state", "settle", "timm_twin"]

# Both sides run the same kernels on the same numbers; the order of sums may differ, by 1e-16 (float64) or
# 1e-7 (float32) a layer, over up to 100 layers. The small variants are compared in float64; the large ones,
# for half the memory and time, in float32. As a share of what another photograph changes.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}

NOISE = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
"""Drawn once, as 480 M draws take a minute. A prime: no row of a kernel repeats another."""


def random_state(arch: Architecture, dtype: torch.dtype) -> dict[str, Tensor]:
    """Under our names; norm scales positive."""
    noise = NOISE.to(dtype).repeat(2)
    return {name: _random(name, shape, noise) for name, shape in expected_shapes(arch).items()}


def _random(name: str, shape: torch.Size, noise: Tensor) -> Tensor:
    start, count = zlib.crc32(name.encode()) % len(NOISE), shape.numel()
    own = noise[start : start + len(NOISE)]
    normal = own.repeat(1 + count // len(own))[:count].view(shape) if count > len(own) else own[:count].view(shape)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7)
    if name.endswith(("norm.weight", "running_var")):
        return 0.5 + normal.abs()
    if len(shape) == 2 and name.endswith("conv.weight"):  # experts, whose kernels' shape does not show
        return 0.3 * normal
    return normal / shape[1:].numel() ** 0.5 if len(shape) > 1 else 0.1 * normal


def photographs(side: int, dtype: torch.dtype, count: int = 2) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side), dtype=dtype)


@torch.no_grad()
def settle(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Give every norm the statistics of a batch; all else stays in eval mode."""
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1
    model(photographs(64, dtype, count=4))
    return model.eval()


def timm_twin(arch: Architecture) -> nn.Module:
    """timm's network of that name; where it has only the ``tf_`` one, that with symmetric padding."""
    known = timm.is_model(arch.name)
    kwargs = {} if known else {"pad_type": "", "bn_eps": arch.norm.eps}
    with torch.device("meta"):
        return timm.create_model(arch.name if known else f"tf_{arch.name}", **kwargs)


def pair(name: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, nn.Module]:
    """Ours and timm's, in eval mode, sharing one set of random weights."""
    arch = zoo.architecture(name)
    with torch.device("meta"):
        ours = build(arch)
    ours.load_state_dict(random_state(arch, dtype), assign=True)
    settle(ours, dtype)
    theirs = timm_twin(arch)
    theirs.load_state_dict(from_ours(ours.state_dict(), arch), assign=True)
    return ours, theirs.eval()


@torch.inference_mode()
def difference(ours: nn.Module, theirs: nn.Module, side: int) -> float:
    """Largest difference of logits, as a share of how much they change from one photograph to another."""
    x = photographs(side, next(ours.parameters()).dtype)
    mine, other = ours(x), theirs(x)
    scale = (other[0] - other[1]).abs().max()
    assert scale > 0.01 * other.abs().max()  # the photograph counts, and nothing is NaN
    return ((mine - other).abs().max() / scale).item()
