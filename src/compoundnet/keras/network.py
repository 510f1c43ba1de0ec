"""Architecture -> keras.Model, with the habits of ``keras.applications``. N H W C."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.checks import check_whole
from compoundnet.errors import RequestError, foreign, unknown
from compoundnet.keras.blocks import Place, block_layers
from compoundnet.keras.inputs import normalized
from compoundnet.keras.layers import ACTIVATIONS, conv_norm_act, linear, max_pool
from compoundnet.keras.library import keras
from compoundnet.keras.weights import load_file, to_keras
from compoundnet.keras_names import (
    CLASSIFIER,
    HIDDEN,
    STEM,
    STEM_POOL,
    TOP,
    block_prefix,
    deep_stem,
    is_second_generation,
)
from compoundnet.preprocessing import Preprocessing

__all__ = ["build"]

_POOLINGS = {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D"}
# Keras' V2-S, M and L take x / 128 - 1 (``efficientnet_v2.py``); timm, and with it the zoo, has x / 127.5 - 1.
_HALF = (128 / 255, 128 / 255, 128 / 255)
_CHANNELS_LAST = {"data_format": "channels_last"}


def build(
    arch: Architecture,
    *,
    include_top: bool = True,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | Callable[[Any], Any] | None = "softmax",
    weights: str | Path | Mapping[str, Tensor] | None = None,
    include_preprocessing: bool | Preprocessing = False,
    input_shape: tuple[int | None, int | None, int] | None = None,
    name: str | None = None,
) -> Any:
    """The network as a functional ``keras.Model``, on any backend: (N, H, W, in_channels) -> (N, classes).

    The same function as :func:`compoundnet.nn.build` makes, but for the last activation, and freshly initialised
    alike. **It takes normalised images**, as that one does, unless ``include_preprocessing``; ``keras.applications``
    takes 0..255.

    Args:
        arch: what to build.
        include_top: with pooling, dropout and classifier; else the maps (N, h, w, features) before them.
        pooling: without top: None, or "avg" or "max" for (N, features).
        classes: outputs; None: the architecture's.
        classifier_activation: the last activation; None gives logits.
        weights: None: fresh ones; a state dict under our names (its classifier is left out where the model has no
            top); or a file that Keras wrote (``.weights.h5``, ``.h5``, ``.keras``), of ``keras.applications`` too.
        include_preprocessing: the model takes pixels of 0..255 and normalises them itself: True: as the variant was
            published; a Preprocessing: with its mean and deviation. Resizing and cropping stay the caller's.
        input_shape: (H, W, channels), a side None if it may be any; None: the architecture's.
        name: the model's; None: the architecture's.

    Raises:
        RequestError: not an architecture, a block without Keras layers, settings that contradict one another, or
            weights that do not fit.
    """
    if not isinstance(arch, Architecture):
        raise RequestError(
            f"keras.build takes an Architecture, not {arch!r:.60}; compoundnet.architecture(NAME) is one"
        )
    _check_kinds(pooling, weights, name)
    _check_top(include_top, pooling, classes, classifier_activation)
    shape = _input_shape(arch, input_shape)
    arch = replace(arch, classes=arch.classes if classes is None else classes, in_channels=shape[-1])
    images = keras.Input(shape=shape)
    x = images
    if include_preprocessing is not False:
        x = normalized(x, _preprocessing(arch, include_preprocessing), arch)
    x = _features(x, arch)
    x = _top(x, arch, classifier_activation) if include_top else _pooled(x, pooling)
    model = keras.Model(images, x, name=(name or arch.name).replace("/", "_"))  # which no name of Keras may hold
    if isinstance(weights, Mapping):
        to_keras(model, weights, arch)
    elif weights is not None:
        load_file(model, Path(os.fspath(weights)), arch)
    return model


def _check_kinds(pooling: object, weights: object, name: object) -> None:
    for field, value in (("pooling", pooling), ("name", name)):
        if value is not None and not isinstance(value, str):
            raise RequestError(f"{field} is {value!r:.60}; it must be a text, or None")
    if weights is not None and not isinstance(weights, (str, os.PathLike, Mapping)):
        raise RequestError(f"weights is {weights!r:.60}; give a file that Keras wrote, a state dict, or None")


def _features(x: Any, arch: Architecture) -> Any:
    """Stem, stages, head."""
    x = conv_norm_act(x, arch.stem, arch.stem_kernel, arch.stem_stride, STEM, arch)
    for i, channels in enumerate(arch.stem_deep):
        x = conv_norm_act(x, channels, arch.stem_kernel, 1, deep_stem(i), arch)
    if arch.stem_pool == "conv":
        x = conv_norm_act(x, arch.stem_features, 3, 2, STEM_POOL, arch)
    elif arch.stem_pool:
        x = max_pool(x, "stem_pool")
    rates = iter(arch.drop_path_rates())
    for i, stage in enumerate(arch.stages):
        for j, (block, stride) in enumerate(stage.blocks()):
            prefix, rate = block_prefix(i, j), next(rates)
            x = block_layers(
                x, block, Place(arch=arch, prefix=prefix, channels=stage.channels, stride=stride, drop_path=rate)
            )
    return x if arch.head is None else conv_norm_act(x, arch.head, 1, 1, TOP, arch)


def _top(x: Any, arch: Architecture, activation: str | Callable[[Any], Any] | None) -> Any:
    """Global mean, hidden layer, dropout, classifier."""
    x = _pooled(x, "avg")
    if arch.hidden is not None:
        x = linear(x, arch.hidden, ACTIVATIONS[arch.activation], HIDDEN)
    if arch.dropout:
        x = keras.layers.Dropout(arch.dropout, name="top_dropout")(x)
    return linear(x, arch.classes, activation, CLASSIFIER)


def _pooled(x: Any, pooling: str | None) -> Any:
    if pooling is None:
        return x
    return getattr(keras.layers, _POOLINGS[pooling])(**_CHANNELS_LAST, name=f"{pooling}_pool")(x)


def _preprocessing(arch: Architecture, asked: bool | Preprocessing) -> Preprocessing:
    if isinstance(asked, Preprocessing):
        return asked
    published = zoo.preprocessing(arch)
    if is_second_generation(arch) and set(published.mean + published.std) == {0.5}:
        return replace(published, mean=_HALF, std=_HALF)
    return published


def _check_top(
    include_top: bool, pooling: str | None, classes: int | None, activation: str | Callable[[Any], Any] | None
) -> None:
    if pooling is not None and pooling not in _POOLINGS:
        raise unknown("pooling", str(pooling), [*_POOLINGS, "None"])
    if include_top and pooling is not None:
        raise RequestError(f"pooling is {pooling!r}; with its top the network has the mean: give include_top=False")
    if not include_top and classes is not None:
        raise RequestError(f"classes is {classes!r}, but include_top=False leaves no classifier; leave one of them out")
    if classes is not None:
        check_whole("classes", classes)
    try:
        keras.activations.get(activation)
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"classifier_activation is {activation!r:.60}; it must be a name such as 'softmax', None for logits, "
            f"or a function ({foreign(error)})"
        ) from error


def _input_shape(arch: Architecture, asked: tuple[int | None, int | None, int] | None) -> tuple[Any, Any, int]:
    """(H, W, channels), sides None where any will do."""
    if asked is None:
        return arch.resolution, arch.resolution, arch.in_channels
    if not isinstance(asked, (tuple, list)) or len(asked) != 3:
        raise RequestError(f"input_shape is {asked!r:.60}; it must be (height, width, channels), such as (224, 224, 3)")
    for axis, value in zip(("height", "width"), asked[:2], strict=True):
        if value is not None:
            check_whole(f"input_shape's {axis}", value)
    check_whole("input_shape's channels", asked[2])
    return asked[0], asked[1], asked[2]
