"""A factory as a baseline: a function that builds networks of any kind from three multipliers.

A factory is any ``factory(depth, width, resolution) -> torch.nn.Module``: three multipliers in, a module for
images (N, 3, S, S) out, with S the baseline's resolution times the third. Its costs are counted on the
meta device, where nothing is computed, and kept.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from compoundnet.architecture import Number
from compoundnet.baselines.counts import Counts, Key
from compoundnet.cost import Cost
from compoundnet.errors import RequestError, foreign
from compoundnet.scaling import Multipliers
from compoundnet.scaling.baseline import Axis

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    Floats: TypeAlias = NDArray[np.float64]

T = TypeVar("T")

__all__ = ["SIDE", "FactoryBaseline", "Scaled", "aside"]

SIDE = 224
"""Of a factory's baseline in pixels, unless it is given: a module does not say what it is fed."""

_STEP = 2 ** (1 / 4)  # between breakpoints of depth and width; these and what lies between two are tried


@contextmanager
def aside() -> Iterator[None]:
    """Inside, what somebody else's code prints goes to standard error: standard output is for the answer."""
    with redirect_stdout(sys.stderr):
        yield


@dataclass(frozen=True, slots=True)
class Scaled:
    """A factory's network as a value: who builds it, and from what multipliers."""

    name: str
    scaling: Multipliers
    resolution: int


