"""Choosing by prediction, checking by measurement."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import compoundnet as cn
from compoundnet.architecture import Architecture
from compoundnet.deploy import Timing, choose_within
from compoundnet.errors import FailureError, RequestError
from compoundnet.scaling.latency import DeviceProfile, Setting

PROFILE = DeviceProfile(
    setting=Setting(threads=3), machine="a processor", prices_ms={}, error=0.05, networks=60, reference_ms=4.0,
    versions={}, measured="2026-01-31T12:00:00+00:00",
)  # fmt: skip


DESIGN = cn.design("mbconv_tiny", macs=1e8)


def named(aimed_ms: float) -> cn.Design:
    return replace(DESIGN, architecture=DESIGN.architecture.scaled(name=f"{aimed_ms!r}"))


def device(truth: float = 1.0, spread: float = 1.0, speed: float = 1.0) -> Callable[[Architecture, Setting], Timing]:
    """Takes ``truth`` times the prediction, which is the network's name; ``speed`` times as fast as when profiled."""

    def measure(arch: Architecture, setting: Setting) -> Timing:
        assert setting == PROFILE.setting
        ms = truth * float(arch.name) / speed
        relative = ms / (PROFILE.reference_ms / speed)
        return Timing(median_ms=ms, low_ms=ms / spread, high_ms=ms * spread, relative=relative, rounds=5)

    return measure


def test_a_prediction_that_holds_is_taken_at_once() -> None:
    found = choose_within(20, named, PROFILE, device())
    assert (float(found.design.architecture.name), found.tries, found.aimed_ms) == (20, 1, 20)


@pytest.mark.parametrize("truth", [1.05, 1.4, 3.0])
def test_a_prediction_too_low_is_corrected(truth: float) -> None:
    found = choose_within(20, named, PROFILE, device(truth))
    assert found.tries == 2
    assert 0.95 * 20 < found.timing.high_ms <= 20


def test_the_upper_quartile_decides() -> None:
    found = choose_within(20, named, PROFILE, device(spread=1.2))
    assert found.timing.high_ms <= 20
    assert found.timing.median_ms < 17


def test_a_machine_that_is_fast_just_now_is_not_believed() -> None:
    found = choose_within(20, named, PROFILE, device(truth=1.2, speed=1.5))
    assert 1.2 * float(found.design.architecture.name) <= 20


def test_it_gives_up_in_one_line() -> None:
    def stuck(arch: Architecture, setting: Setting) -> Timing:
        return device()(named(30).architecture, setting)

    with pytest.raises(FailureError, match=r"no network measured within 20 ms: after 6 tries .* took 30 ms"):
        choose_within(20, named, PROFILE, stuck)


def test_a_limit_that_nothing_meets_is_the_choosers_to_tell() -> None:
    def choose(aimed_ms: float) -> cn.Design:
        if aimed_ms < 20:
            raise RequestError("nothing fits")
        return named(aimed_ms)

    with pytest.raises(RequestError, match="nothing fits"):
        choose_within(20, choose, PROFILE, device(truth=1.5))
