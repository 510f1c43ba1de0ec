"""Scaling down as TinyNet does (Han et al. 2020): its five networks are B0 by their multipliers."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import timm
import torch

from compoundnet import zoo
from compoundnet.architecture import Architecture, Rounding
from compoundnet.cost import cost
from compoundnet.nn.counting import count

B0 = zoo.architecture("efficientnet_b0")


class Row(NamedTuple):
    width: float
    depth: float
    side: int
    macs: float  # published, 10^6 multiply-adds


# timm models/efficientnet.py, tinynet_a to tinynet_e; MACs of the paper and its repository.
TABLE = {
    "a": Row(1.0, 1.2, 192, 339),
    "b": Row(0.75, 1.1, 188, 202),
    "c": Row(0.54, 0.85, 184, 100),
    "d": Row(0.54, 0.695, 152, 52),
    "e": Row(0.51, 0.6, 106, 24),
}


def ours(row: Row) -> Architecture:
    """B0 scaled; TinyNet rounds repeats to the nearest and leaves stem and head as they are."""
    nearest = replace(B0, rounding=Rounding(depth="round"))
    scaled = nearest.scaled(depth=row.depth, width=row.width, resolution=row.side / B0.resolution)
    return replace(scaled, stem=B0.stem, head=B0.head)


@pytest.mark.parametrize("variant", TABLE)
def test_the_networks_cost_what_timms_do(variant: str) -> None:
    arch = ours(TABLE[variant])
    with torch.device("meta"):
        peer = timm.create_model(f"tinynet_{variant}").eval()
    counted = count(peer, arch.resolution)
    assert arch.resolution == peer.default_cfg["input_size"][-1]
    assert (cost(arch).params, cost(arch).macs) == (counted.params, counted.macs)


@pytest.mark.parametrize("variant", TABLE)
def test_the_networks_cost_what_was_published(variant: str) -> None:
    """To 1.5 %: the paper counts a little more than convolutions and linear layers."""
    row = TABLE[variant]
    assert cost(ours(row)).macs / 1e6 == pytest.approx(row.macs, rel=0.015)
