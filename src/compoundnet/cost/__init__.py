"""What an architecture costs: one walk over its layers, for one network or for arrays of candidates.

Only arithmetic that means the same for Python ints and NumPy arrays is used, so that
``cost(arch, depth=..., width=..., resolution=...)`` prices many scalings in one call. No framework.

Memory is eager PyTorch's, in float32, without workspaces of the convolution library. *Inference*
counts the tensors alive at the worst moment of one image's forward pass (the frames of the nested
modules keep their inputs alive), plus the weights; *training* the tensors autograd saves per image.
Read parts, walk, pricing, training, in that order.
"""

from compoundnet.cost.parts import Kind, Layer
from compoundnet.cost.pricing import Cost, cost, layers, layers_of
from compoundnet.cost.training import Optimizer, training_bytes, training_peak_bytes

__all__ = [
    "Cost",
    "Kind",
    "Layer",
    "Optimizer",
    "cost",
    "layers",
    "layers_of",
    "training_bytes",
    "training_peak_bytes",
]
