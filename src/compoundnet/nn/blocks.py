"""Block values -> modules. A new kind of block is a function here and a row in ``_PARTS``."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from compoundnet.architecture import Architecture, Block, FusedMBConv, MBConv
from compoundnet.nn.layers import ConvNormAct, SqueezeExcite, StochasticDepth

__all__ = ["BlockModule"]

Parts = OrderedDict[str, nn.Module]


class BlockModule(nn.Sequential):
    """The parts of a block in order; its input is added where stride and channels allow and the block skips."""

    def __init__(self, block: Block, c_in: int, c_out: int, stride: int, drop_path: float, arch: Architecture) -> None:
        parts = _PARTS[type(block)](block, c_in, c_out, stride, arch)
        self.adds_input = block.skip and stride == 1 and c_in == c_out
        if self.adds_input:
            parts["drop_path"] = StochasticDepth(drop_path)
        super().__init__(parts)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))."""
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y if self.adds_input else y


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


_PARTS: dict[type, Callable[..., Any]] = {MBConv: _mbconv, FusedMBConv: _fused_mbconv}
