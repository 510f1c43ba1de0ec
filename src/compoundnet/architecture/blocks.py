"""The kinds of block, as values. The modules that they describe are in ``nn/blocks.py``.

Fields marked ``LATER`` stand in JSON only where they are not what they are by default.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from compoundnet.architecture.record import LATER
from compoundnet.architecture.rounding import Number, Rounding, at_least, floor
from compoundnet.checks import check_choice, check_number, check_odd, check_whole, check_yes_or_no

__all__ = ["BLOCKS", "FOLD", "Activation", "BasicBlock", "Block", "Bottleneck", "CondMBConv", "DepthwiseSeparable"]
__all__ += ["FusedMBConv", "MBConv", "later"]

Activation = Literal["silu", "relu", "relu6", "hardswish"]
Squeeze = Literal["efficientnet", "mobilenetv3"]
CountsFrom = Literal["input", "output", "folded"]

FOLD = 4
"""Pixels that space-to-depth folds into the channels of one: 2 x 2."""

_EIGHTS = Rounding()
_SHARE = "lie in 0..1 (0: no squeeze-excitation)"


@dataclass(frozen=True, kw_only=True, slots=True)
class MBConv:
    """Inverted bottleneck: 1x1 expand (unless ``expansion`` is 1), depthwise, squeeze-excite, 1x1 project.

    The block adds its input where ``skip``, stride is 1 and channels agree. A whole ``expansion`` is a product;
    after another the width is rounded to multiples of 8.

    ``squeeze`` says how ``se_ratio`` (0: no squeeze-excitation) counts and what activates: in EfficientNet a share
    of the block's *input* channels, truncated, at least 1, the block's activation and a sigmoid; in MobileNetV3 a
    share of the *expanded* channels in multiples of 8, ReLU and a hard sigmoid. ``activation`` None is the network's.

    ``space_to_depth``, in EfficientNet-X: the first block of the stage begins with a 2x2 convolution of stride 2 to
    four times its input channels; the stage's channels then are multiples of 32, and its kernel is 2 for one of 3.
    """

    kernel: int
    expansion: float
    se_ratio: float = 0.25
    skip: bool = True
    squeeze: Squeeze = field(default="efficientnet", metadata=LATER)
    activation: Activation | None = field(default=None, metadata=LATER)
    space_to_depth: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        _check_expansion(self)
        if self.kernel != 2 or not isinstance(self.kernel, int):  # 2: of folded maps
            check_odd("MBConv.kernel", self.kernel)
        _check_rest(self)
        check_choice("MBConv.squeeze", self.squeeze, get_args(Squeeze))
        check_yes_or_no("MBConv.space_to_depth", self.space_to_depth)

    def entered(self, c_in: Number) -> Any:
        """Channels that the expansion takes, for ``c_in`` into the block."""
        return c_in * FOLD if self.space_to_depth else c_in

    def expanded(self, c_in: Number) -> Any:
        """Channels of the depthwise convolution, for ``c_in`` into the block."""
        return _widened(self.entered(c_in), self.expansion)

    def squeezed(self, c_in: Number) -> Any:
        """Channels between the two layers of the squeeze-excitation, for ``c_in`` into the block."""
        if self.squeeze == "mobilenetv3":
            return _EIGHTS.channels(self.expanded(c_in) * self.se_ratio)
        return at_least(1, floor(c_in * self.se_ratio))


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedMBConv:
    """MBConv whose expand and depthwise are one full k x k convolution; ``expansion`` 1: only that one.

    ``counts_from`` is what ``expansion`` and ``se_ratio`` count from: the block's input; its output, as the
    expanded width in EfficientNet-EdgeTPU; ``"folded"``, where EfficientNet-X leaves space-to-depth: in the first
    block of the stage a quarter of the input, whose channels hold 2x2 pixels each. Otherwise as :class:`MBConv`.
    """

    kernel: int
    expansion: float
    skip: bool = True
    se_ratio: float = field(default=0.0, metadata=LATER)
    activation: Activation | None = field(default=None, metadata=LATER)
    counts_from: CountsFrom = field(default="input", metadata=LATER)

    def __post_init__(self) -> None:
        _check_expansion(self)
        check_odd("FusedMBConv.kernel", self.kernel)
        _check_rest(self)
        check_choice("FusedMBConv.counts_from", self.counts_from, get_args(CountsFrom))

    def expanded(self, c_in: Number, c_out: Number) -> Any:
        """Channels of the k x k convolution, for ``c_in`` into the block and ``c_out`` out of it."""
        return c_out if self.expansion == 1 else _widened(self._base(c_in, c_out), self.expansion)

    def squeezed(self, c_in: Number, c_out: Number) -> Any:
        """Channels between the two layers of the squeeze-excitation: truncated, at least 1."""
        return at_least(1, floor(self._base(c_in, c_out) * self.se_ratio))

    def _base(self, c_in: Number, c_out: Number) -> Any:
        if self.counts_from == "folded":
            return at_least(1, floor(c_in / FOLD))
        return c_in if self.counts_from == "input" else c_out


@dataclass(frozen=True, kw_only=True, slots=True)
class CondMBConv:
    """MBConv with mixed kernels (CondConv, Yang et al. 2019): each image's own sum of those of ``experts``.

    The weights of the sum are a sigmoid of a linear layer on the mean of the block's input, the same for the
    block's three convolutions. Squeeze-excitation as in EfficientNet.
    """

    kernel: int
    expansion: int
    experts: int
    se_ratio: float = 0.25
    skip: bool = True

    def __post_init__(self) -> None:
        for name in ("expansion", "experts"):
            check_whole(f"CondMBConv.{name}", getattr(self, name))
        check_odd("CondMBConv.kernel", self.kernel)
        _check_rest(self)

    def squeezed(self, c_in: Number) -> Any:
        """Channels between the two layers of the squeeze-excitation, for ``c_in`` into the block."""
        return at_least(1, floor(c_in * self.se_ratio))


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthwiseSeparable:
    """MobileNetV1's block (Howard et al. 2017): depthwise k x k, then 1x1, each activated; its input is never added."""

    kernel: int

    def __post_init__(self) -> None:
        check_odd("DepthwiseSeparable.kernel", self.kernel)


