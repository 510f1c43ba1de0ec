"""Architecture -> torch: read layers, blocks, network, in that order."""

from compoundnet.nn.features import FeatureExtractor
from compoundnet.nn.fold import folded
from compoundnet.nn.network import Network, build

__all__ = ["FeatureExtractor", "Network", "build", "folded"]
