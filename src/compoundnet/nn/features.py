"""A network as a backbone: its feature pyramid instead of logits."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from compoundnet.errors import RequestError
from compoundnet.nn.network import Network

__all__ = ["FeatureExtractor"]


class FeatureExtractor(nn.Module):
    """The feature pyramid of a network: a list of maps, the last of each side, finest first.

    ``out_indices`` choose among them, negative from the end, as in timm: 0 has stride 2, 4 has stride
    32 in EfficientNets and ResNets; None: all. Layers past the coarsest chosen map are left out.
    ``channels`` and ``reductions`` describe the chosen maps.

    Raises:
        RequestError: an index that the network has no map for, or none at all.
    """

    def __init__(self, network: Network, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        arch = network.architecture
        strides = [stage.stride for stage in arch.stages]
        if arch.stem_pool:  # counts as the first stage's, which takes the pooled map
            strides[0] *= 2
        # Map i leaves after as many stages as ends[i]: where the next one strides, or there is none.
        ends = [i for i, stride in enumerate([*strides, 2]) if stride > 1]
        chosen = list(range(len(ends)) if out_indices is None else out_indices)
        if not chosen or any(type(i) is not int or not -len(ends) <= i < len(ends) for i in chosen):
            raise RequestError(f"out_indices is {chosen}; {arch.name} has {len(ends)} maps: 0 to {len(ends) - 1}")
        widths = [arch.stem_features, *(stage.channels for stage in arch.stages)]
        self.architecture = arch
        self.ends = sorted({ends[i] for i in chosen})
        self.channels = [widths[end] for end in self.ends]
        self.reductions = [arch.stem_stride * math.prod(strides[:end]) for end in self.ends]
        self.stem = network.stem
        self.stem_deep = network.stem_deep
        self.pool = network.pool
        self.stages = network.stages[: self.ends[-1]]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, in_channels, H, W) -> [(N, channels[i], ceil(H / reductions[i]), ceil(W / reductions[i]))]."""
        maps = [self.stem_deep(self.stem(x))]
        y = self.pool(maps[0])
        for stage in self.stages:
            y = stage(y)
            maps.append(y)
        return [maps[end] for end in self.ends]
