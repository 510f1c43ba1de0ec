"""An architecture at given sizes as its parts in forward order. A new kind of block is a function and a row here."""

from collections.abc import Callable, Iterator
from typing import Any

from compoundnet.architecture import (
    FOLD,
    Architecture,
    BasicBlock,
    Bottleneck,
    CondMBConv,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    Sizes,
)
from compoundnet.architecture.blocks import later
from compoundnet.cost.parts import (
    Flow,
    Layer,
    Place,
    classifier,
    conv,
    flow,
    hidden,
    keeps_output,
    larger,
    max_pool,
    mean_pool,
    routing,
    squeeze_excite,
)

__all__ = ["walk"]


def walk(arch: Architecture, to: Sizes) -> Iterator[Layer]:
    """Parts in forward order; of a stage with an array of repeats the first blocks, then the rest as copies."""
    image = flow(arch.in_channels, to.resolution)
    stem, x = conv(Place("stem"), image, to.stem, arch, kernel=arch.stem_kernel, stride=arch.stem_stride)
    yield stem
    behind = x.elements  # held while the later convolutions of the stem run
    for i, channels in enumerate(to.stem_deep):
        place = Place(f"stem_deep.{i}", held=image.elements + behind * (i > 0))
        layer, x = conv(place, x, channels, arch, kernel=arch.stem_kernel)
        yield layer
    if arch.stem_pool:
        place = Place("pool", held=image.elements)
        learned = arch.stem_pool == "conv"
        pool, x = conv(place, x, x.channels, arch, kernel=3, stride=2) if learned else max_pool(place, x)
        yield pool
    first = x.elements  # held while later stages run
    for i, stage in enumerate(arch.stages):
        stage_input, keeps = x.elements, keeps_output(arch, getattr(stage.block, "activation", None))
        for j, copies in _blocks(to.repeats[i], alike_from=2 if keeps else 1):
            block = stage.block if j == 0 else later(stage.block)
            held = image.elements + first * (i > 0) + stage_input * (j > 0)
            place = Place(f"stages.{i}.{j}", i, copies, held, drops=int(arch.drop_path > 0 and (i, j) != (0, 0)))
            stride = stage.stride if j == 0 else 1
            parts = _PARTS[type(block)](place, block, x, to.channels[i], stride, arch)
            yield from (layer for layer, _ in parts)
            there = copies if isinstance(copies, int) else copies > 0  # without this block x is handed on
            y = parts[-1][1]
            x = y._replace(kept=y.kept * there + x.kept * (1 - there))
    if arch.head is not None:
        head, x = conv(Place("head", held=image.elements), x, to.head, arch)
        yield head
    if arch.hidden is None:
        yield classifier(Place("classifier", held=image.elements), x, arch)
        return
    features = x.elements  # held while the last layers run
    layer, x = hidden(Place("hidden", held=image.elements), x, to.hidden, arch)
    yield layer
    yield classifier(Place("classifier", held=image.elements + features), x, arch, pooled=True)


def _blocks(repeats: Any, alike_from: int) -> Iterator[tuple[int, Any]]:
    """(index, copies) of a stage's blocks: each by itself, or of arrays those from ``alike_from`` on in one.

    The second differs from the first in stride and channels; the third from the second only where the
    first, which adds no input, hands on an output that its activation keeps.
    """
    if isinstance(repeats, int):
        yield from ((j, 1) for j in range(repeats))
    else:
        yield 0, 1
        yield from ((j, repeats > j) for j in range(1, alike_from))
        yield alike_from, larger(repeats - alike_from, 0)


_Parts = list[tuple[Layer, Flow]]  # the last flow is what the block hands on


