"""Choosing by prediction, checking by measurement."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import compoundnet as cn
from compoundnet.architecture import Architecture
from compoundnet.deploy import Timing, choose_within
from compoundnet.deploy.engines import versions
from compoundnet.deploy.profile import machine_here
from compoundnet.errors import FailureError, RequestError
from compoundnet.scaling.latency import DeviceProfile, Setting
from compoundnet.units import SPACE

SETTING = Setting(threads=3)
PROFILE = DeviceProfile(
    setting=SETTING, machine=machine_here(SETTING), prices_ms={}, error=0.05, networks=60, reference_ms=4.0,
    versions=versions(SETTING), measured="2026-01-31T12:00:00+00:00",
)  # fmt: skip


DESIGN = cn.design("mbconv_tiny", macs=1e8)

Choose = Callable[[float], cn.Design]
Measure = Callable[[Architecture, Setting], Timing]


def predicted(ms: float, larger_ms: float | None = None) -> cn.Design:
    """The design of a network that bears the latency that is predicted of it as its name."""
    return replace(
        DESIGN,
        architecture=DESIGN.architecture.scaled(name=f"{ms!r}"),
        spent={"latency_ms": ms, "macs": 1e8},
        next_spent={} if larger_ms is None else {"latency_ms": larger_ms, "macs": 2e8},
    )


def continuous(aimed_ms: float) -> cn.Design:
    return predicted(aimed_ms)


def among(*ms: float) -> Choose:
    """The largest of a few networks, as rounding makes them."""

    def choose(aimed_ms: float) -> cn.Design:
        fits, over = [x for x in ms if x <= aimed_ms], [x for x in ms if x > aimed_ms]
        if not fits:
            raise RequestError(f"needs latency_ms of at least {min(ms)} ms, not {aimed_ms} ms")
        return predicted(max(fits), min(over, default=None))

    return choose


def device(truth: float = 1.0, spread: float = 1.0, speed: float = 1.0) -> Measure:
    """Takes ``truth`` times the prediction, which is the network's name; ``speed`` times as fast as when profiled."""

    def measure(arch: Architecture, setting: Setting) -> Timing:
        assert setting == PROFILE.setting
        ms = truth * float(arch.name) / speed
        relative = ms / (PROFILE.reference_ms / speed)
        return Timing(median_ms=ms, low_ms=ms / spread, high_ms=ms * spread, relative=relative, rounds=5)

    return measure


def test_a_prediction_that_holds_is_taken_at_once() -> None:
    found = choose_within(20, continuous, PROFILE, device())
    assert (found.design, found.predicted_ms, found.aimed_ms, found.tries) == (predicted(20), 20, 20, 1)


@pytest.mark.parametrize("truth", [1.05, 1.4, 3.0])
def test_a_prediction_too_low_is_corrected(truth: float) -> None:
    found = choose_within(20, continuous, PROFILE, device(truth))
    assert found.tries == 2
    assert 0.95 * 20 < found.timing.high_ms <= 20


@pytest.mark.parametrize("truth", [0.5, 1.0, 1.1, 4.0, 12.0])
def test_what_is_said_of_the_limit_is_about_the_users(truth: float) -> None:
    """What is spent keeps the limit and the next larger oversteps it, however low had to be aimed."""
    sizes = [1.17**i for i in range(1, 60)]
    found = choose_within(20, among(*sizes), PROFILE, device(truth))
    design = found.design
    assert found.predicted_ms == float(design.architecture.name) <= found.aimed_ms
    assert design.spent["latency_ms"] == pytest.approx(found.predicted_ms * 20 / found.aimed_ms)
    assert 20 / 1.17 < design.spent["latency_ms"] <= 20.000001
    assert 19.999999 < design.next_spent["latency_ms"] < 1.17 * 20.000001
    assert (design.spent["macs"], design.next_spent["macs"]) == (1e8, 2e8)
    assert (found.tries == 1) == (design.spent["latency_ms"] == found.predicted_ms)


def test_a_network_that_was_over_is_not_measured_again() -> None:
    """Though it stays the largest that is predicted within a limit that is 2 % lower."""
    measured: list[str] = []

    def measure(arch: Architecture, setting: Setting) -> Timing:
        measured.append(arch.name)
        return device(1.2)(arch, setting)

    found = choose_within(20, among(5, 10, 17), PROFILE, measure)
    assert measured == ["17", "10", "10", "10"]
    assert found.timing.median_ms == 12


def test_what_is_within_must_be_so_of_the_network_built_anew() -> None:
    slower = iter([0.9, 0.92, 1.3, 1.0, 1.02, 1.01])

    def measure(arch: Architecture, setting: Setting) -> Timing:
        return device(next(slower))(arch, setting)

    found = choose_within(20, continuous, PROFILE, measure)
    assert found.tries == 2 and found.predicted_ms < 19
    assert next(slower, None) is None, "the third measurement was over, and the next network was measured three times"
    assert found.timing.median_ms == pytest.approx(1.02 * found.predicted_ms), "the slowest is what is told"


def test_the_upper_quartile_decides() -> None:
    found = choose_within(20, continuous, PROFILE, device(spread=1.2))
    assert found.timing.high_ms <= 20
    assert found.timing.median_ms < 17


def test_a_machine_that_is_fast_just_now_is_not_believed() -> None:
    found = choose_within(20, continuous, PROFILE, device(truth=1.2, speed=1.5))
    assert 1.2 * float(found.design.architecture.name) <= 20
    assert found.design.doubts == DESIGN.doubts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine": "an abacus"}, "the profile is of another machine: an abacus, not "),
        ({"versions": {"torch": "1.0"}}, "the profile is of another torch: 1.0, not "),
        ({"versions": {}}, "another torch: one that it does not name, not "),
    ],
)
def test_a_profile_of_something_else_is_told_and_its_speed_is_not_believed(
    changes: dict[str, object], said: str
) -> None:
    """The reference took another time there: the networks' time relative to it says nothing of this machine."""
    other = replace(PROFILE, **changes)  # type: ignore[arg-type]
    found = choose_within(20, continuous, other, device(truth=1.2, speed=1.5))
    assert (found.tries, found.timing.median_ms) == (1, 16)
    *before, doubt = found.design.doubts
    assert said in doubt
    assert tuple(before) == DESIGN.doubts


def test_it_gives_up_in_one_line() -> None:
    def stuck(arch: Architecture, setting: Setting) -> Timing:
        return device()(predicted(30).architecture, setting)

    with pytest.raises(FailureError, match=r"no network measured within 20\sms in 6 tries; .* took 30\sms, predicted"):
        choose_within(20, continuous, PROFILE, stuck)


def test_a_limit_that_nothing_is_predicted_to_meet_is_the_choosers_to_tell() -> None:
    with pytest.raises(RequestError, match=r"^needs latency_ms of at least 30 ms, not 20 ms$"):
        choose_within(20, among(30), PROFILE, device())


def test_a_limit_that_nothing_meets_says_what_was_measured() -> None:
    with pytest.raises(RequestError) as raised:
        choose_within(20, among(8, 15, 30), PROFILE, device(truth=4))
    assert str(raised.value).replace(SPACE, " ") == (
        "no network keeps 20 ms here: the smallest that was tried, 15 at 39 px took 60 ms, predicted 15 ms, and "
        "none is predicted to be 3 times as fast; loosen the limit, or take a smaller baseline"
    )
