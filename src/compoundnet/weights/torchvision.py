"""The adapter to torchvision's EfficientNets (``torchvision/models/efficientnet.py``, 0.29): a numbering rule.

There everything is numbered by its place: a block's convolutions in order, in each the kernel 0 and the norm 1.
B0 to B4 are timm's own weights; B5 to B7 and V2 were trained with TensorFlow's norm, and all pad symmetrically.
"""

from collections.abc import Iterator

from compoundnet import zoo
from compoundnet.architecture import Architecture, Norm
from compoundnet.weights.conventions import Convention, same_layers
from compoundnet.weights.parts import Place, places

__all__ = ["convention", "modules"]

# torchvision 0.29 models/efficientnet.py: ``norm_layer`` of each builder. eps, momentum.
_NORMS = {
    **dict.fromkeys(("b0", "b1", "b2", "b3", "b4"), Norm(eps=1e-5, momentum=0.1)),
    **dict.fromkeys(("b5", "b6", "b7"), Norm(eps=1e-3, momentum=0.01)),
    **dict.fromkeys(("v2_s", "v2_m", "v2_l"), Norm(eps=1e-3, momentum=0.1)),
}


def convention(arch: Architecture) -> Convention:
    """The padding of torchvision's networks and, where ``arch`` has the layers of one of them, its norm."""
    norms = (norm for size, norm in _NORMS.items() if same_layers(arch, zoo.architecture(_zoo_name(size))))
    return Convention("symmetric", next(norms, None))


def modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    """Every module of ours that has tensors, with torchvision's name of it."""
    yield "stem.conv", "features.0.0"
    yield "stem.norm", "features.0.1"
    for place in places(arch, "torchvision"):
        yield from _block(place)
    last = len(arch.stages) + 1
    yield "head.conv", f"features.{last}.0"
    yield "head.norm", f"features.{last}.1"
    yield "classifier", "classifier.1"


def _block(place: Place) -> Iterator[tuple[str, str]]:
    for i, part in enumerate(place.parts):
        theirs = f"features.{place.stage + 1}.{place.repeat}.block.{i}"
        names = ("reduce", "fc1", "expand", "fc2") if part == "squeeze_excite" else ("conv", "0", "norm", "1")
        yield f"{place.ours}.{part}.{names[0]}", f"{theirs}.{names[1]}"
        yield f"{place.ours}.{part}.{names[2]}", f"{theirs}.{names[3]}"


def _zoo_name(size: str) -> str:
    return f"efficientnet{size}" if size.startswith("v2") else f"efficientnet_{size}"
