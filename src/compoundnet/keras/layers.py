"""The parts of a block in Keras: functions from a symbolic tensor (N, H, W, C) to the next.

Only Keras' own layers are used, so a saved model opens without this package. They are told to be channels-last:
the model is N H W C whatever ``keras.config.image_data_format()`` says.
"""

from typing import Any

from compoundnet.architecture import Activation, Architecture
from compoundnet.errors import RequestError
from compoundnet.keras.library import keras
from compoundnet.keras_names import LayerNames, is_second_generation

__all__ = ["ACTIVATIONS", "add", "conv_norm_act", "linear", "max_pool", "mean_pool"]
__all__ += ["squeeze_excite"]

_LAST = "channels_last"

ACTIVATIONS = {"silu": "silu", "relu": "relu", "relu6": "relu6", "hardswish": "hard_silu"}
"""An architecture's activation -> Keras' name for it."""


def conv_norm_act(
    x: Any,
    channels: int,
    kernel: int,
    stride: int,
    names: LayerNames,
    arch: Architecture,
    *,
    depthwise: bool = False,
    linear: bool = False,
    activation: Activation | None = None,
) -> Any:
    """Convolution, batch norm and, unless ``linear``, an activation: (N, ceil(H / stride), ceil(W / stride), channels).

    ``depthwise``: one kernel a channel, and ``channels`` is that of ``x``. ``activation`` None is the network's.
    Keras' momentum is the weight of the past: 1 - torch's.
    """
    x, padding = _padded(x, kernel, stride, names.conv, arch)
    x = _convolution(channels, kernel, stride, padding, names.conv, depthwise)(x)
    momentum, epsilon = 1 - arch.norm.momentum, arch.norm.eps
    x = keras.layers.BatchNormalization(axis=-1, momentum=momentum, epsilon=epsilon, name=names.norm)(x)
    return x if linear else keras.layers.Activation(ACTIVATIONS[activation or arch.activation], name=names.act)(x)


def squeeze_excite(x: Any, squeezed: int, prefix: str, activation: Activation, hard: bool = False) -> Any:
    """Channel gates from the global mean: mean, reduce to ``squeezed``, activation, expand, sigmoid, multiply.

    ``hard``: a hard sigmoid, as in MobileNetV3.
    """
    channels, gate = x.shape[-1], "hard_sigmoid" if hard else "sigmoid"
    gates = keras.layers.GlobalAveragePooling2D(data_format=_LAST, name=f"{prefix}se_squeeze")(x)
    gates = keras.layers.Reshape((1, 1, channels), name=f"{prefix}se_reshape")(gates)
    for width, act, name in ((squeezed, ACTIVATIONS[activation], "se_reduce"), (channels, gate, "se_expand")):
        gates = keras.layers.Conv2D(
            width, 1, activation=act, kernel_initializer=_start(), data_format=_LAST, name=prefix + name
        )(gates)
    return keras.layers.Multiply(name=f"{prefix}se_excite")([x, gates])


def add(branch: Any, shortcut: Any, drop_path: float, prefix: str) -> Any:
    """The sum of both; in training the branch of a whole sample is dropped with probability ``drop_path``.

    Keras' dropout with one draw a sample is stochastic depth: the rest is scaled by 1 / (1 - drop_path). Its draws
    follow ``keras.utils.set_random_seed``.
    """
    if drop_path:
        branch = keras.layers.Dropout(drop_path, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(branch)
    return keras.layers.Add(name=f"{prefix}add")([branch, shortcut])


def max_pool(x: Any, name: str) -> Any:
    """The largest of each 3 x 3 pixels, stride 2, padded by 1 with what is never the largest.

    Keras pads like that where the stride is 1 (its "same" of stride 2 begins at another pixel on even sides), so
    every second one is then taken.
    """
    x = keras.layers.MaxPooling2D(3, strides=1, padding="same", data_format=_LAST, name=name)(x)
    return keras.layers.MaxPooling2D(1, strides=2, data_format=_LAST, name=f"{name}_stride")(x)


def mean_pool(x: Any, stride: int, name: str) -> Any:
    """Means of stride x stride squares, at the far edges of what there is of them: (N, ceil(H / s), ceil(W / s), C).

    Raises:
        RequestError: a stride above 2 that leaves a rest at the edge, which Keras would divide between both edges.
    """
    if stride > 2 and any(side is None or side % stride for side in x.shape[1:3]):
        raise RequestError(
            f"a mean over {stride} x {stride} squares needs a map whose sides are multiples of {stride} in Keras, but "
            f"here it is {x.shape[1]} x {x.shape[2]}"
        )
    return keras.layers.AveragePooling2D(stride, padding="same", data_format=_LAST, name=name)(x)


def linear(x: Any, outputs: int, activation: Any, name: str) -> Any:
    """A dense layer that starts at U(-1, 1) / sqrt(outputs), as in :mod:`compoundnet.nn`: (N, C) -> (N, outputs)."""
    start = keras.initializers.VarianceScaling(1 / 3, "fan_out", "uniform")
    return keras.layers.Dense(outputs, activation=activation, kernel_initializer=start, name=name)(x)


def _start() -> Any:
    """N(0, 2 / (k * k * c_out)), untruncated; Keras too counts one output for a depthwise kernel (k, k, c, 1).

    A new one for each layer: Keras draws its seed when it is made, so one for all would start equal shapes alike.
    """
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def _convolution(channels: int, kernel: int, stride: int, padding: str, name: str, depthwise: bool) -> Any:
    common = {"strides": stride, "padding": padding, "use_bias": False, "data_format": _LAST, "name": name}
    if depthwise:
        return keras.layers.DepthwiseConv2D(kernel, depthwise_initializer=_start(), **common)
    return keras.layers.Conv2D(channels, kernel, kernel_initializer=_start(), **common)


def _padded(x: Any, kernel: int, stride: int, name: str, arch: Architecture) -> tuple[Any, str]:
    """``x``, and how the convolution must pad: explicit zeros where its own rule would not do.

    Keras' "same" is TensorFlow's rule on every backend. Where the first generation in ``keras.applications`` has a
    layer for it we have one too, unless the side is not known: then such a layer could not tell odd from even.
    """
    sides = x.shape[1:3]
    if stride == 1 or kernel == 1:  # for an odd k both rules are k // 2 on each side
        return x, "same"
    if not arch.pads(kernel, stride):
        pads = [(kernel // 2, kernel // 2)] * 2
    elif is_second_generation(arch) or None in sides:
        return x, "same"
    else:
        pads = [_same(side, kernel, stride) for side in sides]
    return keras.layers.ZeroPadding2D(pads, data_format=_LAST, name=f"{name}_pad")(x), "valid"


def _same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's rule: zeros before and after, the smaller half first."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2
