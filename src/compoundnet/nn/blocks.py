"""Block values -> modules. A new kind of block is a function here and a row in ``_PARTS``, or a module of its own."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from compoundnet.architecture import (
    FOLD,
    Architecture,
    BasicBlock,
    Block,
    Bottleneck,
    CondMBConv,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
)
from compoundnet.nn.layers import ConvNormAct, SqueezeExcite, StochasticDepth
from compoundnet.nn.mixed import MixedModule
from compoundnet.nn.residual import ResidualModule

__all__ = ["BlockModule", "block_module"]

Parts = OrderedDict[str, nn.Module]


def block_module(
    block: Block, c_in: int, c_out: int, stride: int, drop_path: float, arch: Architecture
) -> "BlockModule | ResidualModule | MixedModule":
    """The freshly made module of a block; ``drop_path`` is its stochastic-depth rate."""
    if isinstance(block, CondMBConv):
        return MixedModule(block, c_in, c_out, stride, drop_path, arch)
    if isinstance(block, (BasicBlock, Bottleneck)):
        return ResidualModule(block, c_in, c_out, stride, drop_path, arch)
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


def _mbconv(block: MBConv, c_in: int, c_out: int, stride: int, arch: Architecture) -> Parts:
    c_mid, act = block.expanded(c_in), block.activation
    parts: Parts = OrderedDict()
    if block.space_to_depth:
        parts["space_to_depth"] = ConvNormAct(c_in, c_in * FOLD, 2, stride, arch, activation=act)
        stride = 1
    if block.expansion != 1:
        parts["expand"] = ConvNormAct(block.entered(c_in), c_mid, 1, 1, arch, activation=act)
    parts["depthwise"] = ConvNormAct(c_mid, c_mid, block.kernel, stride, arch, groups=c_mid, activation=act)
    if block.se_ratio and block.squeeze == "mobilenetv3":
        parts["squeeze_excite"] = SqueezeExcite(c_mid, block.squeezed(c_in), arch, "relu", "hardsigmoid")
    elif block.se_ratio:
        parts["squeeze_excite"] = SqueezeExcite(c_mid, block.squeezed(c_in), arch, act)
    parts["project"] = ConvNormAct(c_mid, c_out, 1, 1, arch, linear=True)
    return parts


def _fused_mbconv(block: FusedMBConv, c_in: int, c_out: int, stride: int, arch: Architecture) -> Parts:
    c_mid, act = block.expanded(c_in, c_out), block.activation
    parts: Parts = OrderedDict(fused=ConvNormAct(c_in, c_mid, block.kernel, stride, arch, activation=act))
    if block.se_ratio:
        parts["squeeze_excite"] = SqueezeExcite(c_mid, block.squeezed(c_in, c_out), arch, act)
    if block.expansion != 1:
        parts["project"] = ConvNormAct(c_mid, c_out, 1, 1, arch, linear=True)
    return parts


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
