"""The networks that EfficientNet is compared with: values too, but without stages; built, counted, trained, not scaled.

A comparator says which network is meant and who has its code: torchvision, timm, or ``nn/comparators`` for the two
that nobody keeps. What it is made of is not described here, so there is nothing that a rule could scale.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from compoundnet.architecture import Architecture
from compoundnet.architecture.record import Reader, parse, read, read_kind
from compoundnet.checks import check_choice, check_number, check_text, check_whole
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing

__all__ = ["COMPARATORS", "PREPROCESSING", "AmoebaNetD", "AnyNetwork", "Comparator", "Maker", "Timm", "TorchVision"]
__all__ += ["ZFNet", "not_scalable", "read_network"]

_TorchVisionModel = Literal[
    "alexnet", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "googlenet", "densenet121", "densenet169", "densenet201"
]
_TimmModel = Literal["legacy_xception", "nasnetalarge"]

# Pixels below which poolings and unpadded convolutions leave nothing.
_LEAST_SIDES = {
    "alexnet": 63, "vgg16": 32, "vgg16_bn": 32, "vgg19": 32, "vgg19_bn": 32, "googlenet": 15, "densenet121": 29,
    "densenet169": 29, "densenet201": 29,  # torchvision 0.29 weights metadata, ``min_size``
    "legacy_xception": 7, "nasnetalarge": 3,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class TorchVision:
    """A network of torchvision's, by its name there."""

    model: _TorchVisionModel

    def __post_init__(self) -> None:
        check_choice("TorchVision.model", self.model, get_args(_TorchVisionModel))

    @property
    def least_side(self) -> int:
        """Pixels of the smallest image that it takes."""
        return _LEAST_SIDES[self.model]


@dataclass(frozen=True, kw_only=True, slots=True)
class Timm:
    """A network of timm's, by its name there."""

    model: _TimmModel

    def __post_init__(self) -> None:
        check_choice("Timm.model", self.model, get_args(_TimmModel))

    @property
    def least_side(self) -> int:
        """Pixels of the smallest image that it takes."""
        return _LEAST_SIDES[self.model]


@dataclass(frozen=True, slots=True)
class ZFNet:
    """Zeiler & Fergus, "Visualizing and understanding convolutional networks" (2013), figure 3."""

    @property
    def least_side(self) -> int:
        """Pixels of the smallest image that it takes."""
        return 47


@dataclass(frozen=True, kw_only=True, slots=True)
class AmoebaNetD:
    """AmoebaNet-D(L, D) of GPipe (Huang et al. 2019): ``layers`` normal cells in three groups.

    ``filters`` is the width of the cells in the first group, four times the stem's; each next group has twice that.
    """

    layers: int
    filters: int

    def __post_init__(self) -> None:
        check_whole("AmoebaNetD.layers", self.layers, least=3)
        # Below 32, strided 1x1 convolutions of 4 to 6 channels come up, whose gradients corrupt memory with channels
        # last (torch 2.15 with oneDNN).
        check_whole("AmoebaNetD.filters", self.filters, least=32)
        if self.layers % 3:
            raise RequestError(f"AmoebaNetD.layers is {self.layers}; it must be a multiple of 3, such as 18")
        if self.filters % 8:
            raise RequestError(f"AmoebaNetD.filters is {self.filters}; it must be a multiple of 8, such as 208")

    @property
    def least_side(self) -> int:
        """Pixels of the smallest image that it takes."""
        return 1


Maker: TypeAlias = TorchVision | Timm | ZFNet | AmoebaNetD

