"""A device measured: random networks timed beside a reference, and prices of work fitted to them."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TypeAlias

import torch

from compoundnet.architecture import Architecture
from compoundnet.deploy.engines import check_runnable, prepare, torch_threads, versions
from compoundnet.deploy.probes import probes
from compoundnet.deploy.timing import Timing, measure
from compoundnet.scaling.latency import DeviceProfile, Setting, fit
from compoundnet.zoo import architecture

__all__ = ["LEAST_NETWORKS", "differences", "machine_here", "measure_architecture_ms", "measure_architectures_ms"]
__all__ += ["profile_device"]

Note: TypeAlias = Callable[[str], None]

LEAST_NETWORKS = 60
"""Measured however long it takes: with fewer the prices are guesses."""

_GROUP = 4  # networks in memory at a time, measured in turn
_TOLD_EVERY = 20  # networks
_REFERENCE = architecture("efficientnet_b0").scaled(resolution=0.45)  # every kind of layer, in a few ms
_CPUINFO = Path("/proc/cpuinfo")


def profile_device(setting: Setting, minutes: float = 5.0, note: Note | None = None, seed: int = 0) -> DeviceProfile:
    """Measure this device for ``minutes``, longer if it is too slow for ``LEAST_NETWORKS``, and fit prices of work.

    The speed of a machine wavers, so each network counts by its time relative to that of a reference just
    before and after, times the reference's median over the whole profile. ``note`` is told of progress.

    Raises:
        RequestError: a package of the engine is missing, or there is no such device.
        FailureError: the engine cannot run a network.
    """
    tell = note or _silent
    networks: list[Architecture] = []
    timings: list[Timing] = []
    drawn = probes(seed, setting.batch_size)
    end = time.monotonic() + 60 * minutes
    with torch_threads(setting):
        reference = prepare(_REFERENCE, setting)
        while time.monotonic() < end or len(networks) < LEAST_NETWORKS:
            group = list(islice(drawn, _GROUP))
            timings += measure([prepare(arch, setting) for arch in group], reference)
            networks += group
            if len(networks) % _TOLD_EVERY == 0:
                tell(_progress(len(networks), end - time.monotonic()))
    _tell_of_others(timings, tell)
    relative = [t.relative for t in timings if t.relative is not None]
    reference_ms = median(t.median_ms / r for t, r in zip(timings, relative, strict=True))
    prices, error = fit(networks, [r * reference_ms for r in relative], setting.batch_size)
    return DeviceProfile(
        setting=setting, machine=machine_here(setting), prices_ms=prices, error=error, networks=len(networks),
        reference_ms=reference_ms, versions=versions(setting), measured=datetime.now(UTC).isoformat("T", "seconds"),
    )  # fmt: skip


def measure_architecture_ms(arch: Architecture, setting: Setting, rounds: int = 50) -> Timing:
    """The measured latency of a batch, beside the reference: median and quartiles; errors as :func:`profile_device`.

    ``relative`` times a profile's ``reference_ms`` is what it would be at the speed that the device had
    when it was profiled.
    """
    return measure_architectures_ms([arch], setting, rounds)[0]


def measure_architectures_ms(archs: Sequence[Architecture], setting: Setting, rounds: int = 50) -> list[Timing]:
    """The same for several, which are in memory together and measured in turn."""
    with torch_threads(setting):
        return measure([prepare(arch, setting) for arch in archs], prepare(_REFERENCE, setting), rounds=rounds)


def _progress(networks: int, seconds_left: float) -> str:
    if seconds_left > 0:
        return f"{networks} networks measured, {seconds_left / 60:.1f} minutes to go"
    return f"{networks} networks measured of at least {LEAST_NETWORKS}"


def _silent(text: str) -> None:
    """Progress that nobody asked for."""


def _tell_of_others(timings: Sequence[Timing], tell: Note) -> None:
    groups = timings[::_GROUP]
    retaken, disturbed = sum(t.retaken for t in groups), sum(t.disturbed for t in groups)
    if retaken:
        taken = sum(t.rounds for t in groups) + retaken
        tell(f"other processes used the CPU in {retaken + disturbed} of {taken} rounds; {retaken} were retaken")


def differences(profile: DeviceProfile) -> list[str]:
    """How what would be measured here differs from what was profiled, a line each: the machine, a library's version.

    Raises:
        RequestError: a package of the engine is missing, or there is no such device.
    """
    here = {"machine": machine_here(profile.setting), **versions(profile.setting)}
    then = {"machine": profile.machine, **profile.versions}
    return [
        f"the profile is of another {name}: {then.get(name, 'one that it does not name')}, not {now}"
        for name, now in here.items()
        if then.get(name) != now
    ]


def machine_here(setting: Setting) -> str:
    """The device in words. RequestError: there is none."""
    check_runnable(setting)
    if setting.device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:  # outside Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"
