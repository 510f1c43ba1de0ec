"""The adapter to Keras Applications' EfficientNets (keras 3.15 ``efficientnet.py``, ``efficientnet_v2.py``): names.

A block is named by its stage from 1 and its place there by a letter (``block2b_``), its layers by what they do. A
file of Keras 3 numbers the layers of each class instead, in the network's order, and may or may not tell their names.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from compoundnet import zoo
from compoundnet.architecture import Architecture, FusedMBConv
from compoundnet.preprocessing import IMAGENET_STD, Preprocessing
from compoundnet.weights.axes import is_depthwise
from compoundnet.weights.parts import Place, places

__all__ = ["LEAVES", "class_of", "modules", "modules_by_class", "normalises_inside", "preprocessing"]

LEAVES = {
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("depthwise_kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "dense": ("kernel", "bias"),
    "normalization": ("mean", "variance", "count"),
}
"""The arrays of a layer of each class, in the order in which Keras 3 numbers them."""

_OUTER = {
    "stem.conv": "stem_conv",
    "stem.norm": "stem_bn",
    "head.conv": "top_conv",
    "head.norm": "top_bn",
    "classifier": "predictions",
}
_EXPAND = {"conv": "expand_conv", "norm": "expand_bn"}
_PROJECT = {"conv": "project_conv", "norm": "project_bn"}
_PARTS = {
    "expand": _EXPAND,
    "squeeze_excite": {"reduce": "se_reduce", "expand": "se_expand"},
    "project": _PROJECT,
}


def modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    """Every module of ours that has tensors, with its name in Keras, in the order of Keras' layers."""
    outer = iter(_OUTER.items())
    yield next(outer)
    yield next(outer)
    for place in places(arch, "Keras"):
        block = f"block{place.stage + 1}{chr(ord('a') + place.repeat)}_"
        for part in place.parts:
            for ours, theirs in _names(part, place, arch).items():
                yield f"{place.ours}.{part}.{ours}", f"{block}{theirs}"
    yield from outer


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


def normalises_inside(arch: Architecture) -> bool:
    """Whether Keras' network begins with a normalisation that is stored: V1's, which has no fused block, does."""
    return not any(isinstance(stage.block, FusedMBConv) for stage in arch.stages)


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
    r, g, b = (_shortest(s) for s in std)
    return replace(zoo.preprocessing(arch), mean=(red, green, blue), std=(r, g, b))


def _names(part: str, place: Place, arch: Architecture) -> dict[str, str]:
    if part == "depthwise":  # V2's code has "dwconv2"
        return {"conv": "dwconv" if normalises_inside(arch) else "dwconv2", "norm": "bn"}
    if part == "fused":
        return _EXPAND if "project" in place.parts else _PROJECT
    return _PARTS[part]


def _shortest(value: float) -> float:
    """The decimal number that a float32 stands for: 0.485, not 0.48500001430511475."""
    return float(f"{value:.7g}")
