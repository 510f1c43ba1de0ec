"""The names and shapes that a state dict must have, and what a wrong one looks like."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.cost import cost
from compoundnet.errors import RequestError, plain
from compoundnet.nn.comparators import build_network
from compoundnet.weights import resnet
from compoundnet.zoo.comparators import AnyNetwork

__all__ = [
    "CLASSIFIER",
    "LAYOUTS",
    "Layout",
    "check",
    "detect",
    "expected_shapes",
    "few",
    "looks_like",
    "stored_variant",
]

CLASSIFIER = ("classifier.weight", "classifier.bias")
"""The classifier's names in our layout and in timm's. Both may be absent: then it is a backbone."""

_NAMES_SHOWN = 3
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Layout(NamedTuple):
    """The stem's kernel and the classifier in a layout, and what else, if anything, must be there to know it by."""

    stem: str
    classifier: tuple[str, str] = CLASSIFIER
    mark: str = ""


LAYOUTS = {
    "compoundnet": Layout("stem.conv.weight"),
    "timm": Layout("conv_stem.weight"),
    "torchvision": Layout(
        "features.0.0.weight", ("classifier.1.weight", "classifier.1.bias"), "features.1.0.block.0.0.weight"
    ),
    "lukemelas": Layout("_conv_stem.weight", ("_fc.weight", "_fc.bias")),
    "keras": Layout("stem_conv.weight", ("predictions.weight", "predictions.bias")),
    "keras by class": Layout("conv2d.weight", ("dense.weight", "dense.bias"), "depthwise_conv2d.weight"),
    "tensorflow": Layout("stem/conv2d.weight", ("head/dense.weight", "head/dense.bias")),
    "resnet": Layout("conv1.weight", resnet.CLASSIFIER, "layer1.0.conv1.weight"),
    "resnet, deep stem": Layout("conv1.0.weight", resnet.CLASSIFIER, "layer1.0.conv1.weight"),
}
"""Every layout that is read, by name. Those of Keras and TensorFlow are as their files' readers name the tensors."""


def detect(state: Mapping[str, Tensor], source: str) -> str:
    """Whose names these are, a key of ``LAYOUTS``; RequestError, with some of the names, if nobody's that is known."""
    for name, layout in LAYOUTS.items():
        if layout.stem in state and (not layout.mark or layout.mark in state):
            return name
    wanted = " or ".join(f"{layout.stem} ({name})" for name, layout in LAYOUTS.items())
    raise RequestError(f"{source} is in no layout known here: it has {few(state)}, but no {wanted}")


def stored_variant(arch: Architecture, state: Mapping[str, Tensor], layout: Layout) -> Architecture:
    """``arch`` with the classes and in_channels that a file has, in which it may differ; ``state`` in ``layout``."""
    classifier, stem = state.get(layout.classifier[0]), state.get(layout.stem)
    classes = len(classifier) if classifier is not None and classifier.ndim == 2 else 0
    in_channels = stem.shape[1] if stem is not None and stem.ndim == 4 else 0
    return replace(arch, classes=classes or arch.classes, in_channels=in_channels or arch.in_channels)


def expected_shapes(network: AnyNetwork) -> dict[str, torch.Size]:
    """Name -> shape of a network's whole state, built on the meta device: no memory, no random numbers."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in build_network(network).state_dict().items()}


def check(
    state: Mapping[str, Tensor],
    expected: Mapping[str, torch.Size],
    arch: str,
    source: str,
    classifier: tuple[str, str] = CLASSIFIER,
) -> None:
    """Raise RequestError unless ``state`` has exactly the expected names and shapes.

    Batch counts may be absent (other frameworks have none), and so may the ``classifier``, as a whole.
    """
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    if not any(name in state for name in classifier):
        optional |= set(classifier)
    missing = [name for name in expected if name not in state and name not in optional]
    unexpected = [name for name in state if name not in expected]
    wrong = [
        f"{name} is {tuple(tensor.shape)}, not {tuple(expected[name])}"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name]
    ]
    groups = (("missing", missing), ("unexpected", unexpected), ("wrong shape", wrong))
    found = [f"{len(names)} {group} ({few(names)})" for group, names in groups if names]
    if found:
        raise RequestError(f"{source} does not fit {arch}: {', '.join(found)}{looks_like(state, arch, classifier)}")


def few(names: Iterable[str]) -> str:
    """Some of the names, for people, and how many more there are."""
    names = [plain(name) for name in names]
    rest = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "nothing") + rest


def looks_like(state: Mapping[str, Tensor], arch: str, classifier: tuple[str, str]) -> str:
    """The end of an error: the zoo's architectures, if not ``arch``, with as many parameters before the classifier.

    No two networks there have the same number but twins, which differ in padding, norm or resolution alone.
    """
    own = (name for name in state if name not in classifier and not name.endswith(_STATISTICS))
    count = sum(state[name].numel() for name in own)
    like = [name for name in zoo.list_architectures() if _before_classifier(zoo.architecture(name)) == count]
    return f"; it looks like {' or '.join(like)}" if like and arch not in like else ""


def _before_classifier(arch: Architecture) -> int:
    one, two = (int(cost(replace(arch, classes=classes)).params) for classes in (1, 2))
    return one - (two - one)