@dataclass(frozen=True, kw_only=True, slots=True)
class BasicBlock:
    """The block of ResNet-18 and 34 (He et al. 2016): k x k with the stride, k x k; input added, activation.

    Where stride or channels change, the input passes a 1x1 convolution and norm (the projection) before it is added.
    """

    kernel: int = 3

    def __post_init__(self) -> None:
        check_odd("BasicBlock.kernel", self.kernel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bottleneck:
    """ResNet's block (He et al. 2016): 1x1 to a ``reduction``-th of its output, k x k, 1x1; input added, activation.

    The stride is the k x k convolution's ("v1.5"), not the first 1x1's as in the paper. Where stride or
    channels change, the input passes a 1x1 convolution and norm (the projection) before it is added;
    ``pool_shortcut``: a mean over stride x stride squares takes its stride (ResNet-D, He et al. 2019).
    ``se_ratio`` is a share of the block's *output* channels, truncated, at least 1, for a squeeze-excitation
    after the last norm; 0 means none.
    """

    kernel: int = 3
    reduction: int = 4
    se_ratio: float = field(default=0.0, metadata=LATER)
    pool_shortcut: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        check_odd("Bottleneck.kernel", self.kernel)
        check_whole("Bottleneck.reduction", self.reduction)
        check_number("Bottleneck.se_ratio", self.se_ratio, lambda x: 0 <= x <= 1, _SHARE)
        check_yes_or_no("Bottleneck.pool_shortcut", self.pool_shortcut)

    def reduced(self, c_out: Number) -> Any:
        """Channels of the k x k convolution, for ``c_out`` out of the block: truncated, at least 1."""
        return at_least(1, floor(c_out / self.reduction))

    def squeezed(self, c_out: Number) -> Any:
        """Channels between the two layers of the squeeze-excitation, for ``c_out`` out of the block."""
        return at_least(1, floor(c_out * self.se_ratio))


Block: TypeAlias = MBConv | FusedMBConv | CondMBConv | DepthwiseSeparable | BasicBlock | Bottleneck

BLOCKS: dict[str, type[Block]] = {
    kind.__name__: kind for kind in (MBConv, FusedMBConv, CondMBConv, DepthwiseSeparable, BasicBlock, Bottleneck)
}
"""Every kind of block, by the name that stands in JSON."""


def later(block: Block) -> Block:
    """The block as it is repeated: all but the first of a stage neither enter nor leave space-to-depth."""
    if isinstance(block, MBConv) and block.space_to_depth:
        return replace(block, space_to_depth=False)
    if isinstance(block, FusedMBConv) and block.counts_from == "folded":
        return replace(block, counts_from="input")
    return block


def _widened(channels: Number, expansion: float) -> Any:
    return channels * expansion if isinstance(expansion, int) else _EIGHTS.channels(channels * expansion)


def _check_expansion(block: MBConv | FusedMBConv) -> None:
    """RequestError unless it is a number from 1; a whole one becomes an int, so that equal values are written alike."""
    name = f"{type(block).__name__}.expansion"
    value: object = block.expansion
    if not isinstance(value, float):
        check_whole(name, value)
        return
    check_number(name, value, lambda x: 1 <= x <= 1000, "lie in 1..1000")
    if value.is_integer():
        object.__setattr__(block, "expansion", int(value))


def _check_rest(block: MBConv | FusedMBConv | CondMBConv) -> None:
    kind = type(block).__name__
    check_yes_or_no(f"{kind}.skip", block.skip)
    check_number(f"{kind}.se_ratio", block.se_ratio, lambda x: 0 <= x <= 1, _SHARE)
    activation = getattr(block, "activation", None)
    if activation is not None:
        check_choice(f"{kind}.activation", activation, get_args(Activation))
