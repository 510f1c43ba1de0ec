"""MnasNet (Tan et al., CVPR 2019): A1 (``semnasnet_100`` in timm), B1 (``mnasnet_100``) and small, as in timm.

Padded symmetrically and with torch's norm, as timm's weights are; the original pads like TensorFlow, with epsilon 1e-3.
"""

from compoundnet.architecture import Architecture, MBConv, Stage
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo.rows import TORCH_NORM, stages

__all__ = ["ARCHITECTURES", "PREPROCESSING"]


def _mb(kernel: int, expansion: int, se_ratio: float = 0.0, skip: bool = True) -> MBConv:
    return MBConv(kernel=kernel, expansion=expansion, se_ratio=se_ratio, skip=skip)


def _mnasnet(name: str, stem: int, rows: tuple[Stage, ...], dropout: float) -> Architecture:
    return Architecture(
        name=name,
        resolution=224,
        stem=stem,
        stages=rows,
        head=1280,
        activation="relu",
        padding="symmetric",
        norm=TORCH_NORM,
        dropout=dropout,
        drop_path=0.0,
    )


# tensorflow/tpu 05f7b15 models/official/mnasnet/mnasnet_models.py ``mnasnet_a1``.
_A1 = _mnasnet(
    "semnasnet_100",
    32,
    stages(
        (
            (_mb(3, 1, skip=False), 16, 1, 1),
            (_mb(3, 6), 24, 2, 2),
            (_mb(5, 3, 0.25), 40, 3, 2),
            (_mb(3, 6), 80, 4, 2),
            (_mb(3, 6, 0.25), 112, 2, 1),
            (_mb(5, 6, 0.25), 160, 3, 2),
            (_mb(3, 6), 320, 1, 1),
        )
    ),
    dropout=0.2,
)

# The same file, ``mnasnet_b1``.
_B1 = _mnasnet(
    "mnasnet_100",
    32,
    stages(
        (
            (_mb(3, 1, skip=False), 16, 1, 1),
            (_mb(3, 3), 24, 3, 2),
            (_mb(5, 3), 40, 3, 2),
            (_mb(5, 6), 80, 3, 2),
            (_mb(3, 6), 96, 2, 1),
            (_mb(5, 6), 192, 4, 2),
            (_mb(3, 6, skip=False), 320, 1, 1),
        )
    ),
    dropout=0.2,
)

# The same file, ``mnasnet_small``. Its first stage says 16 channels in, 8 out, so that the original adds no input
# there; the stem gives 8, and timm, whose weights these are, adds it.
_SMALL = _mnasnet(
    "mnasnet_small",
    8,
    stages(
        (
            (_mb(3, 1), 8, 1, 1),
            (_mb(3, 3), 16, 1, 2),
            (_mb(3, 6), 16, 2, 2),
            (_mb(5, 6, 0.25), 32, 4, 2),
            (_mb(3, 6, 0.25), 32, 3, 1),
            (_mb(5, 6, 0.25), 88, 3, 2),
            (_mb(3, 6), 144, 1, 1),
        )
    ),
    dropout=0.0,
)

ARCHITECTURES: dict[str, Architecture] = {arch.name: arch for arch in (_A1, _B1, _SMALL)}
"""Every network here, by name."""

PREPROCESSING: dict[str, Preprocessing] = {name: Preprocessing(resolution=224) for name in ARCHITECTURES}
"""The middle 87.5 %, bicubic, ImageNet's mean, as in the original code. A weights record comes first."""
