"""The parts of a block. Shapes are N C H W throughout."""

import math
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet.architecture import Activation, Architecture

__all__ = ["ACTIVATIONS", "Conv", "ConvNormAct", "LinearAct", "SqueezeExcite", "StochasticDepth", "initialise"]
__all__ += ["OwnStart", "pad_like_tensorflow"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
}
"""The modules of an architecture's activations."""


class Conv(nn.Conv2d):
    """k x k convolution, output side ceil(side / stride), padded symmetrically or like TensorFlow.

    TensorFlow's "same" pads ``(ceil(n / s) - 1) * s + k - n`` in all, the smaller half first: for
    stride 2, even n and k = 3 that is (0, 1). For stride 1 and odd k both rules are k // 2 on each side;
    for k = 1 neither pads. An even k is padded like TensorFlow always.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, arch: Architecture, groups: int = 1) -> None:
        self.pads_by_size = arch.pads(kernel, stride)
        pad = 0 if self.pads_by_size else kernel // 2
        super().__init__(c_in, c_out, kernel, stride, pad, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))."""
        return super().forward(pad_like_tensorflow(x, self.kernel_size[0], self.stride[0]) if self.pads_by_size else x)


def pad_like_tensorflow(x: Tensor, kernel: int, stride: int) -> Tensor:
    """(N, C, H, W) padded with zeros as :class:`Conv` says."""
    across, down = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (x.shape[3], x.shape[2]))
    return F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))


class ConvNormAct(nn.Module):
    """Convolution, batch norm and, unless ``linear``, an activation: by default the network's."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, arch: Architecture, groups: int = 1,
                 linear: bool = False, activation: Activation | None = None) -> None:  # fmt: skip
        super().__init__()
        self.conv: nn.Conv2d = Conv(c_in, c_out, kernel, stride, arch, groups)
        self.norm: nn.Module = nn.BatchNorm2d(c_out, eps=arch.norm.eps, momentum=arch.norm.momentum)
        self.act = nn.Identity() if linear else ACTIVATIONS[activation or arch.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, H', W')."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y


class SqueezeExcite(nn.Module):
    """Channel gates from the global mean (Hu et al. 2018): mean, reduce, activation, expand, sigmoid.

    The activation is the network's unless one is given; the gate may be a hard sigmoid, as in MobileNetV3.
    """

    def __init__(self, channels: int, squeezed: int, arch: Architecture, activation: Activation | None = None,
                 gate: Literal["sigmoid", "hardsigmoid"] = "sigmoid") -> None:  # fmt: skip
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.act = ACTIVATIONS[activation or arch.activation]()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid() if gate == "sigmoid" else nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        pooled = x.mean((2, 3), keepdim=True)  # N C 1 1
        gates: Tensor = self.gate(self.expand(self.act(self.reduce(pooled))))  # N C 1 1
        return x * gates


class LinearAct(nn.Module):
    """Linear layer and the network's activation, as between MobileNetV3's pooling and its classifier."""

    def __init__(self, c_in: int, c_out: int, arch: Architecture) -> None:
        super().__init__()
        self.linear = nn.Linear(c_in, c_out)
        self.act = ACTIVATIONS[arch.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in) -> (N, c_out)."""
        y: Tensor = self.act(self.linear(x))
        return y


class StochasticDepth(nn.Module):
    """In training, drops a whole sample's branch with probability ``rate``, scales the rest by 1/(1 - rate).

    Huang et al. 2016; ``drop_connect`` of tensorflow/tpu ``efficientnet/utils.py``.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(keep).div_(keep)


@runtime_checkable
class OwnStart(Protocol):
    """A layer that starts otherwise than :func:`initialise` has it."""

    def initialise(self) -> None:
        """Start values, in place; what it is made of has been initialised."""


def initialise(module: nn.Module) -> None:
    """The original code's start, in place, for one layer (tensorflow/tpu ``efficientnet_model.py``).

    Convolutions N(0, 2 / (k * k * c_out)), untruncated, where a depthwise one counts c_out = 1;
    linear U(-1, 1) / sqrt(outputs); biases 0. Norms start at 1 and 0 by themselves, mixed kernels and their
    routing as they say.
    """
    if isinstance(module, OwnStart):
        module.initialise()
    elif isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
    elif isinstance(module, nn.Linear):
        bound = 1 / math.sqrt(module.out_features)
        nn.init.uniform_(module.weight, -bound, bound)
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)
