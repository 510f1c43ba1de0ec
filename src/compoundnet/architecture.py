"""A convolutional network as a value: frozen dataclasses, JSON in and out, no framework.

Describe here, transform with :meth:`Architecture.scaled`, build with :mod:`compoundnet.nn`,
count with :mod:`compoundnet.cost`. The rounding rules live here because all of these need them.
"""

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from compoundnet.errors import RequestError, unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Activation",
    "Architecture",
    "Block",
    "FusedMBConv",
    "MBConv",
    "Norm",
    "Number",
    "Padding",
    "Rounding",
    "Sizes",
    "Stage",
]

Number: TypeAlias = "float | NDArray[np.float64]"  # one candidate, or an array of candidates
Activation = Literal["silu", "relu", "relu6", "hardswish"]
Padding = Literal["same", "symmetric"]
_LARGEST = 1_000_000  # of any whole number here: beyond it lies a slip of the pen, and a machine that hangs


@dataclass(frozen=True, kw_only=True, slots=True)
class MBConv:
    """Inverted bottleneck: 1x1 expand (unless ``expansion`` is 1), depthwise, squeeze-excite, 1x1 project.

    ``se_ratio`` is a share of the block's *input* channels, truncated, at least 1; 0 means no
    squeeze-excitation. The block adds its input where ``skip``, stride is 1 and channels agree.
    """

    kernel: int
    expansion: int
    se_ratio: float = 0.25
    skip: bool = True

    def __post_init__(self) -> None:
        _check_block(self)
        _check_number("MBConv.se_ratio", self.se_ratio, lambda x: 0 <= x <= 1, "lie in 0..1 (0: no squeeze-excitation)")

    def squeezed(self, c_in: Number) -> Any:
        """Channels between the two layers of the squeeze-excitation, for ``c_in`` into the block."""
        return _at_least(1, _whole("floor", c_in * self.se_ratio))


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedMBConv:
    """MBConv whose expand and depthwise are one full k x k convolution; ``expansion`` 1: only that one."""

    kernel: int
    expansion: int
    skip: bool = True

    def __post_init__(self) -> None:
        _check_block(self)


