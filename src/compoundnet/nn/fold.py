"""Batch norms folded into the convolutions before them: the same function in evaluation, fewer passes over memory."""

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from compoundnet.nn.layers import ConvNormAct
from compoundnet.nn.mixed import MixedConv, MixedConvNormAct
from compoundnet.nn.residual import ResidualModule

__all__ = ["folded"]

_Module = TypeVar("_Module", bound=nn.Module)


def folded(network: _Module) -> _Module:
    """A copy for inference alone: norms folded, activations in place, gradients off. Equal but for float rounding."""
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    for part in fast.modules():
        if isinstance(part, ConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            part.conv = fuse_conv_bn_eval(part.conv, part.norm)
            part.norm = nn.Identity()
        if isinstance(part, MixedConvNormAct) and isinstance(part.norm, nn.BatchNorm2d):
            _fold_mixed(part.conv, part.norm)
            part.norm = nn.Identity()
        if isinstance(part, (ConvNormAct, MixedConvNormAct, ResidualModule)) and not isinstance(part.act, nn.Identity):
            part.act.inplace = True  # type: ignore[assignment]  # a convolution's output, or a sum: nobody else's
    return fast


def _fold_mixed(conv: MixedConv, norm: nn.BatchNorm2d) -> None:
    """Each expert's kernel scaled, and one bias for all: a mixture of them is then scaled alike."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()  # (c_out)
    experts = conv.weight.view(len(conv.weight), len(scale), -1) * scale[:, None]
    conv.weight = nn.Parameter(experts.flatten(1), requires_grad=False)
    conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale, requires_grad=False)
