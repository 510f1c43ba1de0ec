"""An architecture at given sizes as its parts in forward order. A new kind of block is a function and a row here."""

from collections.abc import Callable, Iterator
from typing import Any

from compoundnet.architecture import Architecture, Bottleneck, DepthwiseSeparable, FusedMBConv, MBConv, Sizes
from compoundnet.cost.parts import (
    Flow,
    Layer,
    Place,
    classifier,
    conv,
    flow,
    keeps_output,
    larger,
    max_pool,
    squeeze_excite,
)

__all__ = ["walk"]


def walk(arch: Architecture, to: Sizes) -> Iterator[Layer]:
    """Parts in forward order; of a stage with an array of repeats the first blocks, then the rest as copies."""
    image = flow(arch.in_channels, to.resolution)
    stem, x = conv(Place("stem"), image, to.stem, arch, kernel=arch.stem_kernel, stride=arch.stem_stride)
    yield stem
    if arch.stem_pool:
        pool, x = max_pool(Place("pool", held=image.elements), x)
        yield pool
    first = x.elements  # held while later stages run
    for i, stage in enumerate(arch.stages):
        stage_input = x.elements
        for j, copies in _blocks(to.repeats[i], alike_from=2 if keeps_output(arch) else 1):
            held = image.elements + first * (i > 0) + stage_input * (j > 0)
            place = Place(f"stages.{i}.{j}", i, copies, held, drops=int(arch.drop_path > 0 and (i, j) != (0, 0)))
            stride = stage.stride if j == 0 else 1
            parts = _PARTS[type(stage.block)](place, stage.block, x, to.channels[i], stride, arch)
            yield from (layer for layer, _ in parts)
            there = copies if isinstance(copies, int) else copies > 0  # without this block x is handed on
            y = parts[-1][1]
            x = y._replace(kept=y.kept * there + x.kept * (1 - there))
    if arch.head is not None:
        head, x = conv(Place("head", held=image.elements), x, to.head, arch)
        yield head
    yield classifier(Place("classifier", held=image.elements), x, arch)


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
    parts, y, c_mid, held = [], x, x.channels * block.expansion, 0
    if block.expansion != 1:
        parts.append(conv(place.part("expand"), y, c_mid, arch))
        y, held = parts[-1][1], x.elements
    parts.append(
        conv(place.part("depthwise", held), y, c_mid, arch, kernel=block.kernel, stride=stride, depthwise=True)
    )
    if block.se_ratio:
        y = parts[-1][1]
        parts.append(squeeze_excite(place.part("squeeze_excite", x.elements), y, block.squeezed(x.channels), arch))
    parts.append(conv(place.part("project", x.elements), parts[-1][1], c_out, arch, linear=True))
    return _added(parts, place, block, x, stride)


def _fused_mbconv(place: Place, block: FusedMBConv, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    c_mid = c_out if block.expansion == 1 else x.channels * block.expansion
    parts = [conv(place.part("fused"), x, c_mid, arch, kernel=block.kernel, stride=stride)]
    if block.expansion != 1:
        parts.append(conv(place.part("project", x.elements), parts[-1][1], c_out, arch, linear=True))
    return _added(parts, place, block, x, stride)


def _separable(place: Place, block: DepthwiseSeparable, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    layer, y = conv(place.part("depthwise"), x, x.channels, arch, kernel=block.kernel, stride=stride, depthwise=True)
    return [(layer, y), conv(place.part("pointwise", x.elements), y, c_out, arch)]


def _bottleneck(place: Place, block: Bottleneck, x: Flow, c_out: Any, stride: int, arch: Architecture) -> _Parts:
    """The sum is activated, and what the activation saves is new; a projection saves no input of its own."""
    c_mid = block.reduced(c_out)
    parts = [conv(place.part("reduce"), x, c_mid, arch)]
    parts.append(conv(place.part("spatial", x.elements), parts[-1][1], c_mid, arch, kernel=block.kernel, stride=stride))
    layer, y = conv(place.part("expand", x.elements), parts[-1][1], c_out, arch, linear=True)
    out = y._replace(kept=int(keeps_output(arch)))
    parts.append((layer._replace(activated=True, adds=1, saved=layer.saved + y.elements + place.drops), out))
    projects = 1 - _agreed((stride == 1) * (x.channels == c_out))
    if not isinstance(projects, int) or projects:
        at = place.part("shortcut", y.elements)._replace(copies=place.copies * projects)
        shortcut, _ = conv(at, x._replace(kept=1), c_out, arch, stride=stride, linear=True)
        parts.append((shortcut, out))
    return parts


_PARTS: dict[type, Callable[..., _Parts]] = {
    MBConv: _mbconv,
    FusedMBConv: _fused_mbconv,
    DepthwiseSeparable: _separable,
    Bottleneck: _bottleneck,
}


def _added(parts: _Parts, place: Place, block: MBConv | FusedMBConv, x: Flow, stride: int) -> _Parts:
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
