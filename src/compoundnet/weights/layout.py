"""The names and shapes that a state dict must have, and what a wrong one looks like."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn import build

__all__ = ["CLASSIFIER", "LAYOUTS", "Layout", "check", "detect", "expected_shapes", "stored_variant"]

CLASSIFIER = ("classifier.weight", "classifier.bias")
"""The classifier's names, the same in both layouts. Both may be absent: then it is a backbone."""

_NAMES_SHOWN = 3


class Layout(NamedTuple):
    """The keys by which a layout is known: the stem's kernel, the head's kernel, the folder of the blocks."""

    stem: str
    head: str
    blocks: str


LAYOUTS = {
    "compoundnet": Layout("stem.conv.weight", "head.conv.weight", "stages"),
    "timm": Layout("conv_stem.weight", "conv_head.weight", "blocks"),
}


def detect(state: Mapping[str, Tensor], source: str) -> Literal["compoundnet", "timm"]:
    """Whose names these are; RequestError, with some of the names, if nobody's that is known here."""
    if LAYOUTS["compoundnet"].stem in state:
        return "compoundnet"
    if LAYOUTS["timm"].stem in state:
        return "timm"
    wanted = " or ".join(f"{layout.stem} ({name})" for name, layout in LAYOUTS.items())
    raise RequestError(f"{source} is in no layout known here: it has {_few(state)}, but no {wanted}")


def stored_variant(arch: Architecture, state: Mapping[str, Tensor], layout: Layout) -> Architecture:
    """``arch`` with the classes and in_channels that a file has, in which it may differ; ``state`` in ``layout``."""
    classifier, stem = state.get(CLASSIFIER[0]), state.get(layout.stem)
    classes = len(classifier) if classifier is not None and classifier.ndim == 2 else 0
    in_channels = stem.shape[1] if stem is not None and stem.ndim == 4 else 0
    return replace(arch, classes=classes or arch.classes, in_channels=in_channels or arch.in_channels)


def expected_shapes(arch: Architecture) -> dict[str, torch.Size]:
    """Name -> shape of the network's whole state, built on the meta device: no memory, no random numbers."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in build(arch).state_dict().items()}


def check(state: Mapping[str, Tensor], expected: Mapping[str, torch.Size], arch: str, source: str) -> None:
    """Raise RequestError unless ``state`` has exactly the expected names and shapes.

    Batch counts may be absent (other frameworks have none), and so may the classifier, as a whole.
    """
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    if not any(name in state for name in CLASSIFIER):
        optional |= set(CLASSIFIER)
    missing = [name for name in expected if name not in state and name not in optional]
    unexpected = [name for name in state if name not in expected]
    wrong = [
        f"{name} is {tuple(tensor.shape)}, not {tuple(expected[name])}"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name]
    ]
    groups = (("missing", missing), ("unexpected", unexpected), ("wrong shape", wrong))
    found = [f"{len(names)} {group} ({_few(names)})" for group, names in groups if names]
    if found:
        like = _looks_like(state)
        advice = f"; it looks like {' or '.join(like)}" if like and arch not in like else ""
        raise RequestError(f"{source} does not fit {arch}: {', '.join(found)}{advice}")


def _few(names: Iterable[str]) -> str:
    names = list(names)
    rest = f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "nothing") + rest


def _looks_like(state: Mapping[str, Tensor]) -> list[str]:
    """The zoo's architectures with this stem, this head and these numbers of blocks."""
    found = [_signature(state, layout) for layout in LAYOUTS.values() if layout.stem in state]
    archs = map(zoo.architecture, zoo.list_architectures())
    return [a.name for a in archs if ([a.stem], [a.head] if a.head else [], [s.repeats for s in a.stages]) in found]


def _signature(state: Mapping[str, Tensor], layout: Layout) -> tuple[list[int], list[int], list[int]]:
    """Channels of the stem, those of the head if there is one, and the number of blocks in each stage."""
    places = {m.groups() for name in state if (m := re.match(rf"{layout.blocks}\.(\d+)\.(\d+)\.", name))}
    stages = sorted({int(stage) for stage, _ in places})
    repeats = [sum(int(stage) == i for stage, _ in places) for i in stages]
    stem, head = (list(state[name].shape[:1]) if name in state else [] for name in (layout.stem, layout.head))
    return stem, head, repeats
