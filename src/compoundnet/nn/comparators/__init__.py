"""Comparator -> torch: what torchvision and timm have is taken from there, ZFNet and AmoebaNet-D are here."""

from compoundnet.nn.comparators.amoebanet import amoebanet_d
from compoundnet.nn.comparators.building import AnyModule, build_comparator, build_network
from compoundnet.nn.comparators.network import ComparatorNetwork
from compoundnet.nn.comparators.zfnet import zfnet

__all__ = ["AnyModule", "ComparatorNetwork", "amoebanet_d", "build_comparator", "build_network", "zfnet"]
