"""From a name to a baseline, tried before it is used."""

import importlib
import inspect
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.baselines.counts import Counts, Key, counts_file, silent
from compoundnet.baselines.factory import SIDE, FactoryBaseline, aside
from compoundnet.checks import check_whole
from compoundnet.cost import Cost
from compoundnet.errors import RequestError, foreign
from compoundnet.scaling import Multipliers
from compoundnet.scaling.baseline import AXES, ArchitectureBaseline, Axis, Baseline

__all__ = ["is_factory", "open_baseline"]

_LARGEST_SIDE = 10_000
_GROWN = (2.0, 1.25)  # times the baseline's depth or width, to see whether it matters
_SIDE_STEPS = (8, 14, 16, 32)  # pixels: the second and third are the patches of vision transformers


def is_factory(name: str) -> bool:
    """Whether ``name`` has the form of ``package.module:factory``."""
    return ":" in name and not name.endswith(".json")


def open_baseline(
    name: str | Path | zoo.AnyNetwork | Callable[..., Any],
    resolution: int | None = None,
    *,
    scales: Collection[Axis] = AXES,
    tell: Callable[[str], None] = silent,
) -> Baseline:
    """The baseline of a zoo name, a JSON file, ``package.module:factory``, an Architecture, or a factory itself.

    Args:
        name: the name, the file, the architecture or the function; of the last, counts are kept for this call alone.
        resolution: side of a factory's baseline in pixels, 224 unless it is given.
        scales: the axes that will be scaled; what a factory makes of the others is not tried.
        tell: hears now and then how many of a factory's networks have been counted.

    Raises:
        RequestError: no such name, file, module or function, or a factory that raises, returns no module, ignores
            the depth or width that is to be scaled, builds no larger one, builds another network each time, or
            takes no images of another side; axes that are none.
    """
    if isinstance(scales, str) or not set(scales) <= set(AXES):
        raise RequestError(f"scales is {scales!r:.60}; it must be a list of axes: {', '.join(AXES)}")
    if callable(name) or (isinstance(name, str) and is_factory(name)):
        if resolution is not None:
            check_whole("base-resolution", resolution, most=_LARGEST_SIDE)
        side = SIDE if resolution is None else resolution
        if isinstance(name, str):
            factory = _imported(name)
            counts = Counts(counts_file(name, factory, side), tell)
        else:
            factory, name = name, _called(name)
            factory, counts = _accepting(name, factory), Counts(tell=tell)
        return _tried(FactoryBaseline(name, factory, side, counts=counts), scales)
    if resolution is not None:
        told = name.name if isinstance(name, Architecture) else f"{name!s:.60}"
        raise RequestError(f"resolution {resolution} (--base-resolution) goes with a factory; {told} has its own")
    if isinstance(name, zoo.Comparator):
        raise zoo.not_scalable(name.name)
    if not isinstance(name, (str, Path, Architecture)):
        raise RequestError(
            f"baseline is {name!r:.60}; give a name, a JSON file, package.module:factory, an Architecture or a function"
        )
    return ArchitectureBaseline(name if isinstance(name, Architecture) else zoo.architecture(name))


def _called(factory: Callable[..., Any]) -> str:
    """What people call a function; of an object that can be called, its class."""
    name: str = getattr(factory, "__name__", type(factory).__name__)
    return name


def _imported(name: str) -> Callable[..., Any]:
    module_name, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:  # as `python -m` would have it
        sys.path.insert(0, str(Path.cwd()))
    try:
        with aside():
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


def _tried(baseline: FactoryBaseline, scales: Collection[Axis]) -> FactoryBaseline:
    """The factory with the side step that its networks take; RequestError unless the axes change what is built.

    What is counted here is counted anew, and tells whether the counts that were kept still hold.
    """
    own = baseline.resolution
    at_one = baseline.count_anew(1.0, 1.0, own)
    if baseline.count_anew(1.0, 1.0, own) != at_one:
        raise RequestError(
            f"factory {baseline.name!r} builds another network each time; what it builds must depend "
            "on depth, width and resolution alone"
        )
    baseline.counts.confirm((1.0, 1.0, own), at_one)
    for axis in ("depth", "width"):
        if axis in scales:
            baseline.counts.confirm(*_grown(baseline, axis, at_one))
    return _stepping(baseline) if "resolution" in scales else baseline


def _grown(baseline: FactoryBaseline, axis: str, at_one: Cost) -> tuple[Key, Cost]:
    """What twice as much of an axis costs, or a quarter more of it where the factory does not build that.

    Raises:
        RequestError: it builds neither, or what it builds does not depend on the axis.
    """
    refused = None
    for by in _GROWN:
        key = (by if axis == "depth" else 1.0, by if axis == "width" else 1.0, baseline.resolution)
        try:
            cost = baseline.count_anew(*key)
        except RequestError as error:
            refused = refused or error
            continue
        if cost != at_one:
            return key, cost
        if refused is None:
            raise RequestError(f"factory {baseline.name!r} ignores {axis}: twice as much of it costs the same")
    assert refused is not None
    raise refused


def _stepping(baseline: FactoryBaseline) -> FactoryBaseline:
    """With the smallest step between sides of which its networks take the next."""
    refused = None
    for step in _SIDE_STEPS:
        try:
            baseline.count(1.0, 1.0, (baseline.resolution // step + 1) * step)
        except RequestError as error:
            refused = refused or error
        else:
            return replace(baseline, side_step=step)
    assert refused is not None
    raise refused
