"""The adapter to timm's layout (``timm/models/_efficientnet_blocks.py``, aa4b585): a table of names, both ways."""

from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from compoundnet.architecture import Architecture, Block, DepthwiseSeparable, FusedMBConv, MBConv
from compoundnet.errors import RequestError
from compoundnet.weights.layout import check, expected_shapes

__all__ = ["from_ours", "to_ours"]

_Names = dict[str, str]  # a module of ours -> the same in timm

_OUTER: _Names = {
    "stem.conv": "conv_stem",
    "stem.norm": "bn1",
    "head.conv": "conv_head",
    "head.norm": "bn2",
    "classifier": "classifier",
}
_SQUEEZE: _Names = {"squeeze_excite.reduce": "se.conv_reduce", "squeeze_excite.expand": "se.conv_expand"}

# By kind of block and whether it expands; timm numbers the norms in order, so these differ.
_BLOCKS: dict[tuple[type, bool], _Names] = {
    (MBConv, True): {  # InvertedResidual
        "expand.conv": "conv_pw",
        "expand.norm": "bn1",
        "depthwise.conv": "conv_dw",
        "depthwise.norm": "bn2",
        **_SQUEEZE,
        "project.conv": "conv_pwl",
        "project.norm": "bn3",
    },
    (MBConv, False): {  # DepthwiseSeparableConv
        "depthwise.conv": "conv_dw",
        "depthwise.norm": "bn1",
        **_SQUEEZE,
        "project.conv": "conv_pw",
        "project.norm": "bn2",
    },
    (FusedMBConv, True): {  # EdgeResidual
        "fused.conv": "conv_exp",
        "fused.norm": "bn1",
        "project.conv": "conv_pwl",
        "project.norm": "bn2",
    },
    (FusedMBConv, False): {"fused.conv": "conv", "fused.norm": "bn1"},  # ConvBnAct
    (DepthwiseSeparable, False): {  # DepthwiseSeparableConv
        "depthwise.conv": "conv_dw",
        "depthwise.norm": "bn1",
        "pointwise.conv": "conv_pw",
        "pointwise.norm": "bn2",
    },
}


def to_ours(state: Mapping[str, Tensor], arch: Architecture, source: str = "state") -> dict[str, Tensor]:
    """A timm state dict under our names; the tensors are shared, not copied.

    Raises:
        RequestError: names or shapes are not exactly those of ``arch`` (batch counts may be absent, and so
            may the whole classifier); ``source`` is named.
    """
    shapes = expected_shapes(arch)
    ours_of = {theirs: ours for ours, theirs in _names(arch, shapes).items()}
    check(state, {theirs: shapes[ours] for theirs, ours in ours_of.items()}, arch.name, source)
    return {ours_of[name]: tensor for name, tensor in state.items()}


def from_ours(state: Mapping[str, Tensor], arch: Architecture, source: str = "state") -> dict[str, Tensor]:
    """Our state dict under timm's names; the reverse of :func:`to_ours`, with the same errors."""
    shapes = expected_shapes(arch)
    check(state, shapes, arch.name, source)
    names = _names(arch, shapes)
    return {names[name]: tensor for name, tensor in state.items()}


def _names(arch: Architecture, ours: Iterable[str]) -> dict[str, str]:
    """Every tensor's name in our layout -> its name in timm's."""
    modules = dict(_modules(arch))
    split = (name.rpartition(".") for name in ours)
    return {f"{module}.{tensor}": f"{modules[module]}.{tensor}" for module, _, tensor in split}


def _modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    yield from _OUTER.items()
    for i, stage in enumerate(arch.stages):
        for j in range(stage.repeats):
            for ours, theirs in _block_names(stage.block).items():
                yield f"stages.{i}.{j}.{ours}", f"blocks.{i}.{j}.{theirs}"


def _block_names(block: Block) -> _Names:
    key = (type(block), getattr(block, "expansion", 1) != 1)
    if key not in _BLOCKS:
        raise RequestError(f"timm's layout is not known for {type(block).__name__}; use a file in compoundnet's layout")
    return _BLOCKS[key]
