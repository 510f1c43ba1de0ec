"""ResNets in timm's layout (``timm/models/resnet.py``, aa4b585), which is torchvision's: a table of names.

torchvision has the same names for what it has: no deep stem, no squeeze-excitation, no pooled shortcut.
"""

from collections.abc import Iterator

from compoundnet.architecture import Architecture, BasicBlock, Block, Bottleneck
from compoundnet.errors import RequestError

__all__ = ["CLASSIFIER", "is_resnet", "modules"]

CLASSIFIER = ("fc.weight", "fc.bias")
"""The classifier's names."""

_Names = dict[str, str]  # a module of ours -> the same there

_BLOCKS: dict[type, _Names] = {
    BasicBlock: {"first.conv": "conv1", "first.norm": "bn1", "second.conv": "conv2", "second.norm": "bn2"},
    Bottleneck: {
        "reduce.conv": "conv1",
        "reduce.norm": "bn1",
        "spatial.conv": "conv2",
        "spatial.norm": "bn2",
        "expand.conv": "conv3",
        "expand.norm": "bn3",
        "squeeze_excite.reduce": "se.fc1",
        "squeeze_excite.expand": "se.fc2",
    },
}


def is_resnet(arch: Architecture) -> bool:
    """Whether ``arch`` has blocks of ResNets alone."""
    return all(type(stage.block) in _BLOCKS for stage in arch.stages)


def modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    """Every module of ours that may have tensors, with timm's name of it.

    Raises:
        RequestError: what no ResNet has, so that the layout has no name for it: a head, or a block of another family.
    """
    if not is_resnet(arch) or arch.head is not None or arch.hidden is not None:
        what = "its head" if is_resnet(arch) else "its blocks"
        raise RequestError(f"the layout of ResNets has no names for {arch.name}: {what}; use a file in compoundnet's")
    yield from _stem(len(arch.stem_deep))
    yield from {"pool.conv": "maxpool.0", "pool.norm": "maxpool.1", "classifier": "fc"}.items()
    for i, stage in enumerate(arch.stages):
        for j in range(stage.repeats):
            for ours, theirs in _block(stage.block).items():
                yield f"stages.{i}.{j}.{ours}", f"layer{i + 1}.{j}.{theirs}"


def _stem(later: int) -> Iterator[tuple[str, str]]:
    """A deep stem counts kernel, norm and activation of each convolution, but its last norm is that of a plain one."""
    ours = ["stem", *(f"stem_deep.{i}" for i in range(later))]
    for i, name in enumerate(ours):
        yield f"{name}.conv", f"conv1.{3 * i}" if later else "conv1"
        yield f"{name}.norm", f"conv1.{3 * i + 1}" if i < later else "bn1"


def _block(block: Block) -> _Names:
    """A pooled shortcut counts its pooling, or what stands in its place, as the first of three."""
    first = int(isinstance(block, Bottleneck) and block.pool_shortcut)
    shortcut = {"shortcut.conv": f"downsample.{first}", "shortcut.norm": f"downsample.{first + 1}"}
    return _BLOCKS[type(block)] | shortcut
