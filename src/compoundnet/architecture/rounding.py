"""How scaled numbers become whole; every function takes one number or an array of candidates."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from compoundnet.architecture.record import LATER
from compoundnet.checks import check_choice, check_number, check_whole, check_yes_or_no

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Number", "Rounding", "at_least", "floor", "scale_by"]

Number: TypeAlias = "float | NDArray[np.float64]"  # one candidate, or an array of candidates


@dataclass(frozen=True, kw_only=True, slots=True)
class Rounding:
    """How scaled numbers become whole. All rules take one number or an array of candidates.

    The defaults are EfficientNet's; V2 has ``channel_floor=0``; pycls has ``depth="round"`` and
    ``resolution_multiple=4``. ``fixed_stem``: the stem is never scaled (TinyNet); ``fixed_ends``: nor are the head
    and the repeats of the first and the last stage (EfficientNet-Lite); ``least_head``: of the head (TinyNet).
    """

    channel_multiple: int = 8
    channel_floor: float = 0.9
    depth: Literal["ceil", "round"] = "ceil"
    resolution_multiple: int = 1
    fixed_stem: bool = field(default=False, metadata=LATER)
    fixed_ends: bool = field(default=False, metadata=LATER)
    least_head: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        check_whole("rounding.channel_multiple", self.channel_multiple)
        check_whole("rounding.resolution_multiple", self.resolution_multiple)
        check_number("rounding.channel_floor", self.channel_floor, lambda x: 0 <= x < 1, "lie in [0, 1) (0: off)")
        check_choice("rounding.depth", self.depth, ("ceil", "round"))
        check_yes_or_no("rounding.fixed_stem", self.fixed_stem)
        check_yes_or_no("rounding.fixed_ends", self.fixed_ends)
        check_whole("rounding.least_head", self.least_head)

    def channels(self, wanted: Number, fold: int = 1) -> Any:
        """Nearest multiple of ``channel_multiple``, ties up, one more if below ``channel_floor * wanted``.

        ``round_filters`` of tensorflow/tpu ``efficientnet_model.py``; automl's V2 has no floor rule. Where ``fold``
        pixels are folded into the channels of one: ``fold`` times the rounded channels of a single pixel.

        >>> Rounding().channels(16 * 1.2)  # 19.2 -> 16 is below 0.9 * 19.2 = 17.28 -> 24
        24
        """
        m = self.channel_multiple * fold
        near = at_least(m, floor((wanted + m / 2) / m) * m)
        return near + m * (near < self.channel_floor * wanted)

    def head(self, wanted: Number) -> Any:
        """As :meth:`channels`, and at least ``least_head``."""
        return at_least(self.least_head, self.channels(wanted))

    def repeats(self, wanted: Number) -> Any:
        """Blocks in a stage, at least 1: ``ceil`` (``round_repeats`` of tensorflow/tpu), or nearest, halves up."""
        return at_least(1, _whole("ceil", wanted) if self.depth == "ceil" else floor(wanted + 0.5))

    def resolution(self, wanted: Number) -> Any:
        """Nearest multiple of ``resolution_multiple``, halves up: 224 * 1.15 = 257.6 -> 258."""
        m = self.resolution_multiple
        return at_least(m, floor(wanted / m + 0.5) * m)


def scale_by(value: int, by: Number, rule: Callable[[Number], Any]) -> Any:
    """``rule(value * by)``, but ``value`` as it is where the multiplier is exactly 1."""
    if isinstance(by, (int, float)):
        return value if by == 1 else int(rule(value * by))
    import numpy as np

    return np.where(by == 1, value, rule(value * by))


def floor(x: Number) -> Any:
    """The whole number below: an int of one number, an array of floats of an array."""
    return _whole("floor", x)


def at_least(least: int, x: Any) -> Any:
    """The larger of the two, element by element."""
    if isinstance(x, (int, float)):
        return max(least, x)
    import numpy as np

    return np.maximum(x, least)


def _whole(rule: Literal["floor", "ceil"], x: Number) -> Any:
    """``math``'s rule for one number (an int), NumPy's for an array; NumPy is imported only then."""
    if isinstance(x, (int, float)):
        return getattr(math, rule)(x)
    import numpy as np

    return getattr(np, rule)(x)