_MAKERS: dict[str, type[Maker]] = {kind.__name__: kind for kind in (TorchVision, Timm, ZFNet, AmoebaNetD)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparator:
    """One of the networks that others are compared with: who makes it, for which images and classes.

    ``dropout`` is the rate of its own dropout layers (between the three linear layers of AlexNet, ZFNet and VGG,
    before the classifier in all others); ``resolution`` the side of the square input in pixels. Raises
    RequestError, naming the field and what would be right.
    """

    name: str
    maker: Maker
    resolution: int
    in_channels: int = 3
    classes: int = 1000
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_text("name", self.name, "alexnet")
        if not isinstance(self.maker, Maker):
            raise RequestError(f"maker is {self.maker!r:.60}; it must be one of {', '.join(_MAKERS)}")
        for name in ("resolution", "in_channels", "classes"):
            check_whole(name, getattr(self, name))
        check_number("dropout", self.dropout, lambda x: 0 <= x < 1, "lie in [0, 1)")
        self.check_side("resolution", self.resolution)

    def check_side(self, name: str, side: int) -> None:
        """RequestError unless the network takes images of ``side`` pixels; ``name`` is what asks for them."""
        if side < self.maker.least_side:
            raise RequestError(f"{name} is {side}; {self.name} takes images of at least {self.maker.least_side} pixels")

    def to_json(self) -> str:
        """JSON text that :func:`read_network` reads back to an equal value; its key ``maker`` tells it apart."""
        return json.dumps(asdict(self) | {"maker": {"type": type(self.maker).__name__, **asdict(self.maker)}}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Comparator":
        """The value written by :meth:`to_json`; RequestError says where the text is wrong."""
        return read(cls, parse(text), "comparator", _NESTED)


_NESTED: dict[str, Reader] = {"maker": read_kind("maker", _MAKERS)}

AnyNetwork: TypeAlias = Architecture | Comparator
"""A network as a value, of either kind."""


def read_network(text: str) -> AnyNetwork:
    """The architecture or the comparator of a JSON text; RequestError says where the text is wrong."""
    record = parse(text)
    kind: type[AnyNetwork] = Comparator if isinstance(record, dict) and "maker" in record else Architecture
    return kind.from_json(text)


def not_scalable(name: str) -> RequestError:
    """The error for a comparator where an architecture is needed."""
    return RequestError(
        f"{name!r} is a comparator, which can be described, trained and evaluated but has no stages to scale; "
        "efficientnet_b0, mobilenetv2_100 and resnet50 have"
    )


def _row(name: str, maker: Maker, resolution: int = 224, dropout: float = 0.0) -> Comparator:
    return Comparator(name=name, maker=maker, resolution=resolution, dropout=dropout)


# (L, D) of the GPipe paper: tables 1 and 2, and section 4's (18, 512); (18, 552) has as many parameters as the
# AmoebaNet-B(18, 512) there, of which no code was published.
_AMOEBANETS = ((18, 208), (18, 256), (18, 416), (18, 512), (18, 544), (18, 552), (36, 544), (72, 512))

COMPARATORS: dict[str, Comparator] = {
    comparator.name: comparator
    for comparator in (
        # Krizhevsky 2014, "One weird trick": the one tower that torchvision has, not the two of 2012. Dropout: paper.
        _row("alexnet", TorchVision(model="alexnet"), dropout=0.5),
        _row("zfnet", ZFNet(), dropout=0.5),
        # Simonyan & Zisserman 2014, configurations D and E; "_bn": a batch norm after each convolution, torchvision's.
        _row("vgg16", TorchVision(model="vgg16"), dropout=0.5),
        _row("vgg16_bn", TorchVision(model="vgg16_bn"), dropout=0.5),
        _row("vgg19", TorchVision(model="vgg19"), dropout=0.5),
        _row("vgg19_bn", TorchVision(model="vgg19_bn"), dropout=0.5),
        # Szegedy et al. 2014, Inception v1; with batch norms, and 3x3 for 5x5 kernels, as its ported weights have it.
        _row("googlenet", TorchVision(model="googlenet"), dropout=0.2),
        # Huang et al. 2016. The paper's dropout, after each layer, is for data without augmentation.
        _row("densenet121", TorchVision(model="densenet121")),
        _row("densenet169", TorchVision(model="densenet169")),
        _row("densenet201", TorchVision(model="densenet201")),
        # Chollet 2016; dropout: section 4.
        _row("xception", Timm(model="legacy_xception"), resolution=299, dropout=0.5),
        # Zoph et al. 2017, NASNet-A (6 @ 4032); dropout: tensorflow/models ``nasnet.py``, large ImageNet.
        _row("nasnetalarge", Timm(model="nasnetalarge"), resolution=331, dropout=0.5),
        # Real et al. 2018, and Huang et al. 2019 (224 pixels in table 1); dropout: tensorflow/tpu ``amoeba_net``.
        *(
            _row(f"amoebanet_d_{layers}_{filters}", AmoebaNetD(layers=layers, filters=filters), dropout=0.5)
            for layers, filters in _AMOEBANETS
        ),
    )
}
"""Every comparator, by name."""

_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

# What differs from torchvision 0.29 ``ImageClassification``, by which all of its own were published.
_PREPARED: dict[str, dict[str, Any]] = {
    "xception": {"crop_fraction": 0.8975, "interpolation": "bicubic", **_HALF},  # timm aa4b585 ``xception.py``
    "nasnetalarge": {"crop_fraction": 0.911, "interpolation": "bicubic", **_HALF},  # timm aa4b585 ``nasnet.py``
    "googlenet": _HALF,  # its published weights: ImageNet's mean and deviation, and ``transform_input`` after them
    # tensorflow/tpu ``amoeba_net/inception_preprocessing.py``
    **{name: _HALF for name in COMPARATORS if name.startswith("amoebanet_d")},
}

PREPROCESSING: dict[str, Preprocessing] = {
    name: Preprocessing(**{"resolution": comparator.resolution, "interpolation": "bilinear", **_PREPARED.get(name, {})})
    for name, comparator in COMPARATORS.items()
}
"""As published. A weights record, where there is one, comes first."""
