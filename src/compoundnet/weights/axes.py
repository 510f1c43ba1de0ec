"""The rules between TensorFlow's arrays and torch's tensors, by kind of layer: names of the numbers, order of axes.

Kernels are H W I O there and O I H W here; depthwise ones H W C 1 there and C 1 H W here; dense ones I O and O I.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["from_torch", "is_depthwise", "leaf_of", "to_torch"]

_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_KERNELS = ("kernel", "depthwise_kernel")

# By kind: from theirs to ours, from ours to theirs.
_AXES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "conv": ((3, 2, 0, 1), (2, 3, 1, 0)),
    "depthwise": ((2, 3, 0, 1), (2, 3, 0, 1)),
    "dense": ((1, 0), (1, 0)),
}


def is_depthwise(layer: str, leaf: str = "") -> bool:
    """Whether a layer of that name is a depthwise convolution, in Keras and in the original code."""
    return leaf == "depthwise_kernel" or "dwconv" in layer or "depthwise" in layer


def to_torch(layer: str, leaf: str, array: NDArray[Any]) -> tuple[str, Tensor]:
    """``layer`` with torch's name of ``leaf``, and the array in torch's order of axes; other leaves stay."""
    if leaf in _KERNELS:
        kind = "dense" if array.ndim == 2 else "depthwise" if is_depthwise(layer, leaf) else "conv"
        axes = _AXES[kind][0]
        array = array.transpose(axes) if len(axes) == array.ndim else array
        leaf = "weight"
    else:
        leaf = next((ours for ours, theirs in _NORM.items() if theirs == leaf), leaf)
    return f"{layer}.{leaf}", torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def from_torch(module: str, tensor: Tensor, leaf: str) -> NDArray[Any]:
    """The tensor ``leaf`` of our ``module`` in their order of axes, float32."""
    array: NDArray[Any] = tensor.detach().to("cpu", torch.float32).numpy()
    if leaf != "weight" or array.ndim == 1:
        return array
    kind = "dense" if array.ndim == 2 else "depthwise" if is_depthwise(module) else "conv"
    return np.ascontiguousarray(array.transpose(_AXES[kind][1]))


def leaf_of(module: str, leaf: str) -> str:
    """Their name of the tensor ``leaf`` of our ``module``: ``gamma`` for a norm's ``weight``, else ``kernel``."""
    if module.endswith("norm"):
        return _NORM[leaf]
    return "bias" if leaf == "bias" else "depthwise_kernel" if is_depthwise(module) else "kernel"
