"""From a comparator to its network: torchvision's and timm's modules taken apart, or ours."""

from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from torch import Tensor, nn

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn.comparators.amoebanet import First, amoebanet_d
from compoundnet.nn.comparators.network import ComparatorNetwork
from compoundnet.nn.comparators.zfnet import zfnet
from compoundnet.nn.layers import initialise
from compoundnet.nn.network import Network, build
from compoundnet.zoo.comparators import AmoebaNetD, AnyNetwork, Comparator, Timm, TorchVision, ZFNet

__all__ = ["AnyModule", "build_comparator", "build_network"]

AnyModule: TypeAlias = Network | ComparatorNetwork
"""The module of a network of either kind; both have the same habits."""

_Parts = OrderedDict[str, nn.Module]


def build_network(network: AnyNetwork) -> AnyModule:
    """The freshly initialised network of an architecture or a comparator, on the current default device.

    Raises:
        RequestError: a comparator of timm's where timm is not installed.
    """
    return build(network) if isinstance(network, Architecture) else build_comparator(network)


def build_comparator(comparator: Comparator) -> ComparatorNetwork:
    """The freshly initialised network of a comparator, without auxiliary classifiers, on the current default device.

    Raises:
        RequestError: it is timm's, and timm is not installed.
    """
    maker = comparator.maker
    match maker:
        case TorchVision():
            return _torchvision(comparator, maker)
        case Timm():
            return _timm(comparator, maker)
        case ZFNet():
            return _zfnet(comparator)
        case AmoebaNetD():
            return _amoebanet(comparator, maker)


def _torchvision(comparator: Comparator, maker: TorchVision) -> ComparatorNetwork:
    from torchvision import models

    make, take_apart = getattr(models, maker.model), _TORCHVISION[maker.model.rstrip("_bn0123456789")]
    network: ComparatorNetwork = take_apart(comparator, make)
    if comparator.in_channels != 3:
        _take_channels(network.features, comparator.in_channels)
    return network


def _with_hidden_layers(comparator: Comparator, make: Callable[..., Any]) -> ComparatorNetwork:
    """AlexNet and VGG: three linear layers."""
    theirs = make(num_classes=comparator.classes, dropout=comparator.dropout)
    *hidden, classifier = theirs.classifier
    neck = _neck(theirs.avgpool, hidden=nn.Sequential(*hidden))
    return ComparatorNetwork(comparator, theirs.features, neck, classifier)


def _googlenet(comparator: Comparator, make: Callable[..., Any]) -> ComparatorNetwork:
    theirs = make(num_classes=comparator.classes, dropout=comparator.dropout, aux_logits=False, init_weights=True)
    neck = _neck(theirs.avgpool, dropout=theirs.dropout)
    return ComparatorNetwork(comparator, _children_before("avgpool", theirs), neck, theirs.fc)


def _densenet(comparator: Comparator, make: Callable[..., Any]) -> ComparatorNetwork:
    theirs = make(num_classes=comparator.classes)
    neck = _neck(nn.AdaptiveAvgPool2d(1), dropout=nn.Dropout(comparator.dropout))
    return ComparatorNetwork(comparator, theirs.features, neck, theirs.classifier, final=nn.ReLU(inplace=True))


_TORCHVISION: dict[str, Callable[[Comparator, Callable[..., Any]], ComparatorNetwork]] = {
    "alexnet": _with_hidden_layers,
    "vgg": _with_hidden_layers,
    "googlenet": _googlenet,
    "densenet": _densenet,
}


def _timm(comparator: Comparator, maker: Timm) -> ComparatorNetwork:
    theirs = _their_timm(comparator.name).create_model(
        maker.model, num_classes=comparator.classes, in_chans=comparator.in_channels
    )
    classifier = theirs.get_classifier()
    if maker.model == "legacy_xception":
        features = _children_before("global_pool", theirs)
    else:
        theirs.reset_classifier(0)
        features = nn.Sequential(OrderedDict(cells=_Features(theirs)))
    neck = _neck(nn.AdaptiveAvgPool2d(1), dropout=nn.Dropout(comparator.dropout))
    return ComparatorNetwork(comparator, features, neck, classifier)


def _their_timm(name: str) -> Any:
    try:
        return import_module("timm")
    except ImportError as error:
        raise RequestError(f"{name} is timm's, which is not installed; pip install 'compoundnet[compare]'") from error


class _Features(nn.Module):
    """A module of timm's up to its last maps; one whose layers are no sequence."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, C, h, w)."""
        maps: Tensor = self.network.forward_features(x)
        return maps


def _zfnet(comparator: Comparator) -> ComparatorNetwork:
    features, linear = zfnet(comparator.classes, comparator.in_channels, comparator.dropout)
    *hidden, classifier = linear
    assert isinstance(classifier, nn.Linear)
    return ComparatorNetwork(comparator, features, nn.Sequential(*hidden), classifier)


def _amoebanet(comparator: Comparator, maker: AmoebaNetD) -> ComparatorNetwork:
    features, channels = amoebanet_d(maker.layers, maker.filters, comparator.in_channels)
    classifier = nn.Linear(channels, comparator.classes).apply(initialise)
    neck = _neck(nn.AdaptiveAvgPool2d(1), dropout=nn.Dropout(comparator.dropout))
    return ComparatorNetwork(comparator, features, neck, classifier, final=First())


def _neck(pool: nn.Module, **layers: nn.Module) -> nn.Sequential:
    """(N, C, h, w) -> (N, num_features)."""
    return nn.Sequential(OrderedDict(pool=pool, flatten=nn.Flatten(), **layers))


def _children_before(end: str, module: nn.Module) -> nn.Sequential:
    """The modules that run one after another before the one named ``end``, under their names."""
    parts: _Parts = OrderedDict()
    for name, child in module.named_children():
        if name == end:
            return nn.Sequential(parts)
        parts[name] = child
    raise AssertionError(f"no {end} in {type(module).__name__}")


def _take_channels(features: nn.Sequential, in_channels: int) -> None:
    """Put a fresh first convolution, for other channels, in the place of the one for RGB."""
    name, old = next((name, m) for name, m in features.named_modules() if isinstance(m, nn.Conv2d))
    kernel, stride, padding = old.kernel_size[0], old.stride[0], old.padding[0]  # all of them are square
    fresh = nn.Conv2d(in_channels, old.out_channels, kernel, stride, int(padding), bias=old.bias is not None)
    features.set_submodule(name, fresh.apply(initialise))
