"""The adapter to Keras Applications' EfficientNets (keras 3.15 ``efficientnet.py``, ``efficientnet_v2.py``): names.

A block is named by its stage from 1 and its place there by a letter (``block2b_``), its layers by what they do. A
file of Keras 3 numbers the layers of each class instead, in the network's order, and may or may not tell their names.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.keras_names import CLASSIFIER, SQUEEZE_EXCITE, STEM, TOP, LayerNames, block_prefix, part_names
from compoundnet.preprocessing import IMAGENET_STD, Preprocessing
from compoundnet.weights.axes import is_depthwise
from compoundnet.weights.parts import places

__all__ = ["LEAVES", "class_of", "modules", "modules_by_class", "preprocessing"]

LEAVES = {
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("depthwise_kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
    "normalization": ("mean", "variance", "count"),
}
"""The arrays of a layer of each class, in the order in which Keras 3 numbers them."""


def modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    """Every module of ours that has tensors, with its name in Keras, in the order of Keras' layers."""
    yield from _layers("stem", STEM)
    for place in places(arch, "Keras"):
        prefix, names = block_prefix(place.stage, place.repeat), part_names(place.block, arch)
        for part in place.parts:
            if part == "squeeze_excite":
                yield from ((f"{place.ours}.{ours}", prefix + layer) for layer, ours in SQUEEZE_EXCITE.items())
            else:
                yield from _layers(f"{place.ours}.{part}", names[part].within(prefix))
    yield from _layers("head", TOP)
    yield "classifier", CLASSIFIER


def modules_by_class(arch: Architecture) -> Iterator[tuple[str, str]]:
    """As :func:`modules`, with the names under which a file of Keras 3 keeps them: ``conv2d_12``."""
    seen: Counter[str] = Counter()
    for ours, _ in modules(arch):
        kind = class_of(ours)
        yield ours, f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1


def class_of(module: str) -> str:
    """The Keras class, in its snake case, of a module of ours."""
    if module.endswith("norm"):
        return "batch_normalization"
    if module == "classifier":
        return "dense"
    return "depthwise_conv2d" if is_depthwise(module) else "conv2d"


def preprocessing(mean: Sequence[float], variance: Sequence[float], arch: Architecture) -> Preprocessing:
    """What V1's normalisation layer does to images of 0..1, by its stored numbers, three each.

    It divides by the root of ``variance``. Where that is ImageNet's deviation (.229, .224, .225), as in every
    published file, it was stored in the variance's place, the weights were trained on images divided by it once,
    and Keras puts the other root into a layer that has no numbers (tensorflow/tensorflow#49930).
    Size, crop and interpolation, of which the file says nothing, are those of :func:`compoundnet.zoo.preprocessing`.

    Raises:
        RequestError: a deviation that is not positive.
    """
    quirk = all(math.isclose(v, std, rel_tol=1e-4) for v, std in zip(variance, IMAGENET_STD, strict=True))
    std = variance if quirk else [math.sqrt(max(v, 0.0)) for v in variance]
    red, green, blue = (_shortest(m) for m in mean)
    r, g, b = (_shortest(s) if quirk else _root(s, v) for s, v in zip(std, variance, strict=True))
    return replace(zoo.preprocessing(arch), mean=(red, green, blue), std=(r, g, b))


def _layers(module: str, names: LayerNames) -> Iterator[tuple[str, str]]:
    yield f"{module}.conv", names.conv
    yield f"{module}.norm", names.norm


def _root(deviation: float, variance: float) -> float:
    """The deviation in few digits, unless its square would then be another float32 than the file's."""
    short = _shortest(deviation)
    return short if np.float32(short**2) == np.float32(variance) else deviation


def _shortest(value: float) -> float:
    """The decimal number that a float32 stands for: 0.485, not 0.48500001430511475."""
    return float(f"{value:.7g}")
