"""What a network of either kind costs: an architecture by its walk, a comparator by running it on the meta device."""

from functools import cache
from typing import TYPE_CHECKING

from compoundnet.architecture import Number
from compoundnet.cost import Cost
from compoundnet.cost import cost as walked
from compoundnet.zoo.comparators import Comparator, not_scalable

if TYPE_CHECKING:
    from compoundnet.zoo import AnyNetwork

__all__ = ["cost"]


def cost(network: "AnyNetwork", *, depth: Number = 1.0, width: Number = 1.0, resolution: Number = 1.0) -> Cost:
    """Costs of an architecture, scaled by the multipliers (see :func:`compoundnet.cost.cost`), or of a comparator.

    A comparator is built and run where nothing is computed, which imports torch; it cannot be scaled.

    Raises:
        RequestError: as :func:`compoundnet.cost.cost`; multipliers for a comparator; or a comparator of timm's where
            timm is not installed.
    """
    if not isinstance(network, Comparator):
        return walked(network, depth=depth, width=width, resolution=resolution)
    if not all(isinstance(axis, (int, float)) and axis == 1 for axis in (depth, width, resolution)):
        raise not_scalable(network.name)
    return _counted(network)


@cache
def _counted(comparator: Comparator) -> Cost:
    import torch

    from compoundnet.nn.comparators import build_comparator
    from compoundnet.nn.counting import count

    with torch.device("meta"):
        module = build_comparator(comparator)
    return count(module, comparator.resolution, comparator.in_channels)
