"""ResNet (He et al., CVPR 2016), as in timm and torchvision: the stride in the 3x3 convolution ("v1.5")."""

from compoundnet.architecture import Architecture, Bottleneck, Norm, Stage
from compoundnet.preprocessing import Preprocessing

__all__ = ["ARCHITECTURES", "PREPROCESSING"]

# name: repeats of the four stages. Paper, Table 1; torchvision 0.20 models/resnet.py ``resnet50``.
_REPEATS = {"resnet50": (3, 4, 6, 3)}

_CHANNELS = (256, 512, 1024, 2048)
_STRIDES = (1, 2, 2, 2)


def _resnet(name: str, repeats: tuple[int, ...]) -> Architecture:
    rows = zip(_CHANNELS, repeats, _STRIDES, strict=True)
    return Architecture(
        name=name,
        resolution=224,
        stem=64,
        stem_kernel=7,
        stem_pool=True,
        stages=tuple(Stage(block=Bottleneck(), channels=c, repeats=r, stride=s) for c, r, s in rows),
        head=None,
        activation="relu",
        padding="symmetric",
        norm=Norm(eps=1e-5, momentum=0.1),
        dropout=0.0,
        drop_path=0.0,
    )


ARCHITECTURES: dict[str, Architecture] = {name: _resnet(name, repeats) for name, repeats in _REPEATS.items()}
"""Every network here, by name."""

# torchvision 0.20 ``ResNet50_Weights.IMAGENET1K_V1``: short side 256, centre 224, bilinear.
PREPROCESSING: dict[str, Preprocessing] = {
    name: Preprocessing(resolution=arch.resolution, interpolation="bilinear") for name, arch in ARCHITECTURES.items()
}
"""As published with torchvision's weights. A weights record, where there is one, comes first."""
