"""MobileNetV1 (Howard et al. 2017) and MobileNetV2 (Sandler et al., CVPR 2018) at width 1, named as in timm."""

from compoundnet.architecture import Architecture, Block, DepthwiseSeparable, MBConv, Norm, Stage
from compoundnet.preprocessing import Preprocessing

__all__ = ["ARCHITECTURES", "PREPROCESSING"]

_NORM = Norm(eps=1e-5, momentum=0.1)  # torch's; the original code has eps 1e-3


def _stages(rows: tuple[tuple[Block, int, int, int], ...]) -> tuple[Stage, ...]:
    return tuple(Stage(block=b, channels=c, repeats=r, stride=s) for b, c, r, s in rows)


def _inverted(expansion: int) -> MBConv:
    return MBConv(kernel=3, expansion=expansion, se_ratio=0)


# Block, channels, repeats, stride. Paper, Table 1; tensorflow/models research/slim/nets/mobilenet_v1.py
# ``MOBILENETV1_CONV_DEFS``. Its stages end where the sides halve; the last stride in the paper's table, 2, is
# a misprint for 1. Keeps 0.999 of what the classifier takes.
_V1 = Architecture(
    name="mobilenetv1_100",
    resolution=224,
    stem=32,
    stages=_stages(
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
    norm=_NORM,
    dropout=0.001,
    drop_path=0.0,
)

# Paper, Table 2; tensorflow/models research/slim/nets/mobilenet/mobilenet_v2.py ``V2_DEF``.
_V2 = Architecture(
    name="mobilenetv2_100",
    resolution=224,
    stem=32,
    stages=_stages(
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
    norm=_NORM,
    dropout=0.2,
    drop_path=0.0,
)

ARCHITECTURES: dict[str, Architecture] = {arch.name: arch for arch in (_V1, _V2)}
"""Every network here, by name."""

# tensorflow/models research/slim/preprocessing/inception_preprocessing.py ``preprocess_for_eval``:
# the middle 87.5 %, bilinear, to -1..1.
_HALF = (0.5, 0.5, 0.5)
PREPROCESSING: dict[str, Preprocessing] = {
    name: Preprocessing(resolution=arch.resolution, interpolation="bilinear", mean=_HALF, std=_HALF)
    for name, arch in ARCHITECTURES.items()
}
"""As in the original code. A weights record, where there is one, comes first."""
