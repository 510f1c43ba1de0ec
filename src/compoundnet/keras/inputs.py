"""Normalisation as layers: pixels 0..255 to what the network takes."""

from collections.abc import Sequence
from typing import Any

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.keras.library import keras
from compoundnet.keras_names import is_second_generation
from compoundnet.preprocessing import IMAGENET_STD, Preprocessing

__all__ = ["mend_variance", "normalized"]

_WHITE = 255
_NAME = "normalization"


def normalized(x: Any, preprocessing: Preprocessing, arch: Architecture) -> Any:
    """(pixels / 255 - mean) / std, in the layers that ``keras.applications`` has for this network.

    One scale for all channels is one layer. Else the first generation keeps mean and variance as variables, which its
    files hold, and the second as constants.

    Raises:
        RequestError: three means for a network that does not take three channels.
    """
    mean, std = preprocessing.mean, preprocessing.std
    if len(set(mean)) == len(set(std)) == 1:
        return keras.layers.Rescaling(1 / (_WHITE * std[0]), offset=-mean[0] / std[0], name="rescaling")(x)
    if arch.in_channels != len(mean):
        raise RequestError(
            f"include_preprocessing needs a mean for each channel, but the network takes {arch.in_channels} and "
            f"{arch.name} was published with those of RGB, {mean}; normalise the images before the model"
        )
    x = keras.layers.Rescaling(1 / _WHITE, name="rescaling")(x)
    variance = [deviation**2 for deviation in std]
    if is_second_generation(arch):
        return keras.layers.Normalization(axis=-1, mean=list(mean), variance=variance, name=_NAME)(x)
    layer = keras.layers.Normalization(axis=-1, name=_NAME)
    y = layer(x)
    _set(layer, mean, variance)
    return y


def mend_variance(model: Any) -> None:
    """Undo, after a file was read, that the files published for the first generation hold deviations as variances.

    There a further layer, which only models with these files have, divides by the root once more
    (``keras.applications`` ``efficientnet.py``; tensorflow/tensorflow#49930). With the true variance one layer does.
    """
    import numpy as np

    if _NAME not in {layer.name for layer in model.layers}:
        return
    layer = model.get_layer(_NAME)
    if layer.input_mean is not None:  # constants
        return
    mean, variance = (keras.ops.convert_to_numpy(value) for value in (layer.adapt_mean, layer.adapt_variance))
    if np.allclose(variance, IMAGENET_STD, rtol=1e-3, atol=0):
        _set(layer, mean, variance**2)


def _set(layer: Any, mean: Sequence[float], variance: Sequence[float]) -> None:
    layer.adapt_mean.assign(mean)
    layer.adapt_variance.assign(variance)
    layer.finalize_state()
