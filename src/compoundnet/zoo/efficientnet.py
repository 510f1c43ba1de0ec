"""EfficientNet (Tan & Le, ICML 2019) and EfficientNetV2 (Tan & Le, ICML 2021), as rows.

Every name exists twice, as in timm: ``tf_*`` pads like TensorFlow ("same") and has the batch norm of
the original code, as the original weights need; the plain name pads symmetrically and has torch's
usual batch norm. All other fields are equal.
"""

from compoundnet.architecture import Architecture, FusedMBConv, MBConv, Norm, Rounding
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo.rows import HALF, TF_NORM, Coefficients, both_forms, stages, variant

__all__ = ["ARCHITECTURES", "PREPROCESSING", "V1", "V2_B"]

_V2_NORM = Norm(eps=1e-3, momentum=0.1)  # TensorFlow decay 0.9; automl efficientnetv2/hparams.py


def _mb(kernel: int, expansion: int) -> MBConv:
    return MBConv(kernel=kernel, expansion=expansion)


def _fused(expansion: int) -> FusedMBConv:
    return FusedMBConv(kernel=3, expansion=expansion)


# The baseline: block, channels, repeats, stride.
# tensorflow/tpu 7dc921f models/official/efficientnet/efficientnet_builder.py; paper, Table 1.
_B0 = Architecture(
    name="tf_efficientnet_b0",
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
    norm=TF_NORM,
)

# tensorflow/tpu 7dc921f efficientnet_builder.py ``efficientnet_params``; crop size/(size+32) as released.
V1: dict[str, Coefficients] = {
    "b0": Coefficients(1.0, 1.0, 224, 0.2, 0.875),
    "b1": Coefficients(1.0, 1.1, 240, 0.2, 0.882),
    "b2": Coefficients(1.1, 1.2, 260, 0.3, 0.890),
    "b3": Coefficients(1.2, 1.4, 300, 0.3, 0.904),
    "b4": Coefficients(1.4, 1.8, 380, 0.4, 0.922),
    "b5": Coefficients(1.6, 2.2, 456, 0.4, 0.934),
    "b6": Coefficients(1.8, 2.6, 528, 0.5, 0.942),
    "b7": Coefficients(2.0, 3.1, 600, 0.5, 0.949),
    "b8": Coefficients(2.2, 3.6, 672, 0.5, 0.954),
    "l2": Coefficients(4.3, 5.3, 800, 0.5, 0.960),
    "l2_475": Coefficients(4.3, 5.3, 475, 0.5, 0.936),
}

# V2 blocks: strides 1 2 2 2 1 2 (1), kernel 3, first three stages fused, no 0.9 rule.
# google/automl 6a54c87 efficientnetv2/effnetv2_configs.py.
_EXPANSIONS = (1, 4, 4, 4, 6, 6, 6)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)

# name: stem, stages as (repeats, channels), resolution (evaluation), dropout.
_V2 = {
    "b0": (32, ((1, 16), (2, 32), (2, 48), (3, 96), (5, 112), (8, 192)), 224, 0.2),
    "s": (24, ((2, 24), (4, 48), (4, 64), (6, 128), (9, 160), (15, 256)), 384, 0.2),
    "m": (24, ((3, 24), (5, 48), (5, 80), (7, 160), (14, 176), (18, 304), (5, 512)), 480, 0.3),
    "l": (32, ((4, 32), (7, 64), (7, 96), (10, 192), (19, 224), (25, 384), (7, 640)), 480, 0.4),
    "xl": (32, ((4, 32), (8, 64), (8, 96), (16, 192), (24, 256), (32, 512), (8, 640)), 512, 0.4),
}

# V2-B scales V2-B0 like V1.
V2_B: dict[str, Coefficients] = {
    "b0": Coefficients(1.0, 1.0, 224, 0.2, 0.875),
    "b1": Coefficients(1.0, 1.1, 240, 0.2, 0.882),
    "b2": Coefficients(1.1, 1.2, 260, 0.3, 0.890),
    "b3": Coefficients(1.2, 1.4, 300, 0.3, 0.904),
}


def _v2_base(name: str) -> Architecture:
    stem, rows, resolution, dropout = _V2[name]
    blocks = (_fused(e) if i < 3 else _mb(3, e) for i, e in enumerate(_EXPANSIONS))
    return Architecture(
        name=f"tf_efficientnetv2_{name}",
        resolution=resolution,
        stem=stem,
        stages=stages(tuple((b, c, r, s) for b, (r, c), s in zip(blocks, rows, _STRIDES, strict=False))),
        head=1280,
        norm=_V2_NORM,
        dropout=dropout,
        rounding=Rounding(channel_floor=0),
    )


_TF = [
    *(variant(_B0, f"tf_efficientnet_{name}", row) for name, row in V1.items()),
    *(variant(_v2_base("b0"), f"tf_efficientnetv2_{name}", row) for name, row in V2_B.items()),
    *(_v2_base(name) for name in ("s", "m", "l", "xl")),
]

ARCHITECTURES: dict[str, Architecture] = {arch.name: arch for tf in _TF for arch in both_forms(tf)}
"""Every variant, by name."""


def _preprocessing(arch: Architecture) -> Preprocessing:
    """As the variant was published: V1 and V2-B crop the centre, V2-S/M/L/XL squash into -1..1."""
    family, _, size = arch.name.removeprefix("tf_").partition("_")
    row = (V1 if family == "efficientnet" else V2_B).get(size)
    if row is not None:
        return Preprocessing(resolution=arch.resolution, crop_fraction=row.crop_fraction)
    return Preprocessing(  # (x - 128) / 128
        resolution=arch.resolution, crop_fraction=1.0, crop="squash", interpolation="bilinear", mean=HALF, std=HALF
    )


PREPROCESSING: dict[str, Preprocessing] = {name: _preprocessing(arch) for name, arch in ARCHITECTURES.items()}
"""The published evaluation preprocessing of each variant. A weights record, where there is one, comes first."""
