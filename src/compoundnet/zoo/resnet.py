"""ResNet (He et al., CVPR 2016) and ResNet-RS (Bello et al., NeurIPS 2021, arXiv:2103.07579), named as in timm.

ResNets are timm's and torchvision's: the stride in the 3x3 convolution ("v1.5").
"""

from dataclasses import replace
from typing import NamedTuple

from compoundnet.architecture import Architecture, BasicBlock, Block, Bottleneck, Norm, Stage
from compoundnet.preprocessing import Preprocessing

__all__ = ["ARCHITECTURES", "PREPROCESSING"]

_STRIDES = (1, 2, 2, 2)


class _Rs(NamedTuple):
    """How a ResNet-RS differs from the others: repeats, pixels, rates."""

    repeats: tuple[int, ...]
    resolution: int
    dropout: float
    drop_path: float


# name: block, repeats of the four stages, channels of the first. Paper, Table 1; torchvision 0.20 models/resnet.py.
_PLAIN: dict[str, tuple[Block, tuple[int, ...], int]] = {
    "resnet18": (BasicBlock(), (2, 2, 2, 2), 64),
    "resnet34": (BasicBlock(), (3, 4, 6, 3), 64),
    "resnet50": (Bottleneck(), (3, 4, 6, 3), 256),
    "resnet101": (Bottleneck(), (3, 4, 23, 3), 256),
    "resnet152": (Bottleneck(), (3, 8, 36, 3), 256),
}

# tensorflow/tpu bee9c4f models/official/resnet: repeats in resnet_model.py ``resnet``, all else in
# resnet_rs/configs/resnetrs*_i*.yaml, of the sizes whose weights timm has. There all blocks of a stage share a rate
# of stochastic depth (0.04, 0.06, 0.08, 0.1); here it rises block by block to the same end. Norms: the code takes
# the last batch's statistics and averages them with the weights; here torch's usual momentum.
_RS = {
    "resnetrs50": _Rs((3, 4, 6, 3), 160, 0.25, 0.0),
    "resnetrs101": _Rs((3, 4, 23, 3), 192, 0.25, 0.0),
    "resnetrs152": _Rs((3, 8, 36, 3), 256, 0.25, 0.0),
    "resnetrs200": _Rs((3, 24, 36, 3), 256, 0.25, 0.1),
    "resnetrs270": _Rs((4, 29, 53, 4), 256, 0.25, 0.1),
    "resnetrs350": _Rs((4, 36, 72, 4), 256, 0.25, 0.1),
    "resnetrs420": _Rs((4, 44, 87, 4), 320, 0.4, 0.1),
}
_CROP_PADDING = 32  # pixels: the centre square is resolution / (resolution + 32) of the short side


def _resnet(name: str, block: Block, repeats: tuple[int, ...], channels: int) -> Architecture:
    rows = enumerate(zip(repeats, _STRIDES, strict=True))
    return Architecture(
        name=name,
        resolution=224,
        stem=64,
        stem_kernel=7,
        stem_pool=True,
        stages=tuple(Stage(block=block, channels=channels << i, repeats=r, stride=s) for i, (r, s) in rows),
        head=None,
        activation="relu",
        padding="symmetric",
        norm=Norm(eps=1e-5, momentum=0.1),
        dropout=0.0,
        drop_path=0.0,
    )


def _resnet_rs(name: str, row: _Rs) -> Architecture:
    """Deep stem, a convolution in place of its pooling, pooled shortcuts (ResNet-D) and squeeze-excitation."""
    block = Bottleneck(se_ratio=0.25, pool_shortcut=True)
    return replace(
        _resnet(name, block, row.repeats, 256),
        resolution=row.resolution,
        stem=32,
        stem_kernel=3,
        stem_deep=(32, 64),
        stem_pool="conv",
        dropout=row.dropout,
        drop_path=row.drop_path,
    )


ARCHITECTURES: dict[str, Architecture] = {
    **{name: _resnet(name, *row) for name, row in _PLAIN.items()},
    **{name: _resnet_rs(name, row) for name, row in _RS.items()},
}
"""Every network here, by name."""


def _preprocessing(arch: Architecture) -> Preprocessing:
    """ResNets as torchvision 0.20 ``ResNet50_Weights.IMAGENET1K_V1``: short side 256, centre 224, bilinear.

    ResNet-RS as tensorflow/tpu bee9c4f models/official/resnet/resnet_preprocessing.py, bicubic.
    """
    side = arch.resolution
    if arch.name in _PLAIN:
        return Preprocessing(resolution=side, interpolation="bilinear")
    share = side * 10_000 // (side + _CROP_PADDING) / 10_000  # cut off, so that the short side comes out whole
    return Preprocessing(resolution=side, crop_fraction=share)


PREPROCESSING: dict[str, Preprocessing] = {name: _preprocessing(arch) for name, arch in ARCHITECTURES.items()}
"""As published. A weights record, where there is one, comes first."""
