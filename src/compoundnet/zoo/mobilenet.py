"""MobileNetV1 (Howard et al. 2017), V2 (Sandler et al., CVPR 2018) and V3 (Howard et al., ICCV 2019), named as in timm.

At width 1. The third exists twice, as in :mod:`compoundnet.zoo.efficientnet`; the first two have torch's norm and are
padded symmetrically, where the original code has epsilon 1e-3.
"""

from compoundnet.architecture import Activation, Architecture, DepthwiseSeparable, MBConv, Stage
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo.rows import HALF, TF_NORM, TORCH_NORM, both_forms, stages

__all__ = ["ARCHITECTURES", "PREPROCESSING"]


def _inverted(expansion: int) -> MBConv:
    return MBConv(kernel=3, expansion=expansion, se_ratio=0)


# Block, channels, repeats, stride. Paper, Table 1; tensorflow/models research/slim/nets/mobilenet_v1.py
# ``MOBILENETV1_CONV_DEFS``. Its stages end where the sides halve; the last stride in the paper's table, 2, is
# a misprint for 1. Keeps 0.999 of what the classifier takes.
_V1 = Architecture(
    name="mobilenetv1_100",
    resolution=224,
    stem=32,
    stages=stages(
        (
            (DepthwiseSeparable(kernel=3), 64, 1, 1),
            (DepthwiseSeparable(kernel=3), 128, 2, 2),
            (DepthwiseSeparable(kernel=3), 256, 2, 2),
            (DepthwiseSeparable(kernel=3), 512, 6, 2),
            (DepthwiseSeparable(kernel=3), 1024, 2, 2),
        )
    ),
    head=None,
    activation="relu6",
    padding="symmetric",
    norm=TORCH_NORM,
    dropout=0.001,
    drop_path=0.0,
)

# Paper, Table 2; tensorflow/models research/slim/nets/mobilenet/mobilenet_v2.py ``V2_DEF``.
_V2 = Architecture(
    name="mobilenetv2_100",
    resolution=224,
    stem=32,
    stages=stages(
        (
            (_inverted(1), 16, 1, 1),
            (_inverted(6), 24, 2, 2),
            (_inverted(6), 32, 3, 2),
            (_inverted(6), 64, 4, 2),
            (_inverted(6), 96, 3, 1),
            (_inverted(6), 160, 3, 2),
            (_inverted(6), 320, 1, 1),
        )
    ),
    head=1280,
    activation="relu6",
    padding="symmetric",
    norm=TORCH_NORM,
    dropout=0.2,
    drop_path=0.0,
)


def _v3(kernel: int, expansion: float, se_ratio: float = 0.0, activation: Activation | None = None) -> MBConv:
    return MBConv(kernel=kernel, expansion=expansion, se_ratio=se_ratio, squeeze="mobilenetv3", activation=activation)


def _mobilenet_v3(name: str, rows: tuple[Stage, ...], head: int, hidden: int) -> Architecture:
    return Architecture(
        name=f"tf_{name}",
        resolution=224,
        stem=16,
        stages=rows,
        head=head,
        hidden=hidden,
        activation="hardswish",
        norm=TF_NORM,  # paper, section 6.1.1: decay 0.99
        dropout=0.2,
        drop_path=0.0,
    )


# Paper, Tables 1 and 2; tensorflow/models research/slim/nets/mobilenet/mobilenet_v3.py ``V3_LARGE``. They give the
# expanded widths; as factors of the input these are 2.5, 2.3, 4.5 and 3.67 after rounding to multiples of 8. Where the
# factor changes within a stage of one side, a stage of its own begins.
_V3_LARGE = _mobilenet_v3(
    "mobilenetv3_large_100",
    stages(
        (
            (_v3(3, 1, activation="relu"), 16, 1, 1),
            (_v3(3, 4, activation="relu"), 24, 1, 2),
            (_v3(3, 3, activation="relu"), 24, 1, 1),
            (_v3(5, 3, 0.25, "relu"), 40, 3, 2),
            (_v3(3, 6), 80, 1, 2),
            (_v3(3, 2.5), 80, 1, 1),
            (_v3(3, 2.3), 80, 2, 1),
            (_v3(3, 6, 0.25), 112, 2, 1),
            (_v3(5, 6, 0.25), 160, 3, 2),
        )
    ),
    head=960,
    hidden=1280,
)

# The same, ``V3_SMALL``.
_V3_SMALL = _mobilenet_v3(
    "mobilenetv3_small_100",
    stages(
        (
            (_v3(3, 1, 0.25, "relu"), 16, 1, 2),
            (_v3(3, 4.5, activation="relu"), 24, 1, 2),
            (_v3(3, 3.67, activation="relu"), 24, 1, 1),
            (_v3(5, 4, 0.25), 40, 1, 2),
            (_v3(5, 6, 0.25), 40, 2, 1),
            (_v3(5, 3, 0.25), 48, 2, 1),
            (_v3(5, 6, 0.25), 96, 3, 2),
        )
    ),
    head=576,
    hidden=1024,
)

_ALL = (_V1, _V2, *both_forms(_V3_LARGE), *both_forms(_V3_SMALL))

ARCHITECTURES: dict[str, Architecture] = {arch.name: arch for arch in _ALL}
"""Every network here, by name."""

# tensorflow/models research/slim/preprocessing/inception_preprocessing.py ``preprocess_for_eval``:
# the middle 87.5 %, bilinear, to -1..1.
PREPROCESSING: dict[str, Preprocessing] = {
    name: Preprocessing(resolution=arch.resolution, interpolation="bilinear", mean=HALF, std=HALF)
    for name, arch in ARCHITECTURES.items()
}
"""As in the original code. A weights record, where there is one, comes first."""
