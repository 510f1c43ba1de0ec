"""Profiling a device that is made of prices and of a speed that wavers."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

import numpy as np
import pytest

import compoundnet as cn
from compoundnet.architecture import Architecture
from compoundnet.deploy import measure_architecture_ms, profile
from compoundnet.deploy.probes import probes
from compoundnet.deploy.profile import LEAST_NETWORKS, profile_device
from compoundnet.deploy.timing import Timing
from compoundnet.scaling.latency import DeviceProfile, Engine, Setting, predict_ms
from compoundnet.scaling.work import WORK

TRUTH = DeviceProfile(
    setting=Setting(batch_size=2),
    machine="made of prices",
    prices_ms={kind: 0.01 if kind.endswith("calls") else 1e-6 for kind in WORK},
    error=0,
    networks=1,
    reference_ms=1,
    versions={},
    measured="now",
)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """``prepare`` hands the architecture on, and ``measure`` knows what it takes, at a random speed each time."""
    draw = random.Random(0)

    def measured(archs: Sequence[Architecture], reference: Architecture, rounds: int = 8) -> list[Timing]:
        speed = draw.uniform(0.8, 1.25)
        ms = [predict_ms(TRUTH, arch) / speed for arch in archs]
        beside = predict_ms(TRUTH, reference) / speed
        return [
            Timing(median_ms=t, low_ms=t, high_ms=t, relative=t / beside, rounds=rounds, retaken=2, disturbed=1)
            for t in ms
        ]

    monkeypatch.setattr(profile, "prepare", lambda arch, setting: arch)
    monkeypatch.setattr(profile, "measure", measured)


@pytest.mark.usefixtures("device")
def test_a_profile_predicts_the_device_at_its_usual_speed() -> None:
    said: list[str] = []
    found = profile_device(TRUTH.setting, minutes=1e-9, note=said.append)
    assert found.error < 0.05
    others = list(islice(probes(7, batch_size=2), 20))
    ratios = [predict_ms(found, arch) / predict_ms(TRUTH, arch) for arch in others]
    assert np.ptp(ratios) < 0.05  # one speed for all, which is a middling one
    assert 0.9 < np.mean(ratios) < 1.15
    assert said[0] == "20 networks measured of at least 60"
    assert said[-1] == "other processes used the CPU in 45 of 150 rounds; 30 were retaken"


@pytest.mark.usefixtures("device")
def test_a_profile_says_of_what_it_is() -> None:
    found = profile_device(TRUTH.setting, minutes=1e-9)
    assert found.setting == TRUTH.setting
    assert found.networks == LEAST_NETWORKS
    assert "core" in found.machine
    assert set(found.versions) == {"torch"}
    assert datetime.fromisoformat(found.measured).tzinfo is not None


@pytest.mark.usefixtures("device")
def test_more_time_measures_more(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(10**6))
    monkeypatch.setattr(profile.time, "monotonic", lambda: float(next(seconds)))
    said: list[str] = []
    found = profile_device(TRUTH.setting, minutes=0.5, note=said.append)
    assert found.networks == 4 * 25  # the clock moves by a second when it is read: by six in five groups
    assert said[0] == "20 networks measured, 0.4 minutes to go"


def test_a_real_network_is_measured_beside_the_reference() -> None:
    found = measure_architecture_ms(cn.architecture("mbconv_tiny"), Setting(), rounds=3)
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms
    assert found.relative is not None and found.relative > 0
    assert found.rounds == 3


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["eager", "onnxruntime", "openvino"])
def test_a_real_device_is_profiled(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """Of how well it predicts only that it predicts at all: time is not tested here, but in benchmarks/latency.py."""

    def small(seed: int, batch_size: int) -> Iterator[Architecture]:
        return (cn.architecture("mbconv_tiny").scaled(width=eighths / 8) for eighths in range(4, 99))

    monkeypatch.setattr(profile, "probes", small)
    monkeypatch.setattr(profile, "LEAST_NETWORKS", 8)
    found = profile_device(Setting(engine=engine), minutes=1e-9)
    assert predict_ms(found, cn.architecture("mbconv_tiny")) > 0
    assert found.networks == 8
