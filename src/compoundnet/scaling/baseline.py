"""What can be scaled, as the solver sees it: its distinct sizes on each axis, and what they cost."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

from compoundnet.architecture import FOLD, Architecture, Number, Sizes
from compoundnet.cost import Cost, cost, training_peak_bytes
from compoundnet.scaling.compound import Multipliers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["AXES", "ArchitectureBaseline", "Axis", "Baseline"]

Axis = Literal["depth", "width", "resolution"]
AXES: tuple[Axis, ...] = get_args(Axis)
_SAME = 1e-12  # relative distance below which two breakpoints are one: the same fraction, divided in two ways


class Baseline(Protocol):
    """A network that can be scaled: an architecture, or a function that builds modules."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def exact(self) -> bool:
        """Whether :meth:`breakpoints` are all there are, and :meth:`costs` cheap enough to price them all."""

    @property
    def caution(self) -> str:
        """What a person should know of anything that is chosen among its networks; empty: nothing."""

    def breakpoints(self, axis: Axis, low: float, high: float) -> "Floats":
        """Multipliers in low..high, ascending, at which what is built changes (from just before to just after)."""

    def sizes(self, depth: "Floats", width: "Floats", resolution: "Floats") -> "Floats":
        """(n, k) numbers that tell the realised networks of n multipliers apart; equal rows are equal networks."""

    def effective(self, axis: Axis, multipliers: "Floats") -> "Floats":
        """How much larger the axis really gets, after rounding; 1 is the baseline.

        It never falls, but at a multiplier of exactly 1, which rounds nothing.
        """

    def costs(self, depth: Number, width: Number, resolution: Number) -> Cost:
        """Cost of each, as arrays of the multipliers' shape."""

    def training_bytes(self, depth: "Floats", width: "Floats", resolution: "Floats", batch_size: int) -> "Floats":
        """Peak of a training step of ``batch_size`` images with AdamW, for each."""

    def resolution_at(self, multiplier: float) -> int:
        """Side of the input in pixels."""

    def realised(self, by: Multipliers, name: str | None = None) -> Any:
        """The scaled network as a value."""


@dataclass(frozen=True, slots=True)
class ArchitectureBaseline:
    """An :class:`Architecture` as a :class:`Baseline`: breakpoints from its rounding rules, costs in closed form."""

    architecture: Architecture

    @property
    def name(self) -> str:
        """The architecture's."""
        return self.architecture.name

    @property
    def exact(self) -> bool:
        """Always."""
        return True

    @property
    def caution(self) -> str:
        """None: all its networks are looked at."""
        return ""

    def breakpoints(self, axis: Axis, low: float, high: float) -> "Floats":
        """Where ``architecture.rounding`` steps; see :class:`compoundnet.architecture.Rounding`."""
        import numpy as np

        arch, rule = self.architecture, self.architecture.rounding
        steps: list[Floats] = []
        if axis == "depth":
            offset = 0.0 if rule.depth == "ceil" else 0.5  # ceil steps after k / repeats, round at (k + 1/2) / repeats
            for repeats in {stage.repeats for stage in arch.stages}:
                steps.append((np.arange(np.ceil(high * repeats) + 1) + offset) / repeats)
        elif axis == "width":
            m = rule.channel_multiple
            folded = [stage.channels / FOLD for stage in arch.stages if stage.folded]  # rounded in fours of multiples
            for channels in {*_widths(arch.sizes()), *folded}:
                k = np.arange(np.ceil(high * channels / m) + 2)
                steps.append((k + 0.5) * m / channels)
                if rule.channel_floor:
                    steps.append(k * m / rule.channel_floor / channels)
        else:
            m = rule.resolution_multiple
            steps.append((np.arange(np.ceil(high * arch.resolution / m) + 2) + 0.5) * m / arch.resolution)
        return _merged(np.concatenate(steps), low, high)

    def sizes(self, depth: "Floats", width: "Floats", resolution: "Floats") -> "Floats":
        """Repeats, channels and side, a row a network."""
        import numpy as np

        to = self.architecture.sizes(depth, width, resolution)
        return np.stack(np.broadcast_arrays(to.resolution, *_widths(to), *to.repeats), axis=-1)

    def effective(self, axis: Axis, multipliers: "Floats") -> "Floats":
        """Ratio of all blocks, geometric mean ratio of all widths (stem and head among them), ratio of sides.

        With B0 every depth multiplier in (1, 1.25] makes 23 blocks of 16: an effective 1.44.
        """
        import numpy as np

        arch = self.architecture
        to, own = arch.sizes(**{axis: multipliers}), arch.sizes()
        if axis == "resolution":
            return np.asarray(to.resolution / own.resolution)
        if axis == "depth":
            return np.asarray(sum(to.repeats) / sum(own.repeats))
        ratios = [new / old for new, old in zip(_widths(to), _widths(own), strict=True)]
        return np.asarray(np.exp(np.mean(np.log(np.stack(ratios)), axis=0)))

    def costs(self, depth: Number, width: Number, resolution: Number) -> Cost:
        """:func:`compoundnet.cost.cost`."""
        return cost(self.architecture, depth=depth, width=width, resolution=resolution)

    def training_bytes(self, depth: "Floats", width: "Floats", resolution: "Floats", batch_size: int) -> "Floats":
        """:func:`compoundnet.cost.training_peak_bytes`."""
        peaks: Floats = training_peak_bytes(
            self.architecture, batch_size, depth=depth, width=width, resolution=resolution
        )
        return peaks

    def resolution_at(self, multiplier: float) -> int:
        """As :meth:`Architecture.sizes` rounds."""
        side: int = self.architecture.sizes(resolution=multiplier).resolution
        return side

    def realised(self, by: Multipliers, name: str | None = None) -> Architecture:
        """:meth:`Architecture.scaled`."""
        return self.architecture.scaled(depth=by.depth, width=by.width, resolution=by.resolution, name=name)


def _widths(sizes: Sizes) -> list[Any]:
    """Stem, stages and, where there are such, head and hidden layer."""
    widths = [sizes.stem, *sizes.stem_deep, *sizes.channels, sizes.head, sizes.hidden]
    return [width for width in widths if width is not None]


def _merged(points: "Floats", low: float, high: float) -> "Floats":
    """Sorted, inside low..high, without those that differ by a rounding error."""
    import numpy as np

    inside = np.sort(points[(points > low) & (points < high)])
    return inside[np.diff(inside, prepend=0.0) > _SAME * inside]
