"""What the layers of a Keras model are called, and which of our modules each one is. Keras itself is not needed.

The names are those of ``keras.applications`` where it has the network (EfficientNet, EfficientNetV2), so that
people find the layers they know and files written there can be read here.
"""

from collections.abc import Iterator
from typing import NamedTuple

from compoundnet.architecture import (
    Architecture,
    BasicBlock,
    Block,
    Bottleneck,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
)
from compoundnet.errors import RequestError

__all__ = [
    "CLASSIFIER",
    "HIDDEN",
    "SQUEEZE_EXCITE",
    "STEM",
    "STEM_POOL",
    "TOP",
    "WEIGHTS_MEMBER",
    "LayerNames",
    "block_prefix",
    "deep_stem",
    "is_second_generation",
    "module_of_layer",
    "part_names",
]

HIDDEN, CLASSIFIER = "hidden", "predictions"
"""The linear layers after pooling."""

WEIGHTS_MEMBER = "model.weights.h5"
"""Of a ``.keras`` archive: the file in it that holds the weights."""


class LayerNames(NamedTuple):
    """The three layers of one part: a convolution, its batch norm, its activation."""

    conv: str
    norm: str
    act: str

    def within(self, prefix: str) -> "LayerNames":
        """The names inside a block: ``block2a_`` and ``expand_conv`` make ``block2a_expand_conv``."""
        return LayerNames(*(prefix + name for name in self))


def _named(part: str) -> LayerNames:
    return LayerNames(f"{part}_conv", f"{part}_bn", f"{part}_activation")


STEM, STEM_POOL, TOP = _named("stem"), _named("stem_pool"), _named("top")
"""The parts before and after the blocks; in our words, stem, pool and head."""

_EXPAND, _PROJECT = _named("expand"), _named("project")
_DEPTHWISE = LayerNames("dwconv", "bn", "activation")

# By kind of block: our part -> its layers. Not every block of a kind has every part.
_PARTS: dict[type, dict[str, LayerNames]] = {
    MBConv: {
        "space_to_depth": _named("space_to_depth"),
        "expand": _EXPAND,
        "depthwise": _DEPTHWISE,
        "project": _PROJECT,
    },
    FusedMBConv: {"fused": _EXPAND, "project": _PROJECT},
    DepthwiseSeparable: {"depthwise": _DEPTHWISE, "pointwise": _named("pointwise")},
    BasicBlock: {part: _named(part) for part in ("first", "second", "shortcut")},
    Bottleneck: {part: _named(part) for part in ("reduce", "spatial", "expand", "shortcut")},
}

SQUEEZE_EXCITE = {"se_reduce": "squeeze_excite.reduce", "se_expand": "squeeze_excite.expand"}
"""Our module in a block of the two layers without a norm."""


def is_second_generation(arch: Architecture) -> bool:
    """Whether ``keras.applications`` would build it as an EfficientNetV2: some block of it is fused.

    There depthwise layers have another name, and padding and normalisation are layers without variables.
    """
    return any(isinstance(stage.block, FusedMBConv) for stage in arch.stages)


def deep_stem(i: int) -> LayerNames:
    """Further convolutions of the stem, from the second on: ``stem2_conv`` for i = 0."""
    return _named(f"stem{i + 2}")


def block_prefix(stage: int, block: int) -> str:
    """What the names of a block's layers begin with: stages count from 1, blocks from a; aa follows z.

    >>> block_prefix(0, 0), block_prefix(5, 27)
    ('block1a_', 'block6ab_')
    """
    letters = ""
    while block >= 0:
        block, letter = divmod(block, 26)
        letters = chr(ord("a") + letter) + letters
        block -= 1
    return f"block{stage + 1}{letters}_"


def part_names(block: Block, arch: Architecture) -> dict[str, LayerNames]:
    """Our part of a block -> its three layers, without the block's prefix.

    Raises:
        RequestError: a kind of block that has no Keras layers here.
    """
    if type(block) not in _PARTS:
        known = ", ".join(sorted(kind.__name__ for kind in _PARTS))
        raise RequestError(f"{arch.name} has blocks of kind {type(block).__name__}; Keras models are made of: {known}")
    if isinstance(block, FusedMBConv) and block.expansion == 1:
        return {"fused": _PROJECT}
    parts = _PARTS[type(block)]
    if isinstance(block, MBConv) and is_second_generation(arch):
        return {**parts, "depthwise": _DEPTHWISE._replace(conv="dwconv2")}
    return parts


def module_of_layer(arch: Architecture) -> dict[str, str]:
    """Every layer with variables that a model of ``arch`` may have -> our module (``stages.0.0.depthwise.conv``)."""
    parts = {"stem": STEM, "pool": STEM_POOL, "head": TOP}
    parts |= {f"stem_deep.{i}": deep_stem(i) for i in range(len(arch.stem_deep))}
    outer = {layer: module for name, names in parts.items() for layer, module in _of_part(names, name).items()}
    return {**outer, **dict(_in_blocks(arch)), HIDDEN: "hidden.linear", CLASSIFIER: "classifier"}


def _in_blocks(arch: Architecture) -> Iterator[tuple[str, str]]:
    for i, stage in enumerate(arch.stages):
        for j in range(stage.repeats):
            prefix, place = block_prefix(i, j), f"stages.{i}.{j}"
            for part, names in part_names(stage.block, arch).items():
                yield from _of_part(names.within(prefix), f"{place}.{part}").items()
            for layer, module in SQUEEZE_EXCITE.items():
                yield prefix + layer, f"{place}.{module}"


def _of_part(names: LayerNames, module: str) -> dict[str, str]:
    return {names.conv: f"{module}.conv", names.norm: f"{module}.norm"}
