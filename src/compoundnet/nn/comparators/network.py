"""The one shape that every comparator is brought into: features, neck, classifier. N C H W."""

from itertools import chain
from typing import TYPE_CHECKING

from torch import Tensor, nn

from compoundnet.errors import RequestError
from compoundnet.nn.layers import initialise

if TYPE_CHECKING:
    from compoundnet.zoo.comparators import Comparator

__all__ = ["ComparatorNetwork"]


class ComparatorNetwork(nn.Module):
    """A comparator's modules under names of ours, with the habits of :class:`compoundnet.nn.Network`.

    ``features`` ends in the maps that are pooled (a sequence whose modules may hand each other more than one
    tensor, but for ``final``, which gives the maps alone); ``neck`` pools them and has whatever layers the network
    has between pooling and ``classifier``.
    """

    def __init__(
        self,
        comparator: "Comparator",
        features: nn.Sequential,
        neck: nn.Sequential,
        classifier: nn.Linear,
        final: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.architecture = comparator
        self.num_features = classifier.in_features
        self.features = features
        self.final = nn.Identity() if final is None else final
        self.neck = neck
        self.classifier: nn.Module = classifier

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, C, h, w): everything before pooling."""
        maps: Tensor = self.final(self.features(x))
        return maps

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(N, C, h, w) -> (N, classes), or what the classifier takes, (N, num_features), if ``pre_logits``."""
        y: Tensor = self.neck(x)
        return y if pre_logits else self.classifier(y)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, classes), or (N, num_features) without a classifier."""
        return self.forward_head(self.forward_features(x))

    def as_sequence(self) -> nn.Sequential:
        """The same modules one after another, for a pipeline: those of ``features``, then all the rest as one.

        What passes from one to the next is a tensor, or a tuple of tensors between AmoebaNet's cells.
        """
        return nn.Sequential(*chain(self.features, [nn.Sequential(self.final, self.neck, self.classifier)]))

    def get_classifier(self) -> nn.Module:
        """The last layer: ``nn.Linear``, or ``nn.Identity`` after ``reset_classifier(0)``."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """A fresh classifier for that many classes; 0: none, the network then returns what the classifier took."""
        if num_classes < 0:
            raise RequestError(f"num_classes is {num_classes}; it must be positive, or 0 for no classifier")
        like = next(self.parameters())
        fresh = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.classifier = fresh.to(like.device, like.dtype).apply(initialise)
