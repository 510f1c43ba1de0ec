"""The adapter to timm's layouts (``timm/models/_efficientnet_blocks.py``, aa4b585): a table of names, both ways.

ResNets have one of their own, in :mod:`compoundnet.weights.resnet`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import Tensor

from compoundnet.architecture import Architecture, Block, CondMBConv, DepthwiseSeparable, FusedMBConv, MBConv, Stage
from compoundnet.errors import RequestError
from compoundnet.weights import rename, resnet

__all__ = ["from_ours", "to_ours"]

_Names = dict[str, str]  # a module of ours -> the same in timm

_OUTER: _Names = {
    "stem.conv": "conv_stem",
    "stem.norm": "bn1",
    "classifier": "classifier",
}
_HEAD: _Names = {"head.conv": "conv_head", "head.norm": "bn2"}
_HIDDEN = "conv_head"  # in MobileNetV3 a 1x1 convolution of the pooled map; the head is then one stage more

_SQUEEZE: _Names = {"squeeze_excite.reduce": "se.conv_reduce", "squeeze_excite.expand": "se.conv_expand"}
_FOLD: _Names = {"space_to_depth.conv": "conv_s2d", "space_to_depth.norm": "bn_s2d"}

# By kind of block and whether it expands; timm numbers the norms in order, so these differ.
_BLOCKS: dict[tuple[type, bool], _Names] = {
    (MBConv, True): {  # InvertedResidual
        **_FOLD,
        "expand.conv": "conv_pw",
        "expand.norm": "bn1",
        "depthwise.conv": "conv_dw",
        "depthwise.norm": "bn2",
        **_SQUEEZE,
        "project.conv": "conv_pwl",
        "project.norm": "bn3",
    },
    (MBConv, False): {  # DepthwiseSeparableConv
        **_FOLD,
        "depthwise.conv": "conv_dw",
        "depthwise.norm": "bn1",
        **_SQUEEZE,
        "project.conv": "conv_pw",
        "project.norm": "bn2",
    },
    (FusedMBConv, True): {  # EdgeResidual
        "fused.conv": "conv_exp",
        "fused.norm": "bn1",
        **_SQUEEZE,
        "project.conv": "conv_pwl",
        "project.norm": "bn2",
    },
    (FusedMBConv, False): {"fused.conv": "conv", "fused.norm": "bn1"},  # ConvBnAct
    (CondMBConv, True): {  # CondConvResidual
        "routing.linear": "routing_fn",
        "expand.conv": "conv_pw",
        "expand.norm": "bn1",
        "depthwise.conv": "conv_dw",
        "depthwise.norm": "bn2",
        **_SQUEEZE,
        "project.conv": "conv_pwl",
        "project.norm": "bn3",
    },
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
    weight = state.get(f"{_HIDDEN}.weight")
    if arch.hidden is not None and weight is not None and weight.shape[2:] == (1, 1):
        state = {**state, f"{_HIDDEN}.weight": weight[:, :, 0, 0]}
    return rename.to_ours(state, arch, _modules(arch), source)


def from_ours(state: Mapping[str, Tensor], arch: Architecture, source: str = "state") -> dict[str, Tensor]:
    """Our state dict under timm's names; the reverse of :func:`to_ours`, with the same errors."""
    theirs = rename.from_ours(state, arch, _modules(arch), source)
    if arch.hidden is not None:
        theirs[f"{_HIDDEN}.weight"] = theirs[f"{_HIDDEN}.weight"][:, :, None, None]
    return theirs


def _modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    """Every module that has tensors, and its name in timm."""
    if resnet.is_resnet(arch):
        yield from resnet.modules(arch)
        return
    yield from _OUTER.items()
    stage, block = -1, 0
    for i, ours in enumerate(arch.stages):
        if i == 0 or not _continues(ours, arch.stages[i - 1]):
            stage, block = stage + 1, 0
        names = _block_names(ours.block)
        for j in range(ours.repeats):
            yield from (
                (f"stages.{i}.{j}.{name}", f"blocks.{stage}.{block}.{theirs}") for name, theirs in names.items()
            )
            block += 1
    if arch.hidden is None:
        yield from _HEAD.items()
        return
    yield from (("head.conv", f"blocks.{stage + 1}.0.conv"), ("head.norm", f"blocks.{stage + 1}.0.bn1"))
    yield "hidden.linear", _HIDDEN


def _continues(stage: Stage, before: Stage) -> bool:
    """Whether timm has both as one stage: where nothing changes from one to the next but the expansion."""
    if not isinstance(stage.block, MBConv) or not isinstance(before.block, MBConv) or stage.stride > 1:
        return False
    alike = replace(before.block, expansion=stage.block.expansion) == stage.block
    return alike and stage.channels == before.channels and stage.block != before.block


def _block_names(block: Block) -> _Names:
    key = (type(block), getattr(block, "expansion", 1) != 1)
    if key not in _BLOCKS or (isinstance(block, FusedMBConv) and block.expansion == 1 and block.se_ratio):
        raise RequestError(f"timm's layout is not known for {type(block).__name__}; use a file in compoundnet's layout")
    return _BLOCKS[key]
