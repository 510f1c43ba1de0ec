"""AmoebaNet-D (Real et al. 2018, arXiv:1802.01548) in the sizes of GPipe (Huang et al. 2019, arXiv:1811.06965).

The cells are read from two tables. Where the paper and tensorflow/tpu ``models/official/amoeba_net`` differ (which
states a normal cell puts together), the latter counts, as in torchgpipe's benchmarks: with it the parameters are
those that the GPipe paper gives. The auxiliary classifier of its training is left out (docs/decisions/042).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from compoundnet.nn.layers import initialise

__all__ = ["Cell", "CellType", "First", "amoebanet_d"]

States = tuple[Tensor, Tensor]
"""What a cell leaves to the next: its own output, and that of the cell before it."""

_EPS = 1e-3  # tensorflow/tpu amoeba_net_model.py; its decay of 0.9997 is for millions of steps, so torch's 0.1 here
_REDUCTIONS_IN_STEM = 2


class CellType(NamedTuple):
    """A genotype: five sums of two operations, each (state that it takes, operation), and the states put together.

    States 0 and 1 are the outputs of the last cell and of the one before it; each sum adds a state.
    """

    stride: int  # of operations on states 0 and 1
    sums: tuple[tuple[tuple[int, str], tuple[int, str]], ...]
    together: tuple[int, ...]


_NORMAL = CellType(
    1,
    (
        ((1, "conv_1x1"), (1, "max_pool_3x3")),
        ((1, "none"), (0, "conv_1x7_7x1")),
        ((0, "conv_1x1"), (0, "conv_1x7_7x1")),
        ((2, "max_pool_3x3"), (2, "none")),
        ((1, "avg_pool_3x3"), (5, "conv_1x1")),
    ),
    (0, 3, 4, 6),
)
_REDUCTION = CellType(
    2,
    (
        ((0, "max_pool_2x2"), (0, "max_pool_3x3")),
        ((2, "none"), (1, "conv_3x3")),
        ((2, "conv_1x7_7x1"), (2, "max_pool_3x3")),
        ((3, "none"), (1, "max_pool_2x2")),
        ((2, "avg_pool_3x3"), (3, "conv_1x1")),
    ),
    (4, 5, 6),
)


def _conv(c_in: int, c_out: int, kernel: tuple[int, int] = (1, 1), stride: tuple[int, int] = (1, 1)) -> list[nn.Module]:
    """ReLU, convolution, norm."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    convolution = nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False)
    return [nn.ReLU(), convolution, nn.BatchNorm2d(c_out, eps=_EPS)]


def _narrow(c: int, *kernels: tuple[tuple[int, int], tuple[int, int]]) -> nn.Module:
    """Convolutions (kernel, stride) between a quarter of the channels, with a 1 x 1 convolution before and after."""
    inner = (part for kernel, stride in kernels for part in _conv(c // 4, c // 4, kernel, stride))
    return nn.Sequential(*_conv(c, c // 4), *inner, *_conv(c // 4, c))


_OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {  # of channels and stride
    "none": lambda c, stride: nn.Identity() if stride == 1 else nn.Sequential(*_conv(c, c, stride=(stride, stride))),
    "conv_1x1": lambda c, stride: nn.Sequential(*_conv(c, c, stride=(stride, stride))),
    "conv_3x3": lambda c, stride: _narrow(c, ((3, 3), (stride, stride))),
    "conv_1x7_7x1": lambda c, stride: _narrow(c, ((1, 7), (1, stride)), ((7, 1), (stride, 1))),
    "max_pool_3x3": lambda _, stride: nn.MaxPool2d(3, stride, 1),
    "max_pool_2x2": lambda _, stride: nn.MaxPool2d(2, stride, ceil_mode=True),
    "avg_pool_3x3": lambda _, stride: nn.AvgPool2d(3, stride, 1, count_include_pad=False),
}


class _Halved(nn.Module):
    """ReLU, two 1 x 1 convolutions of stride 2 on grids one pixel apart, put together, norm.

    So no pixel is lost. tensorflow/tpu ``network_utils.factorized_reduction``.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(c_in, c_out // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(c_out, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / 2), ceil(W / 2))."""
        x = x.relu()
        shifted = nn.functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        y: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], 1))
        return y


class Cell(nn.Module):
    """One cell: (last, one before) -> (its output, last). Stride 2 and twice the width in a reduction cell."""

    def __init__(self, kind: CellType, c_last: int, c_before: int, c: int, halves_before: bool) -> None:
        super().__init__()
        self.kind = kind
        self.channels = c * len(kind.together)
        self.last = nn.Sequential(*_conv(c_last, c))
        self.before: nn.Module = nn.Identity()
        if halves_before:  # the cell in between was a reduction
            self.before = _Halved(c_before, c)
        elif c_before != c:
            self.before = nn.Sequential(*_conv(c_before, c))
        self.operations = nn.ModuleList(
            _OPERATIONS[name](c, kind.stride if state < 2 else 1) for pair in kind.sums for state, name in pair
        )

    def forward(self, given: States) -> States:
        """((N, c_last, H, W), (N, c_before, H or 2 H, ...)) -> ((N, c * len(together), H', W'), the first given)."""
        last, before = given
        states = [self.last(last), self.before(before)]
        for i, ((a, _), (b, _)) in enumerate(self.kind.sums):
            states.append(self.operations[2 * i](states[a]) + self.operations[2 * i + 1](states[b]))
        return torch.cat([states[i] for i in self.kind.together], 1), last


class _Stem(nn.Module):
    """A 3 x 3 convolution of stride 2 and its norm, twice in the tuple that the first cell takes."""

    def __init__(self, in_channels: int, c: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, c, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(c, eps=_EPS)

    def forward(self, x: Tensor) -> States:
        """(N, in_channels, H, W) -> twice (N, c, ceil(H / 2), ceil(W / 2))."""
        y = self.norm(self.conv(x))
        return y, y


class First(nn.Module):
    """After the last cell: its output alone, rectified."""

    def forward(self, given: States) -> Tensor:
        """((N, C, H, W), anything) -> (N, C, H, W)."""
        return given[0].relu()


def amoebanet_d(layers: int, filters: int, in_channels: int = 3) -> tuple[nn.Sequential, int]:
    """Stem and cells of AmoebaNet-D(layers, filters), one after another, and the channels of the last one's output.

    (N, in_channels, H, W) -> a tuple whose first is (N, channels, H / 32, W / 32); :class:`First` takes it. For 18
    layers that are 23 modules: a stem, two reductions to an eighth of the side, and three groups of six normal cells
    with a reduction before the second and the third. Widths double at each reduction, from ``filters / 4`` in the
    stem. Convolutions pad alike on both sides.
    """
    cells = list(_cells(layers, filters // 4))
    sequence = nn.Sequential(_Stem(in_channels, filters // 4), *cells)
    return sequence.apply(initialise), cells[-1].channels  # N(0, 2 / fan out), as there


def _cells(layers: int, stem: int) -> Iterator[Cell]:
    c, c_last, c_before, halves_before = stem, stem, stem, False
    group = [_NORMAL] * (layers // 3)
    for kind in (*[_REDUCTION] * _REDUCTIONS_IN_STEM, *group, _REDUCTION, *group, _REDUCTION, *group):
        c *= kind.stride
        cell = Cell(kind, c_last, c_before, c, halves_before)
        yield cell
        c_before, c_last, halves_before = c_last, cell.channels, kind.stride > 1
