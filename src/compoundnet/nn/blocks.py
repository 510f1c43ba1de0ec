"""Block values -> modules. A new kind of block is a function here and a row in ``_PARTS``, or a module of its own."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from compoundnet.architecture import Architecture, Block, Bottleneck, DepthwiseSeparable, FusedMBConv, MBConv
from compoundnet.nn.layers import ACTIVATIONS, ConvNormAct, SqueezeExcite, StochasticDepth

__all__ = ["BlockModule", "BottleneckModule", "block_module"]

Parts = OrderedDict[str, nn.Module]


def block_module(
    block: Block, c_in: int, c_out: int, stride: int, drop_path: float, arch: Architecture
) -> "BlockModule | BottleneckModule":
    """The freshly made module of a block; ``drop_path`` is its stochastic-depth rate."""
    if isinstance(block, Bottleneck):
        return BottleneckModule(block, c_in, c_out, stride, drop_path, arch)
    return BlockModule(block, c_in, c_out, stride, drop_path, arch)


class BlockModule(nn.Sequential):
    """The parts of a block in order; its input is added where stride and channels allow and the block skips."""

    def __init__(self, block: Block, c_in: int, c_out: int, stride: int, drop_path: float, arch: Architecture) -> None:
        parts = _PARTS[type(block)](block, c_in, c_out, stride, arch)
        self.adds_input = getattr(block, "skip", False) and stride == 1 and c_in == c_out
        if self.adds_input:
            parts["drop_path"] = StochasticDepth(drop_path)
        super().__init__(parts)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y if self.adds_input else y


class BottleneckModule(nn.Module):
    """ResNet's block: the sum of a branch of three convolutions and the input, or its projection, activated."""

    def __init__(
        self, block: Bottleneck, c_in: int, c_out: int, stride: int, drop_path: float, arch: Architecture
    ) -> None:
        super().__init__()
        c_mid = block.reduced(c_out)
        self.reduce = ConvNormAct(c_in, c_mid, 1, 1, arch)
        self.spatial = ConvNormAct(c_mid, c_mid, block.kernel, stride, arch)
        self.expand = ConvNormAct(c_mid, c_out, 1, 1, arch, linear=True)
        self.drop_path = StochasticDepth(drop_path)
        self.projects = stride != 1 or c_in != c_out
        self.shortcut = ConvNormAct(c_in, c_out, 1, stride, arch, linear=True) if self.projects else nn.Identity()
        self.act = ACTIVATIONS[arch.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))."""
        y = self.drop_path(self.expand(self.spatial(self.reduce(x))))
        y = y + self.shortcut(x)  # both terms are freed before the activation
        z: Tensor = self.act(y)
        return z


def _mbconv(block: MBConv, c_in: int, c_out: int, stride: int, arch: Architecture) -> Parts:
    c_mid = c_in * block.expansion
    parts: Parts = OrderedDict()
    if block.expansion != 1:
        parts["expand"] = ConvNormAct(c_in, c_mid, 1, 1, arch)
    parts["depthwise"] = ConvNormAct(c_mid, c_mid, block.kernel, stride, arch, groups=c_mid)
    if block.se_ratio:
        parts["squeeze_excite"] = SqueezeExcite(c_mid, block.squeezed(c_in), arch)
    parts["project"] = ConvNormAct(c_mid, c_out, 1, 1, arch, linear=True)
    return parts


def _fused_mbconv(block: FusedMBConv, c_in: int, c_out: int, stride: int, arch: Architecture) -> Parts:
    if block.expansion == 1:
        return OrderedDict(fused=ConvNormAct(c_in, c_out, block.kernel, stride, arch))
    c_mid = c_in * block.expansion
    return OrderedDict(
        fused=ConvNormAct(c_in, c_mid, block.kernel, stride, arch),
        project=ConvNormAct(c_mid, c_out, 1, 1, arch, linear=True),
    )


def _separable(block: DepthwiseSeparable, c_in: int, c_out: int, stride: int, arch: Architecture) -> Parts:
    return OrderedDict(
        depthwise=ConvNormAct(c_in, c_in, block.kernel, stride, arch, groups=c_in),
        pointwise=ConvNormAct(c_in, c_out, 1, 1, arch),
    )


_PARTS: dict[type, Callable[..., Any]] = {
    MBConv: _mbconv,
    FusedMBConv: _fused_mbconv,
    DepthwiseSeparable: _separable,
}