@dataclass(frozen=True, slots=True, eq=False)
class FactoryBaseline:
    """A factory as a :class:`compoundnet.scaling.baseline.Baseline`: costs counted, breakpoints a fixed grid.

    What a factory rounds to is its own affair, so the networks tried are those on a grid: multipliers 9 %
    apart, sides ``side_step`` pixels apart.
    """

    name: str
    factory: Callable[..., Any]
    resolution: int = SIDE
    side_step: int = 8
    counts: Counts = field(default_factory=Counts)
    peaks: dict[tuple[float, float, int, int], int] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Never: each network must be built to be counted."""
        return False

    @property
    def caution(self) -> str:
        """What a person should know of anything that is chosen among its networks."""
        return (
            f"networks of {self.name} are tried {100 * (_STEP**0.5 - 1):.0f} % apart in depth and in width, "
            f"{self.side_step} pixels apart in side; what it makes in between is not looked at"
        )

    def breakpoints(self, axis: Axis, low: float, high: float) -> "Floats":
        """Every second place of the grid; solvers try what lies between two of them as well."""
        if axis == "resolution":
            steps = (
                (np.arange(np.ceil(high * self.resolution / self.side_step) + 1) + 0.5)
                * self.side_step
                / self.resolution
            )
        else:
            first, last = (round(np.log(x) / np.log(_STEP)) for x in (low, high))
            steps = _STEP ** (np.arange(first, last + 1) + 0.5)
        inside: Floats = steps[(steps > low) & (steps < high)]
        return inside

    def sizes(self, depth: "Floats", width: "Floats", resolution: "Floats") -> "Floats":
        """The multipliers on the grid and the side."""
        return np.stack(np.broadcast_arrays(depth, width, self._sides(resolution)), axis=-1)

    def effective(self, axis: Axis, multipliers: "Floats") -> "Floats":
        """The multipliers themselves, of the side as it is rounded."""
        return self._sides(multipliers) / self.resolution if axis == "resolution" else np.asarray(multipliers)

    def costs(self, depth: Number, width: Number, resolution: Number) -> Cost:
        """Counted one by one; each network once."""
        shape, networks = self._networks(depth, width, resolution)
        each = [self.count(*network) for network in networks]
        columns = {f.name: np.array([getattr(c, f.name) for c in each], np.int64) for f in fields(Cost)}
        return Cost(**{name: column.reshape(shape) for name, column in columns.items()})

    def training_bytes(self, depth: "Floats", width: "Floats", resolution: "Floats", batch_size: int) -> "Floats":
        """Of a step on the meta device, counted one by one; each network once."""
        shape, networks = self._networks(depth, width, resolution)
        return np.array([self._training_peak(*network, batch_size) for network in networks], float).reshape(shape)

    def resolution_at(self, multiplier: float) -> int:
        """The nearest multiple of ``side_step`` pixels; at 1 the baseline's own side."""
        return int(self._sides(np.array(multiplier)))

    def realised(self, by: Multipliers, name: str | None = None) -> Scaled:
        """The multipliers, with the side that they mean."""
        side = self.resolution_at(by.resolution)
        by = by._replace(resolution=side / self.resolution)
        return Scaled(name or "{}_d{:g}_w{:g}_r{:g}".format(self.name, *by), by, side)

    @property
    def takes_classes(self) -> bool:
        """Whether the factory takes ``num_classes``."""
        try:
            parameters = inspect.signature(self.factory).parameters
        except (TypeError, ValueError):
            return False
        return "num_classes" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def build(self, by: Multipliers, **more: Any) -> "nn.Module":
        """The module of the multipliers; ``more`` goes to the factory.

        Raises:
            RequestError: the factory raises, or what it returns is no module.
        """
        import torch
        from torch import nn

        by = by._replace(resolution=self.resolution_at(by.resolution) / self.resolution)
        call = f"{self.name}(depth={by.depth:g}, width={by.width:g}, resolution={by.resolution:g})"
        try:
            with aside():
                built = self.factory(depth=by.depth, width=by.width, resolution=by.resolution, **more)
        except (RequestError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:  # anything: it is somebody else's code
            raise RequestError(f"factory {call} raised {foreign(error)}") from error
        if not isinstance(built, nn.Module):
            raise RequestError(f"factory {call} returned {type(built).__name__}; it must return a torch.nn.Module")
        return built

    def count(self, depth: float, width: float, side: int) -> Cost:
        """Cost of one network, counted once."""
        key = (depth, width, side)
        cost = self.counts.find(key)
        if cost is None:
            cost = self.count_anew(depth, width, side)
            self.counts.add(key, cost)
        return cost

    def count_anew(self, depth: float, width: float, side: int) -> Cost:
        """Cost of one network, whatever was counted before.

        Raises:
            RequestError: the factory raises, or its module does for images of that side.
        """
        from compoundnet.nn.counting import count

        return self._measured(depth, width, side, lambda module: count(module, side))

    def _training_peak(self, depth: float, width: float, side: int, batch_size: int) -> int:
        from compoundnet.baselines.peak import training_step_bytes

        key = (depth, width, side, batch_size)
        if key not in self.peaks:
            self.peaks[key] = self._measured(
                depth, width, side, lambda module: training_step_bytes(module, side, batch_size)
            )
        return self.peaks[key]

    def _measured(self, depth: float, width: float, side: int, measure: "Callable[[nn.Module], T]") -> T:
        """What ``measure`` finds of one network on the meta device; RequestError in its name if it raises."""
        import torch

        told = f"network {self.name} at depth {depth:g}, width {width:g}"
        with torch.device("meta"):
            module = self.build(Multipliers(depth, width, side / self.resolution))
        try:
            with aside():
                return measure(module)
        except RequestError as error:
            raise RequestError(f"{told}: {error}") from error
        except (Exception, SystemExit) as error:  # whatever the module does with images of this size
            raise RequestError(f"{told} cannot take images of {side} x {side}: {foreign(error)}") from error

    def _networks(self, depth: Number, width: Number, resolution: Number) -> tuple[tuple[int, ...], list[Key]]:
        """The shape that the multipliers broadcast to, and each network in it."""
        grid = np.broadcast_arrays(depth, width, self._sides(np.asarray(resolution, float)))
        rows = zip(*(axis.ravel() for axis in grid), strict=True)
        return grid[0].shape, [(float(d), float(w), int(s)) for d, w, s in rows]

    def _sides(self, multipliers: "Floats") -> "Floats":
        near = np.floor(multipliers * self.resolution / self.side_step + 0.5) * self.side_step
        return np.where(multipliers == 1, self.resolution, np.maximum(near, self.side_step))
