"""What the adapters of EfficientNet's layouts walk over: every block of an architecture, with its parts in order."""

from collections.abc import Iterator
from typing import NamedTuple

from compoundnet.architecture import Architecture, Block, FusedMBConv, MBConv
from compoundnet.errors import RequestError

__all__ = ["Place", "places"]


class Place(NamedTuple):
    """One block: its number from 0 over the whole network, its stage, its number there, and its parts in order.

    A part is a convolution with its norm (``expand``, ``depthwise``, ``fused``, ``project``) or ``squeeze_excite``.
    """

    number: int
    stage: int
    repeat: int
    block: Block
    parts: tuple[str, ...]

    @property
    def ours(self) -> str:
        """The block's name in our layout."""
        return f"stages.{self.stage}.{self.repeat}"


def places(arch: Architecture, layout: str, kinds: tuple[type[Block], ...] = (MBConv, FusedMBConv)) -> Iterator[Place]:
    """The blocks of ``arch``, first to last; ``layout`` is named to people.

    Raises:
        RequestError: what EfficientNet has not, so that the layout has no names for it: a block that is none of
            ``kinds`` or has parts of another family, a layer before the classifier, or no head.
    """
    number = 0
    for stage, row in enumerate(arch.stages):
        if not isinstance(row.block, kinds) or _foreign(row.block):
            raise _unknown(layout, arch, f"{row.block}")
        parts = _parts(row.block)
        for repeat in range(row.repeats):
            yield Place(number, stage, repeat, row.block, parts)
            number += 1
    if arch.head is None or arch.hidden is not None:
        raise _unknown(layout, arch, "an end without head, or with a hidden layer")


def _foreign(block: Block) -> bool:
    """Whether the block has parts of EfficientNet-X, EdgeTPU or MobileNetV3, which these layouts do not hold."""
    if isinstance(block, MBConv):
        return block.space_to_depth or block.squeeze != "efficientnet"
    return isinstance(block, FusedMBConv) and (block.counts_from == "folded" or block.se_ratio > 0)


def _parts(block: Block) -> tuple[str, ...]:
    if isinstance(block, MBConv):
        flags = {"expand": block.expansion != 1, "depthwise": True, "squeeze_excite": block.se_ratio > 0}
        return (*(part for part, there in flags.items() if there), "project")
    return ("fused",) if getattr(block, "expansion", 1) == 1 else ("fused", "project")


def _unknown(layout: str, arch: Architecture, what: str) -> RequestError:
    return RequestError(f"{layout}'s layout has no names for {what}, as {arch.name} has; compoundnet's own layout has")
