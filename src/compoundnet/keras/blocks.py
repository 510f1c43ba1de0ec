"""Block values -> Keras layers. A new kind is a function here, a row in ``_KINDS``, and its names in ``names.py``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compoundnet.architecture import (
    FOLD,
    Activation,
    Architecture,
    BasicBlock,
    Block,
    Bottleneck,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
)
from compoundnet.keras.layers import ACTIVATIONS, add, conv_norm_act, mean_pool, squeeze_excite
from compoundnet.keras.library import keras
from compoundnet.keras_names import LayerNames, part_names

__all__ = ["Place", "block_layers"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in the network a block stands: its channels out, stride and stochastic depth, what its names begin with."""

    arch: Architecture
    prefix: str
    channels: int
    stride: int
    drop_path: float

    def part(self, x: Any, block: Block, name: str, channels: int, kernel: int = 1, stride: int = 1,
             depthwise: bool = False, linear: bool = False) -> Any:  # fmt: skip
        """Convolution, norm and activation of one of our parts (``expand``, ``project``), under Keras' names."""
        names: LayerNames = part_names(block, self.arch)[name].within(self.prefix)
        act = getattr(block, "activation", None)
        return conv_norm_act(
            x, channels, kernel, stride, names, self.arch, depthwise=depthwise, linear=linear, activation=act
        )

    def activation(self, block: Block) -> Activation:
        """The block's own, or the network's."""
        return getattr(block, "activation", None) or self.arch.activation


def block_layers(x: Any, block: Block, at: Place) -> Any:
    """The layers of a block after ``x``: (N, H, W, C) -> (N, ceil(H / stride), ceil(W / stride), channels).

    Raises:
        RequestError: a kind of block that has no Keras layers here.
    """
    part_names(block, at.arch)  # which raises
    return _KINDS[type(block)](x, block, at)


def _mbconv(x: Any, block: MBConv, at: Place) -> Any:
    c_in, y, stride = x.shape[-1], x, at.stride
    c_mid, hard = block.expanded(c_in), block.squeeze == "mobilenetv3"
    if block.space_to_depth:
        y, stride = at.part(y, block, "space_to_depth", c_in * FOLD, 2, stride), 1
    if block.expansion != 1:
        y = at.part(y, block, "expand", c_mid)
    y = at.part(y, block, "depthwise", c_mid, block.kernel, stride, depthwise=True)
    if block.se_ratio:
        act = "relu" if hard else at.activation(block)
        y = squeeze_excite(y, block.squeezed(c_in), at.prefix, act, hard)
    y = at.part(y, block, "project", at.channels, linear=True)
    return _with_input(x, y, block.skip, at)


def _fused_mbconv(x: Any, block: FusedMBConv, at: Place) -> Any:
    c_in, c_out = x.shape[-1], at.channels
    y = at.part(x, block, "fused", block.expanded(c_in, c_out), block.kernel, at.stride)
    if block.se_ratio:
        y = squeeze_excite(y, block.squeezed(c_in, c_out), at.prefix, at.activation(block))
    if block.expansion != 1:
        y = at.part(y, block, "project", c_out, linear=True)
    return _with_input(x, y, block.skip, at)


def _separable(x: Any, block: DepthwiseSeparable, at: Place) -> Any:
    y = at.part(x, block, "depthwise", x.shape[-1], block.kernel, at.stride, depthwise=True)
    return at.part(y, block, "pointwise", at.channels)


def _basic(x: Any, block: BasicBlock, at: Place) -> Any:
    y = at.part(x, block, "first", at.channels, block.kernel, at.stride)
    y = at.part(y, block, "second", at.channels, block.kernel, linear=True)
    return _residual(x, y, block, at, pools=False)


def _bottleneck(x: Any, block: Bottleneck, at: Place) -> Any:
    c_mid = block.reduced(at.channels)
    y = at.part(x, block, "reduce", c_mid)
    y = at.part(y, block, "spatial", c_mid, block.kernel, at.stride)
    y = at.part(y, block, "expand", at.channels, linear=True)
    if block.se_ratio:
        y = squeeze_excite(y, block.squeezed(at.channels), at.prefix, at.activation(block))
    return _residual(x, y, block, at, pools=block.pool_shortcut)


def _residual(x: Any, y: Any, block: Block, at: Place, pools: bool) -> Any:
    """The sum of the branch ``y`` and the input, or its projection, activated."""
    stride = at.stride
    projects = stride != 1 or x.shape[-1] != at.channels
    if pools and stride != 1:
        x, stride = mean_pool(x, stride, f"{at.prefix}shortcut_pool"), 1
    if projects:
        x = at.part(x, block, "shortcut", at.channels, stride=stride, linear=True)
    y = add(y, x, at.drop_path, at.prefix)
    return keras.layers.Activation(ACTIVATIONS[at.arch.activation], name=f"{at.prefix}activation")(y)


def _with_input(x: Any, y: Any, skip: bool, at: Place) -> Any:
    """``y``, with the block's input added where stride and channels allow and the block skips."""
    fits = at.stride == 1 and x.shape[-1] == at.channels
    return add(y, x, at.drop_path, at.prefix) if skip and fits else y


_KINDS: dict[type, Callable[[Any, Any, Place], Any]] = {
    MBConv: _mbconv,
    FusedMBConv: _fused_mbconv,
    DepthwiseSeparable: _separable,
    BasicBlock: _basic,
    Bottleneck: _bottleneck,
}
