"""Writing weights in the layouts that others load: safetensors under their names, and Keras' HDF5 files."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
from torch import Tensor, nn

from compoundnet.architecture import Architecture
from compoundnet.checks import check_choice, check_writable
from compoundnet.errors import RequestError
from compoundnet.files import write_atomically
from compoundnet.keras_names import is_second_generation
from compoundnet.preprocessing import Preprocessing
from compoundnet.weights import keras, keras_files
from compoundnet.weights.adapters import from_ours
from compoundnet.weights.axes import from_torch, leaf_of
from compoundnet.weights.comparators import to_layout
from compoundnet.weights.files import CONVENTION_KEY, LABELS_KEY, PREPROCESSING_KEY
from compoundnet.weights.keras_files import Layer
from compoundnet.zoo.comparators import AnyNetwork

__all__ = ["WRITTEN", "write_weights"]

WRITTEN = ("compoundnet", "timm", "torchvision", "lukemelas", "keras")
"""The layouts that can be written."""

_KERAS_FORMS: dict[str, Callable[[Sequence[Layer], Mapping[str, str]], bytes]] = {
    ".weights.h5": keras_files.by_class,
    ".h5": keras_files.legacy,
}


def write_weights(
    weights: nn.Module | Mapping[str, Tensor],
    arch: AnyNetwork,
    path: str | Path,
    *,
    layout: str = "compoundnet",
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
) -> Path:
    """Write a network's weights so that others load them; whole or not at all.

    ``layout="keras"`` gives what ``keras.applications.EfficientNetB0(weights=None).load_weights(path)`` takes:
    ``.weights.h5`` as of Keras 3, or the legacy ``.h5``. The other layouts are safetensors under their names.

    Args:
        weights: a network of :func:`compoundnet.nn.build`, or its state dict.
        arch: what the network is, an architecture or a comparator (of which our layout alone is written); its classes
            and in_channels may be others than the weights'.
        path: ``.safetensors``; for Keras ``.weights.h5`` or ``.h5``.
        layout: one of ``WRITTEN``.
        preprocessing: how images were prepared, which is recorded in the file. Keras' EfficientNet (V1, not V2)
            prepares them itself, so for it this must be given.
        labels: the class names, recorded in the file.

    Returns:
        The path.

    Raises:
        RequestError: no such layout, another suffix, weights of another network, blocks that the layout does not
            hold, or padding and norm that its networks do not have.
    """
    path = Path(path)
    check_choice("layout", layout, WRITTEN)
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    if isinstance(arch, Architecture):
        theirs = from_ours(state, arch, layout, "weights")
    else:
        theirs = to_layout(state, arch, layout)
    texts = dict(_texts(arch, preprocessing, labels))
    if layout == "keras" and isinstance(arch, Architecture):
        form = _keras_form(path)
        content = form([*_normalization(arch, state, preprocessing), *_layers(arch, state)], texts)
    else:
        _check_suffix(path, (".safetensors",), layout)
        content = safetensors.torch.save({n: t.detach().cpu().contiguous() for n, t in theirs.items()}, texts or None)
    check_writable(path)
    write_atomically(path, content)
    return path


def _layers(arch: Architecture, state: Mapping[str, Tensor]) -> Iterator[Layer]:
    """Keras' layers in its order, without a classifier if the state has none."""
    for (module, name), (_, numbered) in zip(keras.modules(arch), keras.modules_by_class(arch), strict=True):
        kind = keras.class_of(module)
        arrays = {
            leaf_of(module, leaf): from_torch(module, state[f"{module}.{leaf}"], leaf)
            for leaf in ("weight", "bias", "running_mean", "running_var")
            if f"{module}.{leaf}" in state
        }
        if arrays:
            yield Layer(name, numbered, {leaf: arrays[leaf] for leaf in keras.LEAVES[kind] if leaf in arrays})


def _normalization(
    arch: Architecture, state: Mapping[str, Tensor], preprocessing: Preprocessing | None
) -> Iterator[Layer]:
    """The layer with which V1 begins in Keras, of images of 0..1; V2 has constants in its place."""
    if is_second_generation(arch):
        return
    if preprocessing is None:
        raise RequestError(
            f"{arch.name} normalises its input itself in Keras, and the file holds by what: give preprocessing, "
            "such as compoundnet.zoo.preprocessing(arch)"
        )
    if (channels := state["stem.conv.weight"].shape[1]) != len(preprocessing.mean):
        raise RequestError(f"{arch.name} with {channels} input channels cannot be written for Keras; it must have 3")
    mean, variance = (np.array(x, np.float32) for x in (preprocessing.mean, [s**2 for s in preprocessing.std]))
    arrays = {"mean": mean, "variance": variance, "count": np.int32(0)}
    yield Layer("normalization", "normalization", {name: np.asarray(array) for name, array in arrays.items()})


def _texts(
    arch: AnyNetwork, preprocessing: Preprocessing | None, labels: Sequence[str] | None
) -> Iterator[tuple[str, str]]:
    if isinstance(arch, Architecture):
        yield CONVENTION_KEY, json.dumps({"padding": arch.padding, "norm_eps": arch.norm.eps})
    if preprocessing is not None:
        yield PREPROCESSING_KEY, json.dumps(preprocessing.to_json())
    if labels is not None:
        yield LABELS_KEY, json.dumps(list(labels))


def _keras_form(path: Path) -> Callable[[Sequence[Layer], Mapping[str, str]], bytes]:
    _check_suffix(path, tuple(_KERAS_FORMS), "keras")
    return next(form for suffix, form in _KERAS_FORMS.items() if path.name.endswith(suffix))


def _check_suffix(path: Path, suffixes: Sequence[str], layout: str) -> None:
    if not path.name.endswith(tuple(suffixes)):
        raise RequestError(f"{str(path)!r} cannot hold {layout}'s layout; its name must end in {' or '.join(suffixes)}")
