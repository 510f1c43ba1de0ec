"""The adapter to lukemelas' efficientnet-pytorch (``efficientnet_pytorch/model.py``, 7e8b0d3): a table of names.

The blocks are numbered from 0 over the whole network. The weights are ports of the original ones: TensorFlow's
padding and norm.
"""

from collections.abc import Iterator

from compoundnet.architecture import Architecture, MBConv
from compoundnet.weights.parts import places

__all__ = ["modules"]

_OUTER = {
    "stem.conv": "_conv_stem",
    "stem.norm": "_bn0",
    "head.conv": "_conv_head",
    "head.norm": "_bn1",
    "classifier": "_fc",
}
# A block that does not expand has no _bn0; the numbers of the others stay.
_PARTS = {
    "expand": {"conv": "_expand_conv", "norm": "_bn0"},
    "depthwise": {"conv": "_depthwise_conv", "norm": "_bn1"},
    "squeeze_excite": {"reduce": "_se_reduce", "expand": "_se_expand"},
    "project": {"conv": "_project_conv", "norm": "_bn2"},
}


def modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    """Every module of ours that has tensors, with lukemelas' name of it."""
    yield from _OUTER.items()
    for place in places(arch, "lukemelas", (MBConv,)):
        for part in place.parts:
            for ours, theirs in _PARTS[part].items():
                yield f"{place.ours}.{part}.{ours}", f"_blocks.{place.number}.{theirs}"
