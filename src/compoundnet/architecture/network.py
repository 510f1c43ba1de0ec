"""The whole network as a value: stem, stages of blocks, head, classifier."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from compoundnet.architecture.blocks import BLOCKS, FOLD, Activation, Block, MBConv, later
from compoundnet.architecture.record import LATER, Reader, parse, read, read_kind, read_list, written
from compoundnet.architecture.rounding import Number, Rounding, scale_by
from compoundnet.checks import (
    LARGEST,
    check_choice,
    check_number,
    check_odd,
    check_text,
    check_whole,
)
from compoundnet.errors import RequestError

__all__ = ["Architecture", "Norm", "Padding", "Sizes", "Stage"]

Padding = Literal["same", "symmetric"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """``repeats`` copies of one block to ``channels`` outputs; only the first has ``stride``."""

    block: Block
    channels: int
    repeats: int
    stride: int

    def __post_init__(self) -> None:
        for name in ("channels", "repeats", "stride"):
            check_whole(f"stage.{name}", getattr(self, name))
        if self.folded and self.stride != 2:
            raise RequestError(f"stage.stride is {self.stride}; it must be 2 where the block has space_to_depth")

    @property
    def folded(self) -> bool:
        """Whether its channels hold 2 x 2 pixels of the image that they stand for."""
        return isinstance(self.block, MBConv) and self.block.space_to_depth

    def blocks(self) -> Iterator[tuple[Block, int]]:
        """Each block with its stride."""
        rest = later(self.block)
        yield self.block, self.stride
        yield from ((rest, 1) for _ in range(self.repeats - 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Norm:
    """Batch norm. ``momentum`` is the weight of the new batch (torch's sense): 1 - TensorFlow's decay."""

    eps: float = 1e-3
    momentum: float = 0.01

    def __post_init__(self) -> None:
        check_number("norm.eps", self.eps, lambda x: 0 < x < 1, "lie in (0, 1), such as 1e-3")
        check_number("norm.momentum", self.momentum, lambda x: 0 < x <= 1, "lie in (0, 1], such as 0.01")


class Sizes(NamedTuple):
    """What scaling changes: ints for one network, integer-valued arrays for many candidates."""

    resolution: Any
    stem: Any
    channels: tuple[Any, ...]
    repeats: tuple[Any, ...]
    head: Any  # None where there is none
    hidden: Any = None  # likewise
    stem_deep: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """Stem, stages of blocks, 1x1 head, global pooling, classifier: every field a realised number.

    ``head`` None: the classifier takes the last stage's output. ``hidden``: the width of a linear layer with
    activation between pooling and classifier, as in MobileNetV3; None: there is none. ``stem_deep``: channels of
    further convolutions of ``stem_kernel`` and stride 1 that follow the stem's first. ``stem_pool``: then a 3x3
    max-pooling of stride 2, padded by 1; "conv": in its place a 3x3 convolution of stride 2 that keeps the channels.
    ``drop_path`` is the stochastic-depth rate that the schedule approaches at the last block, ``dropout`` the rate
    before the classifier. ``resolution`` is the side of the square input in pixels. Raises RequestError, naming
    the field and what would be right.
    """

    name: str
    resolution: int
    stem: int
    stages: tuple[Stage, ...]
    head: int | None
    stem_kernel: int = 3
    stem_stride: int = 2
    stem_deep: tuple[int, ...] = field(default=(), metadata=LATER)
    stem_pool: bool | Literal["conv"] = False
    in_channels: int = 3
    classes: int = 1000
    activation: Activation = "silu"
    padding: Padding = "same"
    norm: Norm = field(default_factory=Norm)
    dropout: float = 0.2
    drop_path: float = 0.2
    rounding: Rounding = field(default_factory=Rounding)
    hidden: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        check_text("name", self.name, "my_net")
        for name in ("resolution", "stem", "stem_stride", "in_channels", "classes"):
            check_whole(name, getattr(self, name))
        for name in ("head", "hidden"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name))
        check_odd("stem_kernel", self.stem_kernel)
        object.__setattr__(self, "stem_deep", _checked_channels("stem_deep", self.stem_deep))
        _check_pool(self.stem_pool)
        if not self.stages:
            raise RequestError(f"architecture {self.name!r} has no stages; it needs at least one")
        check_choice("activation", self.activation, get_args(Activation))
        check_choice("padding", self.padding, get_args(Padding))
        for name in ("dropout", "drop_path"):
            check_number(name, getattr(self, name), lambda x: 0 <= x < 1, "lie in [0, 1)")

    @property
    def stem_features(self) -> int:
        """Channels that the stem hands on: its last convolution's."""
        return (self.stem, *self.stem_deep)[-1]

    @property
    def features(self) -> int:
        """Channels of the last map, which is pooled: the head's, or the last stage's where there is no head."""
        return self.stages[-1].channels if self.head is None else self.head

    def pads(self, kernel: int, stride: int) -> bool:
        """Whether a convolution's padding depends on the side, so that it makes a padded copy of its input.

        TensorFlow's "same" with a stride does; so does an even kernel, which cannot be padded symmetrically.
        """
        return kernel > 1 and (kernel % 2 == 0 or (self.padding == "same" and stride > 1))

    def sizes(self, depth: Number = 1.0, width: Number = 1.0, resolution: Number = 1.0) -> Sizes:
        """The realised numbers under three multipliers, each one number or an array of candidates.

        A multiplier of exactly 1 leaves its axis as it is; otherwise ``self.rounding`` applies, from
        this value's numbers, so two steps may differ from one by their product.
        """
        rule, ends = self.rounding, (0, len(self.stages) - 1)
        unscaled = width**0  # 1, in the form of the multiplier
        return Sizes(
            resolution=scale_by(self.resolution, resolution, rule.resolution),
            stem=scale_by(self.stem, unscaled if rule.fixed_stem or rule.fixed_ends else width, rule.channels),
            channels=tuple(
                scale_by(stage.channels, width, partial(rule.channels, fold=FOLD if stage.folded else 1))
                for stage in self.stages
            ),
            repeats=tuple(
                scale_by(stage.repeats, depth**0 if rule.fixed_ends and i in ends else depth, rule.repeats)
                for i, stage in enumerate(self.stages)
            ),
            head=self.head and scale_by(self.head, unscaled if rule.fixed_ends else width, rule.head),
            hidden=self.hidden and scale_by(self.hidden, width, rule.channels),
            stem_deep=tuple(
                scale_by(channels, unscaled if rule.fixed_stem or rule.fixed_ends else width, rule.channels)
                for channels in self.stem_deep
            ),
        )

    def scaled(
        self, *, depth: float = 1.0, width: float = 1.0, resolution: float = 1.0, name: str | None = None
    ) -> "Architecture":
        """The same network with every stage's repeats, every width and the input side multiplied, as ``sizes`` says.

        Raises:
            RequestError: a multiplier that is not a positive number, or that makes the network too large to build.
        """
        for axis, value in (("depth", depth), ("width", width), ("resolution", resolution)):
            if not 0 < value <= LARGEST:
                raise RequestError(
                    f"{axis} multiplier is {value!r}; it must be a positive number, 1 leaves it as it is"
                    + (f", and at most {LARGEST}" if value > 0 else "")
                )
        to = self.sizes(depth, width, resolution)
        return replace(
            self,
            name=name or f"{self.name}_d{depth:g}_w{width:g}_r{resolution:g}",
            resolution=to.resolution,
            stem=to.stem,
            stem_deep=to.stem_deep,
            stages=tuple(self._stages(to)),
            head=to.head,
            hidden=to.hidden,
        )

    def _stages(self, to: Sizes) -> Iterator[Stage]:
        for stage, channels, repeats in zip(self.stages, to.channels, to.repeats, strict=True):
            yield replace(stage, channels=channels, repeats=repeats)

    def drop_path_rates(self) -> tuple[float, ...]:
        """Stochastic-depth rate of each block: ``drop_path * i / n``, i from 0 over all n blocks.

        So the last has ``drop_path * (n - 1) / n`` (tensorflow/tpu ``efficientnet_model.py``).
        """
        blocks = sum(stage.repeats for stage in self.stages)
        return tuple(self.drop_path * i / blocks for i in range(blocks))

    def to_json(self) -> str:
        """JSON text that :meth:`from_json` reads back to an equal value."""
        record = written(self)
        for entry, stage in zip(record["stages"], self.stages, strict=True):
            entry["block"] = {"type": type(stage.block).__name__, **entry["block"]}
        return json.dumps(record, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        """The value written by :meth:`to_json`; RequestError says where the text is wrong."""
        return read(cls, parse(text), "architecture", _NESTED)


def _checked_channels(name: str, value: object) -> tuple[int, ...]:
    """The channels as a tuple, whatever kind of list they were given in."""
    if not isinstance(value, (list, tuple)):
        raise RequestError(f"{name} is {value!r:.60}; it must be a list of channels, such as [32, 64]")
    for channels in value:
        check_whole(name, channels)
    return tuple(value)


def _check_pool(value: object) -> None:
    if value != "conv" and not isinstance(value, bool):
        raise RequestError(f"stem_pool is {value!r:.60}; it must be true, false or 'conv'")


def _read_stage(record: Any, where: str) -> Stage:
    return read(Stage, record, where, {"block": read_kind("block", BLOCKS)})


_NESTED: dict[str, Reader] = {
    "stages": read_list(_read_stage),
    "norm": lambda record, where: read(Norm, record, where),
    "rounding": lambda record, where: read(Rounding, record, where),
}
