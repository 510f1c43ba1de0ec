"""EfficientNet-Lite (tensorflow/tpu, 2020): B0's stages for 8-bit arithmetic on phones.

No squeeze-excitation, ReLU6; the stem, the head and the repeats of the first and the last stage are never scaled.
Every name exists twice, as in :mod:`compoundnet.zoo.efficientnet`.
"""

from compoundnet.architecture import Architecture, MBConv, Rounding
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo.rows import HALF, TF_NORM, Coefficients, both_forms, prepared, stages, variant

__all__ = ["ARCHITECTURES", "PREPROCESSING"]


def _mb(kernel: int, expansion: int) -> MBConv:
    return MBConv(kernel=kernel, expansion=expansion, se_ratio=0)


# tensorflow/tpu 7dc921f models/official/efficientnet/lite/efficientnet_lite_builder.py ``efficientnet_lite``. The
# first stage's input stands there as 32, scaled: its depthwise convolution takes the stem's 32 channels all the same.
_LITE0 = Architecture(
    name="tf_efficientnet_lite0",
    resolution=224,
    stem=32,
    stages=stages(
        (
            (_mb(3, 1), 16, 1, 1),
            (_mb(3, 6), 24, 2, 2),
            (_mb(5, 6), 40, 2, 2),
            (_mb(3, 6), 80, 3, 2),
            (_mb(5, 6), 112, 3, 1),
            (_mb(5, 6), 192, 4, 2),
            (_mb(3, 6), 320, 1, 1),
        )
    ),
    head=1280,
    activation="relu6",
    norm=TF_NORM,
    rounding=Rounding(fixed_ends=True),
)

# The same file, ``efficientnet_lite_params``; crop size / (size + 32). timm evaluates the last two at 300 and 380.
_ROWS: dict[str, Coefficients] = {
    "efficientnet_lite0": Coefficients(1.0, 1.0, 224, 0.2, 0.875),
    "efficientnet_lite1": Coefficients(1.0, 1.1, 240, 0.2, 0.882),
    "efficientnet_lite2": Coefficients(1.1, 1.2, 260, 0.3, 0.890),
    "efficientnet_lite3": Coefficients(1.2, 1.4, 280, 0.3, 0.897),
    "efficientnet_lite4": Coefficients(1.4, 1.8, 300, 0.3, 0.904),
}

ARCHITECTURES: dict[str, Architecture] = {
    arch.name: arch for name, row in _ROWS.items() for arch in both_forms(variant(_LITE0, f"tf_{name}", row))
}
"""Every variant, by name."""

PREPROCESSING: dict[str, Preprocessing] = prepared(_ROWS, HALF, HALF)
"""x / 127.5 - 1 as in timm; the original code has (x - 127) / 128. A weights record, if there is one, comes first."""
