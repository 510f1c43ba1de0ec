"""Latency of many networks on this machine: in turn, a few at a time, each beside the same reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, cast

from compoundnet.architecture import Architecture
from compoundnet.baselines import FactoryBaseline, aside
from compoundnet.compare.asked import Compared
from compoundnet.compare.counting import Tell
from compoundnet.errors import FailureError, foreign
from compoundnet.scaling import Multipliers
from compoundnet.scaling.latency import Setting
from compoundnet.zoo import Comparator, architecture

if TYPE_CHECKING:
    from compoundnet.deploy.engines import Run
    from compoundnet.deploy.timing import Timing
    from compoundnet.nn import Network

__all__ = ["Latency", "measure_latencies"]

_GROUP = 4  # networks in memory at a time, measured in turn
_ROUNDS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """How long a batch takes: median and quartiles over rounds in ms, at the reference's usual speed.

    ``disturbed`` counts the rounds in which other processes used the CPU. ``engine`` is eager PyTorch for a comparator
    and for a factory's network, whatever was asked for.
    """

    engine: str
    median_ms: float
    low_ms: float
    high_ms: float
    rounds: int
    disturbed: int


def measure_latencies(
    networks: Sequence[Compared], setting: Setting, tell: Tell, rounds: int = _ROUNDS
) -> list[Latency]:
    """Of freshly initialised networks on a batch of noise. ``tell`` hears of progress.

    The speed of a machine wavers by ten per cent from second to second. So a network counts by its time relative to
    that of a reference just before and after it, times the reference's median over the whole measurement: networks that
    were not in memory together can be compared all the same.

    Raises:
        RequestError: a package of the engine is missing, or there is no such device.
        FailureError: the engine cannot run a network.
    """
    from compoundnet.deploy.engines import torch_threads
    from compoundnet.deploy.timing import measure

    timings: list[Timing] = []
    with torch_threads(setting):
        reference = _prepared(_reference(), setting)
        for start in range(0, len(networks), _GROUP):
            group = networks[start : start + _GROUP]
            tell(f"measuring {', '.join(network.name for network in group)} ({start} of {len(networks)} done)")
            timings += measure([_prepared(network, setting) for network in group], reference, rounds=rounds)
    usual_ms = median(t.median_ms / t.relative for t in timings if t.relative)
    return [_latency(*pair, setting, usual_ms) for pair in zip(networks, timings, strict=True)]


def _reference() -> Compared:
    """Every kind of layer, in a few ms."""
    return architecture("efficientnet_b0").scaled(resolution=0.45)


def _engine_for(network: Compared, setting: Setting) -> Setting:
    return setting if isinstance(network, Architecture) else replace(setting, engine="eager")


def _prepared(network: Compared, setting: Setting) -> "Run":
    from compoundnet.deploy import prepare

    if isinstance(network, Architecture):
        return prepare(network, setting)
    return _eager(network, _engine_for(network, setting))


def _eager(network: Comparator | FactoryBaseline, setting: Setting) -> "Run":
    """Eager PyTorch runs any module; of these no norm can be folded."""
    import torch

    from compoundnet.deploy.engines import ENGINES, check_runnable
    from compoundnet.nn.comparators import build_comparator

    check_runnable(setting)
    channels = network.in_channels if isinstance(network, Comparator) else 3
    with torch.random.fork_rng(devices=[]), aside():
        torch.manual_seed(0)
        if isinstance(network, Comparator):
            module: torch.nn.Module = build_comparator(network)
        else:
            module = network.build(Multipliers(1.0, 1.0, 1.0))
        images = torch.randn(setting.batch_size, channels, network.resolution, network.resolution)
        try:
            run = ENGINES["eager"](cast("Network", module), images, setting)
            run()
        except Exception as error:  # a factory's module is somebody else's code
            raise FailureError(f"{setting.engine} cannot run {network.name}: {foreign(error)}") from error
    return run


def _latency(network: Compared, timing: "Timing", setting: Setting, usual_ms: float) -> Latency:
    assert timing.relative is not None
    slower = timing.relative * usual_ms / timing.median_ms  # than usual, the machine was just then
    return Latency(
        engine=_engine_for(network, setting).engine,
        median_ms=timing.median_ms * slower,
        low_ms=timing.low_ms * slower,
        high_ms=timing.high_ms * slower,
        rounds=timing.rounds,
        disturbed=timing.disturbed,
    )
