"""Weights of comparators: files in our layout or in their makers', and what timm has published, a row a set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing
from compoundnet.weights import hub
from compoundnet.weights.files import Recorded, read_record, read_tensors
from compoundnet.weights.layout import CLASSIFIER, check, expected_shapes
from compoundnet.weights.load import Weights
from compoundnet.weights.opening import is_file, path_of
from compoundnet.zoo.comparators import PREPROCESSING, AmoebaNetD, Comparator, Timm, TorchVision, ZFNet

__all__ = ["WEIGHTS", "ComparatorWeights", "read_comparator_weights", "to_layout"]

_BEST = "imagenet"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparatorWeights:
    """One published set of weights for a comparator. ``top1`` on ImageNet-1k is in percent."""

    comparator: str
    tag: str
    repository: str
    top1: float
    preprocessing: Preprocessing


def _row(comparator: str, tag: str, top1: float, timm_name: str = "", **prepared: Any) -> ComparatorWeights:
    return ComparatorWeights(
        comparator=comparator,
        tag=tag,
        repository=f"timm/{timm_name or comparator}.{tag}",
        top1=top1,
        preprocessing=replace(PREPROCESSING[comparator], **prepared),
    )


# timm aa4b585: what differs from the zoo's preprocessing, in the models' own files; top-1: results-imagenet.csv.
WEIGHTS: tuple[ComparatorWeights, ...] = (
    _row("vgg16", "tv_in1k", 71.594),
    _row("vgg16_bn", "tv_in1k", 73.354),
    _row("vgg19", "tv_in1k", 72.400),
    _row("vgg19_bn", "tv_in1k", 74.230),
    _row("densenet121", "ra_in1k", 76.486, interpolation="bicubic", resolution=288, crop_fraction=0.95),
    _row("densenet121", "tv_in1k", 74.750, interpolation="bicubic"),
    _row("densenet169", "tv_in1k", 75.922, interpolation="bicubic"),
    _row("densenet201", "tv_in1k", 77.284, interpolation="bicubic"),
    _row("xception", "tf_in1k", 79.058, "legacy_xception"),
    _row("nasnetalarge", "tf_in1k", 82.638),
)
"""Every set; the best one first where a comparator has several."""

_Rules = tuple[tuple[str, str], ...]  # beginnings of names: ours, theirs; the first that fits, or the same name

# By the beginning of a model's name, the layouts that its files come in besides ours.
_LAYOUTS: dict[str, tuple[_Rules, ...]] = {
    "alexnet": ((("neck.hidden.", "classifier."), ("classifier.", "classifier.6.")),),
    "vgg": (
        (("neck.hidden.", "classifier."), ("classifier.", "classifier.6.")),  # torchvision
        (  # timm: the hidden layers as convolutions
            ("neck.hidden.0.", "pre_logits.fc1."),
            ("neck.hidden.3.", "pre_logits.fc2."),
            ("classifier.", "head.fc."),
        ),
    ),
    "googlenet": ((("features.", ""), ("classifier.", "fc.")),),
    "densenet": (),  # torchvision's and timm's names are ours
    "legacy_xception": ((("features.", ""), ("classifier.", "fc.")),),
    "nasnetalarge": ((("features.cells.network.", ""), ("classifier.", "last_linear.")),),
}
_KERAS = (".h5", ".hdf5", ".keras")
_AUXILIARY = ("aux1.", "aux2.")  # GoogLeNet's classifiers that only its training had


def read_comparator_weights(source: str | Path, comparator: Comparator) -> Weights:
    """:func:`compoundnet.weights.read_weights` for a comparator."""
    known = _published(source, comparator)
    path = path_of(source) if known is None else hub.fetch(known.repository)
    text = str(path) if known is None else known.repository
    if path.suffix.lower() in _KERAS:
        raise RequestError(f"weights {text} of {comparator.name}: a comparator takes .safetensors alone")
    tensors, metadata = read_tensors(path)
    recorded = Recorded(known.preprocessing) if known else read_record(path, metadata)
    return Weights(
        state=_to_ours(tensors, comparator, text),
        preprocessing=recorded.preprocessing,
        labels=recorded.labels,
        source=text,
        sha256=hub.sha256_of(path),
    )


def to_layout(state: Mapping[str, Tensor], comparator: Comparator, layout: str) -> dict[str, Tensor]:
    """A comparator's state dict for a file, checked. RequestError: of another network, or a layout not our own."""
    if layout != "compoundnet":
        raise RequestError(
            f"weights of {comparator.name} cannot be written in {layout}'s layout; in compoundnet's they can"
        )
    return _to_ours(state, comparator, "weights")


def _published(source: str | Path, comparator: Comparator) -> ComparatorWeights | None:
    """The row that ``source`` names; None for a file."""
    rows = [row for row in WEIGHTS if row.comparator == comparator.name]
    path_of(source)  # or it is no source at all
    found = [row for row in rows if source in (_BEST, row.tag, row.repository)]
    if found:
        return found[0]
    text = os.fspath(source)
    if isinstance(source, Path) or is_file(text):
        return None
    if not rows:
        names = ", ".join(dict.fromkeys(row.comparator for row in WEIGHTS))
        raise RequestError(
            f"no weights {text!r} are published for {comparator.name!r} in a form that is read here (torchvision's "
            f"are pickles); there are some for {names}; or give a .safetensors file of your own"
        )
    tags = ", ".join(row.tag for row in rows)
    raise RequestError(f"no weights {text!r} for {comparator.name}; there are: {_BEST} (the best), {tags}; or a file")


def _to_ours(state: Mapping[str, Tensor], comparator: Comparator, source: str) -> dict[str, Tensor]:
    """The tensors under our names; classes and in_channels are as they are stored."""
    shapes = expected_shapes(comparator)
    first = next(iter(shapes))
    layouts = ((), *_LAYOUTS.get(_family(comparator), ()))
    named = [{_theirs(name, rules): name for name in shapes} for rules in layouts]
    ours_of = max(named, key=lambda names: len(names.keys() & state.keys()))
    state = {name: tensor for name, tensor in state.items() if not name.startswith(_AUXILIARY)}
    theirs_of = {ours: theirs for theirs, ours in ours_of.items()}
    classifier, stem = state.get(theirs_of[CLASSIFIER[0]]), state.get(theirs_of[first])
    stored = replace(
        comparator,
        classes=comparator.classes if classifier is None or classifier.ndim not in (2, 4) else len(classifier),
        in_channels=stem.shape[1] if stem is not None and stem.ndim == 4 else comparator.in_channels,
    )
    expected = {
        theirs: shape for (theirs, _), shape in zip(ours_of.items(), expected_shapes(stored).values(), strict=True)
    }
    state = {name: _flat(tensor, expected.get(name)) for name, tensor in state.items()}
    check(state, expected, comparator.name, source, (theirs_of[CLASSIFIER[0]], theirs_of[CLASSIFIER[1]]))
    return {ours_of[name]: tensor for name, tensor in state.items()}


def _family(comparator: Comparator) -> str:
    match comparator.maker:
        case TorchVision(model=model) | Timm(model=model):
            return next(family for family in _LAYOUTS if model.startswith(family))
        case ZFNet() | AmoebaNetD():
            return ""  # ours alone


def _theirs(name: str, rules: _Rules) -> str:
    for ours, theirs in rules:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def _flat(tensor: Tensor, shape: torch.Size | None) -> Tensor:
    """A linear layer's weight that is stored as a convolution's."""
    return tensor.flatten(1) if shape is not None and len(shape) == 2 and tensor.ndim == 4 else tensor