Block: TypeAlias = MBConv | FusedMBConv


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """``repeats`` copies of one block to ``channels`` outputs; only the first has ``stride``."""

    block: Block
    channels: int
    repeats: int
    stride: int

    def __post_init__(self) -> None:
        for name in ("channels", "repeats", "stride"):
            _check_whole(f"stage.{name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Norm:
    """Batch norm. ``momentum`` is the weight of the new batch (torch's sense): 1 - TensorFlow's decay."""

    eps: float = 1e-3
    momentum: float = 0.01

    def __post_init__(self) -> None:
        _check_number("norm.eps", self.eps, lambda x: 0 < x < 1, "lie in (0, 1), such as 1e-3")
        _check_number("norm.momentum", self.momentum, lambda x: 0 < x <= 1, "lie in (0, 1], such as 0.01")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rounding:
    """How scaled numbers become whole. All rules take one number or an array of candidates.

    The defaults are EfficientNet's; V2 has ``channel_floor=0``; pycls has ``depth="round"`` and
    ``resolution_multiple=4``.
    """

    channel_multiple: int = 8
    channel_floor: float = 0.9
    depth: Literal["ceil", "round"] = "ceil"
    resolution_multiple: int = 1

    def __post_init__(self) -> None:
        _check_whole("rounding.channel_multiple", self.channel_multiple)
        _check_whole("rounding.resolution_multiple", self.resolution_multiple)
        _check_number("rounding.channel_floor", self.channel_floor, lambda x: 0 <= x < 1, "lie in [0, 1) (0: off)")
        if self.depth not in ("ceil", "round"):
            raise unknown("rounding.depth", str(self.depth), ("ceil", "round"))

    def channels(self, wanted: Number) -> Any:
        """Nearest multiple of ``channel_multiple``, ties up, one more if below ``channel_floor * wanted``.

        ``round_filters`` of tensorflow/tpu ``efficientnet_model.py``; automl's V2 has no floor rule.

        >>> Rounding().channels(16 * 1.2)  # 19.2 -> 16 is below 0.9 * 19.2 = 17.28 -> 24
        24
        """
        m = self.channel_multiple
        near = _at_least(m, _whole("floor", (wanted + m / 2) / m) * m)
        return near + m * (near < self.channel_floor * wanted)

    def repeats(self, wanted: Number) -> Any:
        """Blocks in a stage, at least 1: ``ceil`` (``round_repeats`` of tensorflow/tpu), or nearest, halves up."""
        return _at_least(1, _whole("ceil", wanted) if self.depth == "ceil" else _whole("floor", wanted + 0.5))

    def resolution(self, wanted: Number) -> Any:
        """Nearest multiple of ``resolution_multiple``, halves up: 224 * 1.15 = 257.6 -> 258."""
        m = self.resolution_multiple
        return _at_least(m, _whole("floor", wanted / m + 0.5) * m)


class Sizes(NamedTuple):
    """What scaling changes: ints for one network, integer-valued arrays for many candidates."""

    resolution: Any
    stem: Any
    channels: tuple[Any, ...]
    repeats: tuple[Any, ...]
    head: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """Stem, stages of blocks, 1x1 head, global pooling, classifier: every field a realised number.

    ``drop_path`` is the stochastic-depth rate that the schedule approaches at the last block,
    ``dropout`` the rate before the classifier. ``resolution`` is the side of the square input in
    pixels. Raises RequestError, naming the field and what would be right.
    """

    name: str
    resolution: int
    stem: int
    stages: tuple[Stage, ...]
    head: int
    stem_stride: int = 2
    in_channels: int = 3
    classes: int = 1000
    activation: Activation = "silu"
    padding: Padding = "same"
    norm: Norm = field(default_factory=Norm)
    dropout: float = 0.2
    drop_path: float = 0.2
    rounding: Rounding = field(default_factory=Rounding)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if not isinstance(self.name, str) or not self.name:
            raise RequestError(f"name is {self.name!r}; it must be a text, such as 'my_net'")
        for name in ("resolution", "stem", "head", "stem_stride", "in_channels", "classes"):
            _check_whole(name, getattr(self, name))
        if not self.stages:
            raise RequestError(f"architecture {self.name!r} has no stages; it needs at least one")
        for name, choices in (("activation", get_args(Activation)), ("padding", get_args(Padding))):
            if getattr(self, name) not in choices:
                raise unknown(name, str(getattr(self, name)), choices)
        for name in ("dropout", "drop_path"):
            _check_number(name, getattr(self, name), lambda x: 0 <= x < 1, "lie in [0, 1)")

    def sizes(self, depth: Number = 1.0, width: Number = 1.0, resolution: Number = 1.0) -> "Sizes":
        """The realised numbers under three multipliers, each one number or an array of candidates.

        A multiplier of exactly 1 leaves its axis as it is; otherwise ``self.rounding`` applies, from
        this value's numbers, so two steps may differ from one by their product.
        """
        rule = self.rounding
        return Sizes(
            resolution=_scale(self.resolution, resolution, rule.resolution),
            stem=_scale(self.stem, width, rule.channels),
            channels=tuple(_scale(stage.channels, width, rule.channels) for stage in self.stages),
            repeats=tuple(_scale(stage.repeats, depth, rule.repeats) for stage in self.stages),
            head=_scale(self.head, width, rule.channels),
        )

    def scaled(
        self, *, depth: float = 1.0, width: float = 1.0, resolution: float = 1.0, name: str | None = None
    ) -> "Architecture":
        """The same network with every stage's repeats, every width and the input side multiplied, as ``sizes`` says.

        Raises:
            RequestError: a multiplier that is not a positive number, or that makes the network too large to build.
        """
        for axis, value in (("depth", depth), ("width", width), ("resolution", resolution)):
            if not 0 < value <= _LARGEST:
                raise RequestError(
                    f"{axis} multiplier is {value!r}; it must be a positive number, 1 leaves it as it is"
                    + (f", and at most {_LARGEST}" if value > 0 else "")
                )
        to = self.sizes(depth, width, resolution)
        stages = (
            replace(stage, channels=channels, repeats=repeats)
            for stage, channels, repeats in zip(self.stages, to.channels, to.repeats, strict=True)
        )
        return replace(
            self,
            name=name or f"{self.name}_d{depth:g}_w{width:g}_r{resolution:g}",
            resolution=to.resolution,
            stem=to.stem,
            stages=tuple(stages),
            head=to.head,
        )

    def drop_path_rates(self) -> tuple[float, ...]:
        """Stochastic-depth rate of each block: ``drop_path * i / n``, i from 0 over all n blocks.

        So the last has ``drop_path * (n - 1) / n`` (tensorflow/tpu ``efficientnet_model.py``).
        """
        blocks = sum(stage.repeats for stage in self.stages)
        return tuple(self.drop_path * i / blocks for i in range(blocks))

    def to_json(self) -> str:
        """JSON text that :meth:`from_json` reads back to an equal value."""
        record = asdict(self)
        for entry, stage in zip(record["stages"], self.stages, strict=True):
            entry["block"] = {"type": type(stage.block).__name__, **entry["block"]}
        return json.dumps(record, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Architecture":
        """The value written by :meth:`to_json`; RequestError says where the text is wrong."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists without end
            raise RequestError(f"not JSON: {error}") from error
        return _decode(cls, record, "architecture")


_BLOCKS: dict[str, type[MBConv] | type[FusedMBConv]] = {"MBConv": MBConv, "FusedMBConv": FusedMBConv}
_T = TypeVar("_T")


def _decode(cls: type[_T], record: Any, where: str) -> _T:
    """``cls(**record)``, nested values decoded; RequestError names the place of a wrong or missing key."""
    if not isinstance(record, dict):
        raise RequestError(f"{where} is {record!r:.60}; it must be a JSON object")
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in record:
        if key not in known:
            raise unknown(f"field in {where}", key, known)
    missing = [n for n, f in known.items() if n not in record and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise RequestError(f"{where} lacks {', '.join(missing)}")
    values = dict(record)
    if isinstance(values.get("stages"), list):
        values["stages"] = tuple(_decode(Stage, s, f"{where}.stages[{i}]") for i, s in enumerate(values["stages"]))
    elif "stages" in values:
        raise RequestError(f"{where}.stages must be a list")
    if "block" in values:
        values["block"] = _decode_block(values["block"], f"{where}.block")
    for key, part in (("norm", Norm), ("rounding", Rounding)):
        if key in values:
            values[key] = _decode(part, values[key], f"{where}.{key}")
    try:
        return cls(**values)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error


def _decode_block(record: Any, where: str) -> Block:
    kind = record.get("type") if isinstance(record, dict) else None
    if not isinstance(kind, str) or kind not in _BLOCKS:
        raise unknown(f"block type in {where}", str(kind), _BLOCKS)
    return _decode(_BLOCKS[kind], {k: v for k, v in record.items() if k != "type"}, where)


def _check_whole(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
        most = f", at most {_LARGEST}" if isinstance(value, int) and value > _LARGEST else ""
        raise RequestError(f"{name} is {value!r}; it must be a positive integer{most}")


def _check_number(name: str, value: object, fits: Callable[[float], bool], right: str) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not fits(value):  # NaN fits nothing
        raise RequestError(f"{name} is {value!r}; it must {right}")


def _check_block(block: Block) -> None:
    kind = type(block).__name__
    _check_whole(f"{kind}.expansion", block.expansion)
    _check_whole(f"{kind}.kernel", block.kernel)
    if block.kernel % 2 == 0:
        raise RequestError(f"{kind}.kernel is {block.kernel}; it must be odd, such as 3 or 5")
    if not isinstance(block.skip, bool):
        raise RequestError(f"{kind}.skip is {block.skip!r}; it must be true or false")


def _scale(value: int, by: Number, rule: Callable[[Number], Any]) -> Any:
    if isinstance(by, (int, float)):
        return value if by == 1 else int(rule(value * by))
    import numpy as np

    return np.where(by == 1, value, rule(value * by))


def _whole(rule: Literal["floor", "ceil"], x: Number) -> Any:
    """``math``'s rule for one number (an int), NumPy's for an array; NumPy is imported only then."""
    if isinstance(x, (int, float)):
        return getattr(math, rule)(x)
    import numpy as np

    return getattr(np, rule)(x)


def _at_least(least: int, x: Any) -> Any:
    if isinstance(x, (int, float)):
        return max(least, x)
    import numpy as np

    return np.maximum(x, least)
