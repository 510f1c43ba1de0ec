"""Batch norms folded into the convolutions before them: the same function in evaluation, fewer passes over memory."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from compoundnet.nn.blocks import BottleneckModule
from compoundnet.nn.layers import ConvNormAct
from compoundnet.nn.network import Network

__all__ = ["folded"]


def folded(network: Network) -> Network:
    """A copy for inference alone: norms folded, activations in place, gradients off. Equal but for float rounding."""
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    for part in fast.modules():
        if isinstance(part, ConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.norm = nn.Identity()
        if isinstance(part, (ConvNormAct, BottleneckModule)) and not isinstance(part.act, nn.Identity):
            part.act.inplace = True  # type: ignore[assignment]  # a convolution's output, or a sum: nobody else's
    return fast
