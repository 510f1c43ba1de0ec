"""EfficientNet-X and -H (Li et al., CVPR 2021): for tensor units, with space-to-depth, fused stages, ReLU and swish.

``x`` and ``h`` are scaled as EfficientNet; ``x_tpu``, ``h_tpu`` and ``x_gpu`` for latency on these devices. Every
name exists with ``tf_``, those scaled as EfficientNet, which timm has three of, in the plain form too.

timm's port differs from the original, which stands here: its activations are swapped, the later blocks of its first
stage keep the larger kernel, and where space-to-depth ends it counts the squeeze from the folded input. Its weights
fit its port alone.
"""

from dataclasses import replace

from compoundnet.architecture import FOLD, Architecture, FusedMBConv, MBConv, Stage
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo.rows import TF_NORM, Coefficients, both_forms, prepared, stages, variant

__all__ = ["ARCHITECTURES", "PREPROCESSING"]


def _stages(early: int, squeeze: int) -> tuple[Stage, ...]:
    """``early``: the expansion of stages two to four; ``squeeze``: by which the squeeze-excitations are wider.

    Of the first stage: kernel (3 + 1) / 2, stride that of the 2x2 convolution, four times 16 channels. The second
    ends it, so that its own stride, 2, becomes 1.
    """
    ratio = 0.25 * squeeze
    entry = MBConv(kernel=2, expansion=1, se_ratio=ratio, space_to_depth=True)
    leave = FusedMBConv(kernel=3, expansion=early, se_ratio=ratio, activation="silu", counts_from="folded")
    fused = FusedMBConv(kernel=5, expansion=early, se_ratio=ratio, activation="silu")
    mb = MBConv(kernel=3, expansion=6, se_ratio=ratio)
    return stages(
        (
            (entry, FOLD * 16, 1, 2),
            (leave, 24, 2, 1),
            (fused, 40, 2, 2),
            (replace(mb, expansion=early), 80, 3, 2),
            (replace(mb, kernel=5), 112, 3, 1),
            (replace(mb, kernel=5), 192, 4, 2),
            (mb, 320, 1, 1),
        )
    )


def _base(version: int, squeeze: int) -> Architecture:
    return Architecture(
        name="tf_efficientnet_x_b0",
        resolution=224,
        stem=32,
        stages=_stages(6 if version == 1 else 4, squeeze),
        head=1280,
        activation="relu",
        norm=TF_NORM,
    )


# tensorflow/tpu 1192363 models/official/efficientnet/tpu/efficientnet_x_builder.py ``efficientnet_x_params``; the
# blocks in ``efficientnet_x`` there, what becomes of them in efficientnet_model.py 02f1303; crop size / (size + 32).
_AS_EFFICIENTNET: dict[str, Coefficients] = {
    "efficientnet_x_b0": Coefficients(1.0, 1.0, 224, 0.2, 0.875),
    "efficientnet_x_b1": Coefficients(1.0, 1.1, 240, 0.2, 0.882),
    "efficientnet_x_b2": Coefficients(1.1, 1.2, 260, 0.3, 0.890),
    "efficientnet_x_b3": Coefficients(1.2, 1.4, 300, 0.3, 0.904),
    "efficientnet_x_b4": Coefficients(1.4, 1.8, 380, 0.4, 0.922),
    "efficientnet_x_b5": Coefficients(1.6, 2.2, 456, 0.4, 0.934),
    "efficientnet_x_b6": Coefficients(1.8, 2.6, 528, 0.5, 0.942),
    "efficientnet_x_b7": Coefficients(2.0, 3.1, 600, 0.5, 0.949),
    "efficientnet_h_b5": Coefficients(1.92, 2.2, 456, 0.4, 0.934),
    "efficientnet_h_b6": Coefficients(2.16, 2.6, 528, 0.5, 0.942),
    "efficientnet_h_b7": Coefficients(2.4, 3.1, 600, 0.5, 0.949),
}
_FOR_DEVICES: dict[str, Coefficients] = {
    "efficientnet_x_tpu_b0": Coefficients(1.0, 1.0, 224, 0.2, 0.875),
    "efficientnet_x_tpu_b1": Coefficients(1.05, 1.09, 229, 0.2, 0.877),
    "efficientnet_x_tpu_b2": Coefficients(1.13, 1.29, 244, 0.3, 0.884),
    "efficientnet_x_tpu_b3": Coefficients(1.27, 1.62, 263, 0.3, 0.892),
    "efficientnet_x_tpu_b4": Coefficients(1.54, 2.38, 299, 0.4, 0.903),
    "efficientnet_x_tpu_b5": Coefficients(1.96, 2.76, 332, 0.4, 0.912),
    "efficientnet_x_tpu_b6": Coefficients(2.75, 3.01, 328, 0.5, 0.911),
    "efficientnet_x_tpu_b7": Coefficients(3.26, 3.44, 350, 0.5, 0.916),
    "efficientnet_h_tpu_b5": Coefficients(2.3, 2.76, 332, 0.4, 0.912),
    "efficientnet_h_tpu_b6": Coefficients(3, 3.01, 328, 0.5, 0.911),
    "efficientnet_h_tpu_b7": Coefficients(3.6, 3.44, 350, 0.5, 0.916),
    "efficientnet_x_gpu_b0": Coefficients(1.0, 1.0, 224, 0.2, 0.875),
    "efficientnet_x_gpu_b1": Coefficients(1.05, 1.09, 229, 0.2, 0.877),
    "efficientnet_x_gpu_b2": Coefficients(1.13, 1.24, 237, 0.3, 0.881),
    "efficientnet_x_gpu_b3": Coefficients(1.31, 1.63, 255, 0.3, 0.889),
    "efficientnet_x_gpu_b4": Coefficients(1.63, 2.4, 282, 0.4, 0.898),
    "efficientnet_x_gpu_b5": Coefficients(1.94, 3.29, 306, 0.4, 0.905),
    "efficientnet_x_gpu_b6": Coefficients(2.25, 4.28, 328, 0.5, 0.911),
    "efficientnet_x_gpu_b7": Coefficients(2.58, 5.46, 350, 0.5, 0.916),
}

_SQUEEZE = {"b0": 4, "b1": 2}  # ``se_coefficient``; of all others 1


def _tf(name: str, row: Coefficients) -> Architecture:
    _, kind, *_, size = name.split("_")
    return variant(_base(1 if kind == "x" else 2, _SQUEEZE.get(size, 1)), f"tf_{name}", row)


_PLAIN_TOO = (arch for name, row in _AS_EFFICIENTNET.items() for arch in both_forms(_tf(name, row)))

ARCHITECTURES: dict[str, Architecture] = {
    arch.name: arch for arch in (*_PLAIN_TOO, *(_tf(name, row) for name, row in _FOR_DEVICES.items()))
}
"""Every variant, by name."""

PREPROCESSING: dict[str, Preprocessing] = {
    name: how for name, how in prepared({**_AS_EFFICIENTNET, **_FOR_DEVICES}).items() if name in ARCHITECTURES
}
"""As published. A weights record, where there is one, comes first."""
