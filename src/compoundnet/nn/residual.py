"""ResNet's blocks -> modules: a branch, a shortcut, their sum activated. A new kind is a function and a row."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor, nn

from compoundnet.architecture import Architecture, BasicBlock, Bottleneck
from compoundnet.nn.layers import ACTIVATIONS, ConvNormAct, SqueezeExcite, StochasticDepth

__all__ = ["ResidualBlock", "ResidualModule"]

ResidualBlock: TypeAlias = BasicBlock | Bottleneck

_Parts = OrderedDict[str, nn.Module]


class ResidualModule(nn.Module):
    """The sum of a branch of convolutions and the input, or its projection, activated.

    ``branch`` names the parts of the branch in order; ``shortcut_pool`` and ``shortcut`` are the identity where the
    block adds its input as it is (``projects`` is False).
    """

    def __init__(
        self, block: ResidualBlock, c_in: int, c_out: int, stride: int, drop_path: float, arch: Architecture
    ) -> None:
        super().__init__()
        parts = _BRANCHES[type(block)](block, c_in, c_out, stride, arch)
        parts["drop_path"] = StochasticDepth(drop_path)
        for name, part in parts.items():
            self.add_module(name, part)
        self.branch = tuple(parts)
        self.projects = stride != 1 or c_in != c_out
        pools = stride != 1 and isinstance(block, Bottleneck) and block.pool_shortcut
        self.shortcut_pool = _mean_pool(stride) if pools else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if self.projects:
            self.shortcut = ConvNormAct(c_in, c_out, 1, 1 if pools else stride, arch, linear=True)
        self.act = ACTIVATIONS[arch.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))."""
        y = x
        for name in self.branch:
            y = getattr(self, name)(y)
        y = y + self.shortcut(self.shortcut_pool(x))  # both terms are freed before the activation
        z: Tensor = self.act(y)
        return z


def _mean_pool(stride: int) -> nn.AvgPool2d:
    """Means of stride x stride squares, at the far edges of what there is of them: ceil(side / stride) of them."""
    return nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)


def _basic(block: BasicBlock, c_in: int, c_out: int, stride: int, arch: Architecture) -> _Parts:
    return OrderedDict(
        first=ConvNormAct(c_in, c_out, block.kernel, stride, arch),
        second=ConvNormAct(c_out, c_out, block.kernel, 1, arch, linear=True),
    )


def _bottleneck(block: Bottleneck, c_in: int, c_out: int, stride: int, arch: Architecture) -> _Parts:
    c_mid = block.reduced(c_out)
    parts: _Parts = OrderedDict(
        reduce=ConvNormAct(c_in, c_mid, 1, 1, arch),
        spatial=ConvNormAct(c_mid, c_mid, block.kernel, stride, arch),
        expand=ConvNormAct(c_mid, c_out, 1, 1, arch, linear=True),
    )
    if block.se_ratio:
        parts["squeeze_excite"] = SqueezeExcite(c_out, block.squeezed(c_out), arch)
    return parts


_BRANCHES: dict[type, Callable[..., Any]] = {BasicBlock: _basic, Bottleneck: _bottleneck}
