"""Accuracy on ImageNet as published: one row a network, with its source; the ones that the figure shows.

Every row is single-crop, single-network accuracy on the validation images of ILSVRC-2012, trained on its training
images alone. Where sources differ, the row's note says which is used and what the other says.
"""

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["PAPER", "PUBLISHED", "Published", "find_published"]

_TABLE_2 = "EfficientNet, arXiv:1905.11946v5, Table 2"
_TABLE_3 = "EfficientNet, arXiv:1905.11946v5, Table 3"
_VGG_TABLE_7 = "VGG, arXiv:1409.1556, Table 7"
_TORCHVISION = "torchvision 0.29, weights IMAGENET1K_V1"
_MNASNET = "tensorflow/tpu, models/official/mnasnet/README.md"
_LITE = "tensorflow/tpu, models/official/efficientnet/lite/README.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a source says of a network.

    Attributes:
        label: its name as published.
        names: ours of the same network, the usual one first; none where it is not implemented here.
        top1: percentage of validation images.
        top5: the same, None where the source has none.
        params_m: millions of parameters, with the digits that the source gives.
        macs_g: billions of multiply-adds (the papers' "FLOPS"), likewise.
        resolution: pixels of the side.
        source: where it stands.
        note: why a figure is not what is counted here, or what another source says.
        curve: a member of the family that the figure draws as a line.
    """

    label: str
    names: tuple[str, ...]
    top1: float
    top5: float | None
    params_m: Decimal | None
    macs_g: Decimal | None
    resolution: int | None
    source: str
    note: str = ""
    curve: bool = False


def _row(
    label: str,
    name: str | None,
    accuracy: tuple[float, float | None],
    costs: tuple[str | None, str | None],
    resolution: int | None,
    source: str,
    note: str = "",
) -> Published:
    params, macs = (None if text is None else Decimal(text) for text in costs)
    names: tuple[str, ...] = () if name is None else (name,)
    if label.startswith(("EfficientNet-B", "EfficientNet-lite")):
        names += tuple(f"tf_{name}" for name in names)  # equal but for where the padding stands
    return Published(
        label=label, names=names, top1=accuracy[0], top5=accuracy[1], params_m=params, macs_g=macs,
        resolution=resolution, source=source, note=note, curve=label.startswith("EfficientNet-B"),
    )  # fmt: skip


_COUNTED = "counted here as torchvision's metadata have them; the paper does not say how it counted"

_ROWS = (
    # Before the paper's tables. torchvision's figures where it has the network, since its code is what is built here.
    _row("AlexNet", "alexnet", (56.522, 79.066), ("61.101", "0.714"), 224, _TORCHVISION,
         "one tower, as built here; of the two towers of 2012, VGG's Table 7 cites 59.3 and 81.8"),
    _row("ZFNet", "zfnet", (62.5, 84.0), (None, None), 224, _VGG_TABLE_7, "one network; no weights are published"),
    _row("VGG-16", "vgg16", (71.592, 90.382), ("138.358", "15.470"), 224, _TORCHVISION),
    _row("VGG-19", "vgg19", (72.376, 90.876), ("143.667", "19.632"), 224, _TORCHVISION),
    _row("GoogLeNet", "googlenet", (69.778, 89.530), ("6.625", "1.498"), 224, _TORCHVISION,
         "the EfficientNet paper, section 2, says 74.8 and 6.8 M parameters; that accuracy is not this network's, "
         "Inception v1, but of the class of Inception v2"),
    _row("ResNet-34", "resnet34", (73.314, 91.420), ("21.798", "3.664"), 224, _TORCHVISION),
    _row("MobileNetV1", "mobilenetv1_100", (70.6, None), (None, "0.6"), 224, _TABLE_3),
    _row("MobileNetV2", "mobilenetv2_100", (72.0, None), (None, "0.3"), 224, _TABLE_3,
         "torchvision's weights reach 71.878"),
    _row("MobileNetV3-L", "mobilenetv3_large_100", (74.042, 91.340), ("5.483", "0.217"), 224, _TORCHVISION),
    _row("MnasNet-A1", "semnasnet_100", (75.2, 92.5), ("3.9", "0.3152"), 224, _MNASNET,
         "MACs: 311.6 M are counted in convolutions and linear layers; the README does not say what else it counted"),
    _row("DenseNet-201", "densenet201", (76.896, 93.370), ("20.014", "4.291"), 224, _TORCHVISION),
    # EfficientNet, Table 2, in its order but for the EfficientNets themselves.
    _row("ResNet-50", "resnet50", (76.0, 93.0), ("26", "4.1"), 224, _TABLE_2, "torchvision's weights reach 76.130"),
    _row("DenseNet-169", "densenet169", (76.2, 93.2), ("14", "3.5"), 224, _TABLE_2, f"MACs: 3.36 G are {_COUNTED}"),
    _row("ResNet-152", "resnet152", (77.8, 93.8), ("60", "11"), 224, _TABLE_2,
         "MACs: 11.5 G are counted with the stride in the 3x3 convolutions, as torchvision and timm have it; the "
         "ResNet paper has it in the first 1x1, with 11.3 G. torchvision's weights reach 78.312"),
    _row("DenseNet-264", None, (77.9, 93.9), ("34", "6.0"), 224, _TABLE_2),
    _row("Inception-v3", None, (78.8, 94.4), ("24", "5.7"), 299, _TABLE_2),
    _row("Xception", "xception", (79.0, 94.5), ("23", "8.4"), 299, _TABLE_2),
    _row("Inception-v4", None, (80.0, 95.0), ("48", "13"), 299, _TABLE_2),
    _row("Inception-ResNet-v2", None, (80.1, 95.1), ("56", "13"), 299, _TABLE_2),
    _row("ResNeXt-101", None, (80.9, 95.6), ("84", "32"), None, _TABLE_2),
    _row("PolyNet", None, (81.3, 95.8), ("92", "35"), 331, _TABLE_2),
    _row("SENet", None, (82.7, 96.2), ("146", "42"), 320, _TABLE_2),
    _row("NASNet-A", "nasnetalarge", (82.7, 96.2), ("89", "24"), 331, _TABLE_2),
    _row("AmoebaNet-A", None, (82.8, 96.1), ("87", "23"), 331, _TABLE_2),
    _row("PNASNet", None, (82.9, 96.2), ("86", "23"), 331, _TABLE_2),
    _row("AmoebaNet-C", None, (83.5, 96.5), ("155", "41"), None, _TABLE_2),
    _row("GPipe", None, (84.3, 97.0), ("557", None), 480, _TABLE_2,
         "AmoebaNet-B (18, 512), of which no code was published; the GPipe paper (NeurIPS 2019) says 84.4. "
         "amoebanet_d_18_552 has about as many parameters"),
    _row("EfficientNet-B0", "efficientnet_b0", (77.1, 93.3), ("5.3", "0.39"), 224, _TABLE_2, "v1 of the paper: 76.3"),
    _row("EfficientNet-B1", "efficientnet_b1", (79.1, 94.4), ("7.8", "0.70"), 240, _TABLE_2,
         f"MACs: 0.687 G are {_COUNTED}. v1 of the paper: 78.8"),
    _row("EfficientNet-B2", "efficientnet_b2", (80.1, 94.9), ("9.2", "1.0"), 260, _TABLE_2,
         f"parameters: 9.11 M are {_COUNTED}. v1 of the paper: 79.8"),
    _row("EfficientNet-B3", "efficientnet_b3", (81.6, 95.7), ("12", "1.8"), 300, _TABLE_2, "v1 of the paper: 81.1"),
    _row("EfficientNet-B4", "efficientnet_b4", (82.9, 96.4), ("19", "4.2"), 380, _TABLE_2,
         f"MACs: 4.39 G are {_COUNTED}. v1 of the paper: 82.6"),
    _row("EfficientNet-B5", "efficientnet_b5", (83.6, 96.7), ("30", "9.9"), 456, _TABLE_2,
         f"MACs: 10.3 G are {_COUNTED}. v1 of the paper: 83.3"),
    _row("EfficientNet-B6", "efficientnet_b6", (84.0, 96.8), ("43", "19"), 528, _TABLE_2),
    _row("EfficientNet-B7", "efficientnet_b7", (84.3, 97.0), ("66", "37"), 600, _TABLE_2,
         f"MACs: 37.7 G are {_COUNTED}. v1 of the paper: 84.4"),
    # Not in the figure unless asked for.
    _row("ResNet-18", "resnet18", (69.758, 89.078), ("11.690", "1.814"), 224, _TORCHVISION),
    _row("ResNet-101", "resnet101", (77.374, 93.546), ("44.549", "7.801"), 224, _TORCHVISION),
    _row("DenseNet-121", "densenet121", (74.434, 91.972), ("7.979", "2.834"), 224, _TORCHVISION),
    _row("VGG-16, batch norm", "vgg16_bn", (73.360, 91.516), ("138.366", "15.470"), 224, _TORCHVISION),
    _row("VGG-19, batch norm", "vgg19_bn", (74.218, 91.842), ("143.678", "19.632"), 224, _TORCHVISION),
    _row("MobileNetV3-S", "mobilenetv3_small_100", (67.668, 87.402), ("2.543", "0.057"), 224, _TORCHVISION),
    _row("MnasNet-B1", "mnasnet_100", (73.456, 91.510), ("4.383", "0.314"), 224, _TORCHVISION),
    _row("EfficientNetV2-S", "efficientnetv2_s", (84.228, 96.878), ("21.458", "8.366"), 384, _TORCHVISION),
    _row("EfficientNetV2-M", "efficientnetv2_m", (85.112, 97.156), ("54.139", "24.582"), 480, _TORCHVISION),
    _row("EfficientNetV2-L", "efficientnetv2_l", (85.808, 97.788), ("118.515", "56.080"), 480, _TORCHVISION),
    *(
        _row(f"EfficientNet-lite{i}", f"efficientnet_lite{i}", (top1, None), costs, side, _LITE,
             "MACs: 3 to 6 % fewer are counted in convolutions and linear layers; the README does not say what else it "
             "counted")
        for i, (top1, costs, side) in enumerate((
            (75.1, ("4.7", "0.407"), 224), (76.7, ("5.4", "0.631"), 240), (77.6, ("6.1", "0.899"), 260),
            (79.8, ("8.2", "1.44"), 280), (81.5, ("13.0", "2.64"), 300),
        ))
    ),
)  # fmt: skip

PUBLISHED: dict[str, Published] = {row.label: row for row in _ROWS}
"""Every row, by its name as published."""

_FIRST_UNSHOWN = "ResNet-18"

PAPER: tuple[str, ...] = (*list(PUBLISHED)[: list(PUBLISHED).index(_FIRST_UNSHOWN)], "amoebanet_d_18_552")
"""What is compared by default: the paper's Table 2 and Figure 1, what came before, and an AmoebaNet of GPipe's size.

Inception-v2 and the small NASNet-A of Figure 1 are missing: the paper has no figures of them in its text.
"""

_BY_NAME = {name: row for row in _ROWS for name in row.names}
_BY_LABEL = {label.casefold(): row for label, row in PUBLISHED.items()}


def find_published(name: str) -> Published | None:
    """The row of a network by our name or, whatever the case, the published one; None: there is none.

    >>> find_published("tf_efficientnet_b0").top1, find_published("inception-v3").names
    (77.1, ())
    """
    return _BY_NAME.get(name) or _BY_LABEL.get(name.casefold())
