"""EfficientNet-EdgeTPU S, M, L (Gupta & Tan, 2019), found for Google's Edge TPU.

Named ``es``, ``em``, ``el`` as in timm; every name exists twice, as in :mod:`compoundnet.zoo.efficientnet`.
"""

from compoundnet.architecture import Architecture, FusedMBConv, MBConv
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo.rows import HALF, TF_NORM, Coefficients, both_forms, prepared, stages, variant

__all__ = ["ARCHITECTURES", "PREPROCESSING"]


def _mb(kernel: int) -> MBConv:
    return MBConv(kernel=kernel, expansion=8, se_ratio=0)


def _fused(expansion: int) -> FusedMBConv:
    return FusedMBConv(kernel=3, expansion=expansion)


# tensorflow/tpu 7dc921f models/official/efficientnet/edgetpu/efficientnet_edgetpu_builder.py. The first stage says
# that its input has 24 channels, as its output, and expands these; the stem gives 32.
_S = Architecture(
    name="tf_efficientnet_es",
    resolution=224,
    stem=32,
    stages=stages(
        (
            (FusedMBConv(kernel=3, expansion=4, skip=False, counts_from="output"), 24, 1, 1),
            (_fused(8), 32, 2, 2),
            (_fused(8), 48, 4, 2),
            (_mb(5), 96, 5, 2),
            (_mb(5), 144, 4, 1),
            (_mb(5), 192, 2, 2),
        )
    ),
    head=1280,
    activation="relu",
    norm=TF_NORM,
)

# The same file, ``efficientnet_edgetpu_params``; crop size / (size + 32).
_ROWS: dict[str, Coefficients] = {
    "efficientnet_es": Coefficients(1.0, 1.0, 224, 0.2, 0.875),
    "efficientnet_em": Coefficients(1.0, 1.1, 240, 0.2, 0.882),
    "efficientnet_el": Coefficients(1.2, 1.4, 300, 0.3, 0.904),
}

ARCHITECTURES: dict[str, Architecture] = {
    arch.name: arch for name, row in _ROWS.items() for arch in both_forms(variant(_S, f"tf_{name}", row))
}
"""Every variant, by name."""

PREPROCESSING: dict[str, Preprocessing] = prepared(_ROWS, HALF, HALF)
"""x / 127.5 - 1 as in timm; the original code has (x - 127) / 128. A weights record, if there is one, comes first."""
