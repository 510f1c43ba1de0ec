"""Networks to profile a device with: random, seeded, of every size and every kind of layer."""

import math
import random
from collections.abc import Iterator
from typing import get_args

from compoundnet.architecture import (
    Activation,
    Architecture,
    Block,
    Bottleneck,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    Padding,
    Stage,
)
from compoundnet.cost import cost
from compoundnet.errors import RequestError

__all__ = ["probes"]

_MACS = (3e5, 1e9)  # of a probe
_MOST_BYTES = 1e9  # its memory
_DRAWS = 10_000  # for one probe; of a batch of 1024 images every tenth does


def probes(seed: int = 0, batch_size: int = 1) -> Iterator[Architecture]:
    """Endless, and the same for the same seed; half are a stem and one or two stages, half whole networks.

    The short ones show each kind of layer at sides and widths that whole networks have it at; the whole ones
    show how layers follow one another. Drawn again where too small or too large: with more images in a
    batch the largest probe has fewer multiply-adds an image.

    Raises:
        RequestError: a batch of which no network is small enough.
    """
    draw = random.Random(seed)
    most = _MACS[1] / math.sqrt(batch_size)
    for number in range(10**9):
        for _ in range(_DRAWS):
            probe = _short(draw) if number % 2 else _whole(draw)
            spent = cost(probe)
            if _MACS[0] < spent.macs < most and spent.inference_bytes * batch_size < _MOST_BYTES:
                break
        else:
            raise RequestError(
                f"batch_size is {batch_size}; no network is small enough to be measured with it: take a smaller one"
            )
        yield probe


def _short(draw: random.Random) -> Architecture:
    stem = _channels(_log_uniform(draw, 8, 320))
    width, stages = float(stem), []
    for _ in range(draw.choice((1, 2))):
        width = _channels(width * _log_uniform(draw, 0.5, 2.2))
        stages.append(_stage(draw, width, draw.randint(1, 3), draw.choice((1, 2))))
    return _network(draw, "short", int(_log_uniform(draw, 12, 420)), stem, draw.choice((1, 2, 2)), stages)


def _whole(draw: random.Random) -> Architecture:
    stem = _channels(_log_uniform(draw, 8, 48))
    width, stages = stem * _log_uniform(draw, 0.5, 1.2), []
    for _ in range(draw.randint(3, 7)):
        stages.append(_stage(draw, _channels(width), draw.randint(1, 4), draw.choice((1, 1, 2, 2, 2))))
        width *= _log_uniform(draw, 1, 2.2)
    return _network(draw, "whole", int(_log_uniform(draw, 32, 380)), stem, draw.choice((1, 2, 2, 2, 2)), stages)


def _network(
    draw: random.Random, name: str, resolution: int, stem: int, stem_stride: int, stages: list[Stage]
) -> Architecture:
    activations = get_args(Activation)
    return Architecture(
        name=name,
        resolution=resolution,
        stem=stem,
        stem_kernel=draw.choice((3, 3, 3, 3, 3, 3, 3, 5, 7)),
        stem_stride=stem_stride,
        stem_pool=draw.random() < 0.1,
        stages=tuple(stages),
        head=None if draw.random() < 0.1 else _channels(_log_uniform(draw, 64, 2560)),
        classes=int(_log_uniform(draw, 10, 1000)),
        activation="silu" if draw.random() < 0.5 else draw.choice(activations),
        padding=draw.choice(get_args(Padding)),
    )


def _stage(draw: random.Random, channels: int, repeats: int, stride: int) -> Stage:
    block = _block(draw)
    wide = channels * block.reduction if isinstance(block, Bottleneck) else channels  # its k x k layer has ``channels``
    return Stage(block=block, channels=wide, repeats=repeats, stride=stride)


def _block(draw: random.Random) -> Block:
    kernel = draw.choices((3, 5, 7), (0.6, 0.33, 0.07))[0]
    expansion = draw.choices((1, 2, 3, 4, 6), (0.2, 0.1, 0.15, 0.25, 0.3))[0]
    skip = draw.random() < 0.9
    kind = draw.choices((MBConv, FusedMBConv, DepthwiseSeparable, Bottleneck), (0.6, 0.24, 0.08, 0.08))[0]
    if kind is MBConv:
        return MBConv(kernel=kernel, expansion=expansion, se_ratio=draw.choice((0, 0.125, 0.25)), skip=skip)
    if kind is FusedMBConv:
        return FusedMBConv(kernel=min(kernel, 5), expansion=min(expansion, 4), skip=skip)
    return DepthwiseSeparable(kernel=kernel) if kind is DepthwiseSeparable else Bottleneck(kernel=min(kernel, 5))


def _channels(wanted: float) -> int:
    return max(8, round(wanted / 8) * 8)


def _log_uniform(draw: random.Random, low: float, high: float) -> float:
    return math.exp(draw.uniform(math.log(low), math.log(high)))