def _mbconv(place: Place, block: MBConv, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    c_mid, act, y = block.expanded(x.channels), block.activation, x
    parts: _Parts = []
    if block.space_to_depth:
        at = place.part("space_to_depth")
        parts.append(conv(at, y, x.channels * FOLD, arch, kernel=2, stride=stride, activation=act))
        y, stride = parts[-1][1], 1
    if block.expansion != 1:
        parts.append(conv(place.part("expand", _held(x, parts)), y, c_mid, arch, activation=act))
        y = parts[-1][1]
    at = place.part("depthwise", _held(x, parts))
    parts.append(conv(at, y, c_mid, arch, kernel=block.kernel, stride=stride, depthwise=True, activation=act))
    if block.se_ratio:
        at, y, squeezed = place.part("squeeze_excite", x.elements), parts[-1][1], block.squeezed(x.channels)
        hard = block.squeeze == "mobilenetv3"
        parts.append(squeeze_excite(at, y, squeezed, arch, activation="relu" if hard else act, hard=hard))
    parts.append(conv(place.part("project", x.elements), parts[-1][1], c_out, arch, linear=True))
    return _added(parts, place, block, x, 2 if block.space_to_depth else stride)


def _fused_mbconv(place: Place, block: FusedMBConv, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    c_mid, act = block.expanded(x.channels, c_out), block.activation
    parts = [conv(place.part("fused"), x, c_mid, arch, kernel=block.kernel, stride=stride, activation=act)]
    if block.se_ratio:
        at, squeezed = place.part("squeeze_excite", x.elements), block.squeezed(x.channels, c_out)
        parts.append(squeeze_excite(at, parts[-1][1], squeezed, arch, activation=act))
    if block.expansion != 1:
        parts.append(conv(place.part("project", x.elements), parts[-1][1], c_out, arch, linear=True))
    return _added(parts, place, block, x, stride)


def _cond_mbconv(place: Place, block: CondMBConv, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    """Every part but the first runs while the routing is held."""
    c_mid, experts, y = x.channels * block.expansion, block.experts, x
    parts: _Parts = [(routing(place.part("routing"), x, experts), x)]
    place = place._replace(held=place.held + experts)
    if block.expansion != 1:
        parts.append(conv(place.part("expand"), y, c_mid, arch, experts=experts))
        y = parts[-1][1]
    at = place.part("depthwise", x.elements if block.expansion != 1 else 0)
    parts.append(conv(at, y, c_mid, arch, kernel=block.kernel, stride=stride, depthwise=True, experts=experts))
    if block.se_ratio:
        at, y = place.part("squeeze_excite", x.elements), parts[-1][1]
        parts.append(squeeze_excite(at, y, block.squeezed(x.channels), arch))
    at = place.part("project", x.elements)
    parts.append(conv(at, parts[-1][1], c_out, arch, linear=True, experts=experts))
    return _added(parts, place, block, x, stride)


def _separable(place: Place, block: DepthwiseSeparable, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    layer, y = conv(place.part("depthwise"), x, x.channels, arch, kernel=block.kernel, stride=stride, depthwise=True)
    return [(layer, y), conv(place.part("pointwise", x.elements), y, c_out, arch)]


def _basic_block(place: Place, block: BasicBlock, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    parts = [conv(place.part("first"), x, c_out, arch, kernel=block.kernel, stride=stride)]
    y = parts[0][1]
    parts.append(conv(place.part("second", x.elements), y, c_out, arch, kernel=block.kernel, linear=True))
    kept = x.kept if arch.pads(block.kernel, stride) else 1  # the first convolution saves its input, or a padded copy
    return _residual(parts, place, x._replace(kept=kept), stride, arch)


def _bottleneck(place: Place, block: Bottleneck, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    c_mid = block.reduced(c_out)
    parts = [conv(place.part("reduce"), x, c_mid, arch)]
    parts.append(conv(place.part("spatial", x.elements), parts[-1][1], c_mid, arch, kernel=block.kernel, stride=stride))
    parts.append(conv(place.part("expand", x.elements), parts[-1][1], c_out, arch, linear=True))
    if block.se_ratio:
        y = parts[-1][1]
        parts.append(squeeze_excite(place.part("squeeze_excite", x.elements), y, block.squeezed(c_out), arch))
    return _residual(parts, place, x._replace(kept=1), stride, arch, pools=block.pool_shortcut and stride > 1)


def _residual(parts: _Parts, place: Place, x: Flow, stride: int, arch: Architecture, pools: bool = False) -> _Parts:
    """The branch with the input ``x``, or its projection, added and the sum activated.

    What the activation saves is new. The projection saves ``x`` unless it is ``kept`` by then, or the mean of it.
    """
    layer, y = parts[-1]
    out = y._replace(kept=int(keeps_output(arch)))
    parts = [*parts[:-1], (layer._replace(activated=True, adds=1, saved=layer.saved + y.elements + place.drops), out)]
    projects = 1 - _agreed((stride == 1) * (x.channels == y.channels))
    if isinstance(projects, int) and not projects:
        return parts
    at = place._replace(copies=place.copies * projects)
    z = x
    if pools:
        pool, z = mean_pool(at.part("shortcut_pool", y.elements), x, stride)
        parts.append((pool, out))
    held = y.elements + x.elements * pools
    shortcut, _ = conv(at.part("shortcut", held), z, y.channels, arch, stride=1 if pools else stride, linear=True)
    return [*parts, (shortcut, out)]


_PARTS: dict[type, Callable[..., _Parts]] = {
    MBConv: _mbconv,
    FusedMBConv: _fused_mbconv,
    CondMBConv: _cond_mbconv,
    DepthwiseSeparable: _separable,
    BasicBlock: _basic_block,
    Bottleneck: _bottleneck,
}


def _held(x: Flow, parts: _Parts) -> Any:
    """Elements of the block's input, which its frame holds once the first part has run."""
    return x.elements if parts else 0


def _added(parts: _Parts, place: Place, block: MBConv | FusedMBConv | CondMBConv, x: Flow, stride: int) -> _Parts:
    """The parts with the block's input added after the last where it can be; nobody keeps the sum."""
    layer, y = parts[-1]
    adds = _agreed((block.skip and stride == 1) * (x.channels == layer.channels))
    mask = adds * place.drops  # of stochastic depth, one element
    return [*parts[:-1], (layer._replace(adds=adds, saved=layer.saved + mask), y._replace(kept=y.kept * (1 - adds)))]


def _agreed(flags: Any) -> Any:
    """0 or 1 where all candidates agree, which spares arithmetic; else the array."""
    if isinstance(flags, (bool, int)):
        return int(flags)
    return int(flags[0]) if flags.size and (flags == flags[0]).all() else flags
