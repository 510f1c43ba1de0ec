"""MBConv with mixed kernels (CondConv, Yang et al. 2019): every image is convolved with a sum of experts of its own."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet.architecture import Architecture, CondMBConv
from compoundnet.nn.layers import ACTIVATIONS, SqueezeExcite, StochasticDepth, pad_like_tensorflow

__all__ = ["MixedConv", "MixedConvNormAct", "MixedModule", "Routing"]


class Routing(nn.Module):
    """How much each expert counts for each image: the sigmoid of a linear layer on the mean of the map."""

    def __init__(self, c_in: int, experts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(c_in, experts)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, experts), each in 0..1."""
        return torch.sigmoid(self.linear(x.mean((2, 3))))

    def initialise(self) -> None:
        """As Keras' dense layers start: U(-1, 1) * sqrt(6 / (c_in + experts)), bias 0."""
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)


class MixedConv(nn.Module):
    """k x k convolution of each image with its own kernel, padded as :class:`compoundnet.nn.layers.Conv` is.

    ``weight`` is (experts, elements of a kernel): the kernels of a batch are one product of matrices, and one
    convolution with a group for each image applies them.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int, arch: Architecture, experts: int, groups: int = 1
    ) -> None:
        super().__init__()
        self.stride, self.groups = stride, groups
        self.shape = (c_out, c_in // groups, kernel, kernel)
        self.pads_by_size = arch.pads(kernel, stride)
        self.weight = nn.Parameter(torch.empty(experts, math.prod(self.shape)))
        self.bias: nn.Parameter | None = None  # (c_out), the same for every image, once a norm has been folded in
        self.initialise()

    def forward(self, x: Tensor, routing: Tensor) -> Tensor:
        """(N, c_in, H, W) and (N, experts) -> (N, c_out, ceil(H / stride), ceil(W / stride))."""
        c_out, per_group, kernel, _ = self.shape
        if self.pads_by_size:
            x = pad_like_tensorflow(x, kernel, self.stride)
        count, _, height, width = x.shape
        kernels = torch.mm(routing, self.weight).view(count * c_out, per_group, kernel, kernel)
        y = F.conv2d(
            x.reshape(1, -1, height, width), kernels, None if self.bias is None else self.bias.repeat(count),
            stride=self.stride, padding=0 if self.pads_by_size else kernel // 2, groups=count * self.groups,
        )  # fmt: skip
        return y.view(count, c_out, y.shape[2], y.shape[3])

    def initialise(self) -> None:
        """Each expert as a convolution starts: N(0, 2 / (k * k * c_out)), a depthwise one with c_out = 1."""
        c_out, _, kernel, _ = self.shape
        nn.init.normal_(self.weight, std=math.sqrt(2 / (kernel * kernel * (c_out // self.groups))))


class MixedConvNormAct(nn.Module):
    """Mixed convolution, batch norm and, unless ``linear``, the network's activation."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, arch: Architecture, experts: int,
                 groups: int = 1, linear: bool = False) -> None:  # fmt: skip
        super().__init__()
        self.conv = MixedConv(c_in, c_out, kernel, stride, arch, experts, groups)
        self.norm: nn.Module = nn.BatchNorm2d(c_out, eps=arch.norm.eps, momentum=arch.norm.momentum)
        self.act = nn.Identity() if linear else ACTIVATIONS[arch.activation]()

    def forward(self, x: Tensor, routing: Tensor) -> Tensor:
        """(N, c_in, H, W) and (N, experts) -> (N, c_out, H', W')."""
        y: Tensor = self.act(self.norm(self.conv(x, routing)))
        return y


class MixedModule(nn.Module):
    """The block: routing from its input, then MBConv's parts; the input is added where that can be."""

    def __init__(
        self, block: CondMBConv, c_in: int, c_out: int, stride: int, drop_path: float, arch: Architecture
    ) -> None:
        super().__init__()
        c_mid, experts = c_in * block.expansion, block.experts
        self.routing = Routing(c_in, experts)
        self.expand = MixedConvNormAct(c_in, c_mid, 1, 1, arch, experts) if block.expansion != 1 else None
        self.depthwise = MixedConvNormAct(c_mid, c_mid, block.kernel, stride, arch, experts, groups=c_mid)
        self.squeeze_excite = SqueezeExcite(c_mid, block.squeezed(c_in), arch) if block.se_ratio else nn.Identity()
        self.project = MixedConvNormAct(c_mid, c_out, 1, 1, arch, experts, linear=True)
        self.adds_input = block.skip and stride == 1 and c_in == c_out
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))."""
        routing = self.routing(x)  # (N, experts)
        y: Tensor = x if self.expand is None else self.expand(x, routing)
        y = self.depthwise(y, routing)
        y = self.squeeze_excite(y)
        y = self.project(y, routing)
        return x + self.drop_path(y) if self.adds_input else y
