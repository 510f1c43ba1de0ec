"""Architecture -> torch.nn.Module: stem, stages of blocks, head, pooling, hidden layer, classifier. N C H W."""

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn.blocks import block_module
from compoundnet.nn.layers import ConvNormAct, LinearAct, initialise

__all__ = ["Network", "build"]


class Network(nn.Module):
    """The network that an architecture describes, freshly initialised as in the paper's code."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.architecture = arch
        self.num_features = arch.features
        self.stem = ConvNormAct(arch.in_channels, arch.stem, arch.stem_kernel, arch.stem_stride, arch)
        self.stem_deep = nn.Sequential(*_stem_deep(arch))
        self.pool = _pool(arch)
        self.stages = nn.Sequential(*_stages(arch))
        self.head: nn.Module = nn.Identity()
        if arch.head is not None:
            self.head = ConvNormAct(arch.stages[-1].channels, arch.head, 1, 1, arch)
        self.hidden: nn.Module = nn.Identity()
        if arch.hidden is not None:
            self.hidden = LinearAct(arch.features, arch.hidden, arch)
        self.dropout = nn.Dropout(arch.dropout)
        self.classifier: nn.Module = nn.Linear(arch.hidden or arch.features, arch.classes)
        self.apply(initialise)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_features, h, w): everything before pooling."""
        features: Tensor = self.head(self.stages(self.pool(self.stem_deep(self.stem(x)))))
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, num_features, h, w) -> (N, classes); if ``pre_logits`` what the classifier takes.

        That is the pooled (N, num_features), or what a hidden layer makes of it: (N, hidden).
        """
        pooled: Tensor = self.hidden(x.mean((2, 3)))
        return pooled if pre_logits else self.classifier(self.dropout(pooled))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, classes), or what the classifier would take if there is none."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer: ``nn.Linear``, or ``nn.Identity`` after ``reset_classifier(0)``."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """A fresh classifier for that many classes; 0: none, the network then returns what it would take."""
        if num_classes < 0:
            raise RequestError(f"num_classes is {num_classes}; it must be positive, or 0 for no classifier")
        like = self.stem.conv.weight
        c_in = self.architecture.hidden or self.num_features
        fresh = nn.Linear(c_in, num_classes) if num_classes else nn.Identity()
        self.classifier = fresh.to(like.device, like.dtype).apply(initialise)


def build(arch: Architecture) -> Network:
    """The freshly initialised network of an architecture, on the current default device."""
    return Network(arch)


def _stem_deep(arch: Architecture) -> Iterator[ConvNormAct]:
    for c_in, c_out in pairwise((arch.stem, *arch.stem_deep)):
        yield ConvNormAct(c_in, c_out, arch.stem_kernel, 1, arch)


def _pool(arch: Architecture) -> nn.Module:
    if arch.stem_pool == "conv":
        return ConvNormAct(arch.stem_features, arch.stem_features, 3, 2, arch)
    return nn.MaxPool2d(3, 2, 1) if arch.stem_pool else nn.Identity()


def _stages(arch: Architecture) -> Iterator[nn.Sequential]:
    rates, c_in = iter(arch.drop_path_rates()), arch.stem_features
    for stage in arch.stages:
        blocks = []
        for block, stride in stage.blocks():
            blocks.append(block_module(block, c_in, stage.channels, stride, next(rates), arch))
            c_in = stage.channels
        yield nn.Sequential(*blocks)
