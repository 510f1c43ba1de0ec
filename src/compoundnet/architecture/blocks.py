"""The kinds of block, as values. The modules that they describe are in ``nn/blocks.py``."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from compoundnet.architecture.rounding import Number, at_least, floor
from compoundnet.checks import check_number, check_odd, check_whole, check_yes_or_no

__all__ = ["BLOCKS", "Block", "Bottleneck", "DepthwiseSeparable", "FusedMBConv", "MBConv"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MBConv:
    """Inverted bottleneck: 1x1 expand (unless ``expansion`` is 1), depthwise, squeeze-excite, 1x1 project.

    ``se_ratio`` is a share of the block's *input* channels, truncated, at least 1; 0 means no
    squeeze-excitation. The block adds its input where ``skip``, stride is 1 and channels agree.
    """

    kernel: int
    expansion: int
    se_ratio: float = 0.25
    skip: bool = True

    def __post_init__(self) -> None:
        check_whole("MBConv.expansion", self.expansion)
        check_odd("MBConv.kernel", self.kernel)
        check_yes_or_no("MBConv.skip", self.skip)
        check_number("MBConv.se_ratio", self.se_ratio, lambda x: 0 <= x <= 1, "lie in 0..1 (0: no squeeze-excitation)")

    def squeezed(self, c_in: Number) -> Any:
        """Channels between the two layers of the squeeze-excitation, for ``c_in`` into the block."""
        return at_least(1, floor(c_in * self.se_ratio))


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedMBConv:
    """MBConv whose expand and depthwise are one full k x k convolution; ``expansion`` 1: only that one."""

    kernel: int
    expansion: int
    skip: bool = True

    def __post_init__(self) -> None:
        check_whole("FusedMBConv.expansion", self.expansion)
        check_odd("FusedMBConv.kernel", self.kernel)
        check_yes_or_no("FusedMBConv.skip", self.skip)


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthwiseSeparable:
    """MobileNetV1's block (Howard et al. 2017): depthwise k x k, then 1x1, each activated; its input is never added."""

    kernel: int

    def __post_init__(self) -> None:
        check_odd("DepthwiseSeparable.kernel", self.kernel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bottleneck:
    """ResNet's block (He et al. 2016): 1x1 to a ``reduction``-th of its output, k x k, 1x1; input added, activation.

    The stride is the k x k convolution's ("v1.5"), not the first 1x1's as in the paper. Where stride or
    channels change, the input passes a 1x1 convolution and norm (the projection) before it is added.
    """

    kernel: int = 3
    reduction: int = 4

    def __post_init__(self) -> None:
        check_odd("Bottleneck.kernel", self.kernel)
        check_whole("Bottleneck.reduction", self.reduction)

    def reduced(self, c_out: Number) -> Any:
        """Channels of the k x k convolution, for ``c_out`` out of the block: truncated, at least 1."""
        return at_least(1, floor(c_out / self.reduction))


Block: TypeAlias = MBConv | FusedMBConv | DepthwiseSeparable | Bottleneck

BLOCKS: dict[str, type[Block]] = {kind.__name__: kind for kind in (MBConv, FusedMBConv, DepthwiseSeparable, Bottleneck)}
"""Every kind of block, by the name that stands in JSON."""
