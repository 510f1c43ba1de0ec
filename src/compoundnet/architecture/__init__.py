"""A convolutional network as a value: frozen dataclasses, JSON in and out, no framework.

Describe here, transform with :meth:`Architecture.scaled`, build with :mod:`compoundnet.nn`,
count with :mod:`compoundnet.cost`. The rounding rules live here because all of these need them.
Read rounding, blocks, network, in that order.
"""

from compoundnet.architecture.blocks import (
    FOLD,
    Activation,
    BasicBlock,
    Block,
    Bottleneck,
    CondMBConv,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
)
from compoundnet.architecture.network import Architecture, Norm, Padding, Sizes, Stage
from compoundnet.architecture.rounding import Number, Rounding

__all__ = [
    "FOLD",
    "Activation",
    "Architecture",
    "BasicBlock",
    "Block",
    "Bottleneck",
    "CondMBConv",
    "DepthwiseSeparable",
    "FusedMBConv",
    "MBConv",
    "Norm",
    "Number",
    "Padding",
    "Rounding",
    "Sizes",
    "Stage",
]
