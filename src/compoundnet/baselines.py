"""Baselines by name: a zoo name, a JSON file, or ``package.module:factory`` for networks of any kind.

A factory is any ``factory(depth, width, resolution) -> torch.nn.Module``: three multipliers in, a module for
images (N, 3, S, S) out, with S the baseline's resolution times the third. Its costs are counted on the
meta device, where nothing is computed, and kept.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from compoundnet import zoo
from compoundnet.architecture import Architecture, Number
from compoundnet.checks import check_whole
from compoundnet.cost import Cost, training_bytes
from compoundnet.errors import RequestError, foreign
from compoundnet.scaling import Multipliers
from compoundnet.scaling.baseline import ArchitectureBaseline, Axis, Baseline

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["FactoryBaseline", "Scaled", "is_factory", "open_baseline"]

_STEP = 2 ** (1 / 4)  # between multipliers of depth and width that are tried: 19 %
_SIDE_STEP = 8  # pixels
_LARGEST_SIDE = 10_000


@dataclass(frozen=True, slots=True)
class Scaled:
    """A factory's network as a value: who builds it, and from what multipliers."""

    name: str
    scaling: Multipliers
    resolution: int


@dataclass(frozen=True, slots=True, eq=False)
class FactoryBaseline:
    """A factory as a :class:`compoundnet.scaling.baseline.Baseline`: costs counted, breakpoints a fixed grid.

    What a factory rounds to is its own affair, so the networks tried are those on a grid: multipliers 19 %
    apart, sides 8 pixels apart.
    """

    name: str
    factory: Callable[..., Any]
    resolution: int = 224
    _counted: dict[tuple[float, float, int], Cost] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Never: each network must be built to be counted."""
        return False

    def breakpoints(self, axis: Axis, low: float, high: float) -> "Floats":
        """The middles of the grid's steps."""
        if axis == "resolution":
            steps = (np.arange(np.ceil(high * self.resolution / _SIDE_STEP) + 1) + 0.5) * _SIDE_STEP / self.resolution
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
        grid = np.broadcast_arrays(depth, width, self._sides(np.asarray(resolution, float)))
        each = [self.count(float(d), float(w), int(s)) for d, w, s in zip(*(a.ravel() for a in grid), strict=True)]
        columns = {f.name: np.array([getattr(c, f.name) for c in each], np.int64) for f in fields(Cost)}
        return Cost(**{name: column.reshape(grid[0].shape) for name, column in columns.items()})

    def training_bytes(self, depth: "Floats", width: "Floats", resolution: "Floats", batch_size: int) -> "Floats":
        """:func:`compoundnet.cost.training_bytes` of the counted costs: everything at once, so rather too much."""
        return np.asarray(training_bytes(self.costs(depth, width, resolution), batch_size), float)

    def resolution_at(self, multiplier: float) -> int:
        """The nearest multiple of 8 pixels; at 1 the baseline's own side."""
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
            built = self.factory(depth=by.depth, width=by.width, resolution=by.resolution, **more)
        except (RequestError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:  # anything: it is somebody else's code
            raise RequestError(f"factory {call} raised {foreign(error)}") from error
        if not isinstance(built, nn.Module):
            raise RequestError(f"factory {call} returned {type(built).__name__}; it must return a torch.nn.Module")
        return built

    def count(self, depth: float, width: float, side: int) -> Cost:
        """Cost of one network."""
        key = (depth, width, side)
        if key not in self._counted:
            import torch

            from compoundnet.nn.counting import count

            by = Multipliers(depth, width, side / self.resolution)
            with torch.device("meta"):
                module = self.build(by)
            try:
                self._counted[key] = count(module, side)
            except (Exception, SystemExit) as error:  # whatever the module does with images of this size
                raise RequestError(
                    f"network {self.name} at depth {depth:g}, width {width:g} cannot take images of {side} x {side}: "
                    f"{foreign(error)}"
                ) from error
        return self._counted[key]

    def _sides(self, multipliers: "Floats") -> "Floats":
        near = np.floor(multipliers * self.resolution / _SIDE_STEP + 0.5) * _SIDE_STEP
        return np.where(multipliers == 1, self.resolution, np.maximum(near, _SIDE_STEP))


def is_factory(name: str) -> bool:
    """Whether ``name`` has the form of ``package.module:factory``."""
    return ":" in name and not name.endswith(".json")


def open_baseline(name: str | Path | Architecture, resolution: int | None = None) -> Baseline:
    """The baseline of a zoo name, a JSON file, ``package.module:factory``, or an Architecture.

    ``resolution`` is the side of a factory's baseline in pixels, 224 unless it is given.

    Raises:
        RequestError: no such name, file, module or function, or a factory that raises, returns no module, or
            ignores its depth or width.
    """
    if isinstance(name, str) and is_factory(name):
        if resolution is not None:
            check_whole("base-resolution", resolution, most=_LARGEST_SIDE)
        return _checked(FactoryBaseline(name, _imported(name), 224 if resolution is None else resolution))
    if resolution is not None:
        raise RequestError(f"resolution {resolution} goes with a factory; {name} has its own")
    arch = name if isinstance(name, Architecture) else zoo.architecture(name)
    return ArchitectureBaseline(arch)


def _imported(name: str) -> Callable[..., Any]:
    module_name, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:  # as `python -m` would have it
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (Exception, SystemExit) as error:  # a module may raise anything when it is imported
        raise RequestError(
            f"cannot find factory {name!r}: {foreign(error)}; "
            "it is written package.module:factory, as Python would import it from this folder"
        ) from error
    if not callable(found):
        raise RequestError(f"{name!r} is no function; a factory takes (depth, width, resolution), returns a module")
    return _accepting(name, found)


def _accepting(name: str, factory: Any) -> Callable[..., Any]:
    """The factory, called with keywords; RequestError if its signature lacks one."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # a builtin; it will say itself what it takes
        return factory  # type: ignore[no-any-return]
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    missing = [axis for axis in Multipliers._fields if axis not in parameters]
    if missing and not takes_any:
        raise RequestError(
            f"factory {name!r} takes no {' and no '.join(missing)}; it must take depth, width, resolution"
        )
    return factory  # type: ignore[no-any-return]


def _checked(baseline: FactoryBaseline) -> FactoryBaseline:
    """RequestError unless depth and width change what is built."""
    at_one = baseline.count(1.0, 1.0, baseline.resolution)
    for axis, depth, width in (("depth", 2.0, 1.0), ("width", 1.0, 2.0)):
        if baseline.count(depth, width, baseline.resolution) == at_one:
            raise RequestError(f"factory {baseline.name!r} ignores {axis}: twice as much of it costs the same")
    return baseline
