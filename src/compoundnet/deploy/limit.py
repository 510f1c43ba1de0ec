"""A network that measures within a limit, not only by prediction."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from compoundnet.architecture import Architecture
from compoundnet.deploy.profile import differences, measure_architecture_ms
from compoundnet.deploy.timing import Timing
from compoundnet.errors import FailureError, RequestError
from compoundnet.scaling import Design
from compoundnet.scaling.budget import shown
from compoundnet.scaling.latency import DeviceProfile, Setting

__all__ = ["Chosen", "choose_within"]

_TRIES = 6
_AFRESH = 3  # measurements of what is within, each of a network built anew, whose memory lies elsewhere
_STEP = 0.98  # lower than the measurement asks for: the next prediction errs too
_NAME = "latency_ms"


class Chosen(NamedTuple):
    """A design, how long its network took, and how predictions had to be mended for it.

    What its network and the next larger spend of the limit is what was predicted, times the limit to ``aimed_ms``:
    predictions turned out to be that many times too low. Its doubts say how this machine is not the profile's.
    """

    design: Design
    timing: Timing
    predicted_ms: float  # of its network
    aimed_ms: float  # the best network was chosen that is predicted to take at most this
    tries: int


class _Try(NamedTuple):
    design: Design
    timing: Timing
    took_ms: float  # what has to keep the limit

    @property
    def predicted_ms(self) -> float:
        return self.design.spent[_NAME]

    def __str__(self) -> str:
        arch = self.design.architecture
        took, predicted = shown(_NAME, self.took_ms), shown(_NAME, self.predicted_ms)
        return f"{arch.name} at {arch.resolution} px took {took}, predicted {predicted}"


def choose_within(
    limit_ms: float,
    choose: Callable[[float], Design],
    profile: DeviceProfile,
    measure: Callable[[Architecture, Setting], Timing] = measure_architecture_ms,
) -> Chosen:
    """Choose by prediction, measure, and aim lower by as much as it was over, until it measures within the limit.

    ``choose`` gives the design of the best network whose predicted latency is at most its argument. Within the limit
    must be the upper quartile, and the median at the speed that the device had when it was profiled: the machine may
    be faster just now than it usually is. Of another machine, or with other libraries, the profile cannot say that.
    And it must be so three times, each of the network built anew: the slowest counts.

    Raises:
        RequestError: nothing is predicted within the limit, or what is left by measurement; a package is missing.
        FailureError: it is over the limit still after six tries.
    """
    others = differences(profile)
    usual_ms = 0.0 if others else profile.reference_ms
    aimed_ms, last = limit_ms, None
    for tries in range(1, _TRIES + 1):
        try:
            design = choose(aimed_ms)
        except RequestError as error:
            if last is None:
                raise
            raise _too_slow(limit_ms, last) from error
        last = _tried(design, limit_ms, usual_ms, lambda arch: measure(arch, profile.setting))
        if last.took_ms <= limit_ms:
            mended = _mended(design, limit_ms / aimed_ms, others)
            return Chosen(mended, last.timing, last.predicted_ms, aimed_ms, tries)
        aimed_ms = _STEP * last.predicted_ms * limit_ms / last.took_ms
    raise FailureError(
        f"no network measured within {shown(_NAME, limit_ms)} in {_TRIES} tries; the last, {last}; "
        "profile the device again, with nothing else running"
    )


def _tried(design: Design, limit_ms: float, usual_ms: float, measure: Callable[[Architecture], Timing]) -> _Try:
    """The slowest of three measurements, or the first that is over the limit."""
    slowest: _Try | None = None
    for _ in range(_AFRESH):
        timing = measure(design.architecture)
        one = _Try(design, timing, max(timing.high_ms, (timing.relative or 0.0) * usual_ms))
        slowest = one if slowest is None or one.took_ms > slowest.took_ms else slowest
        if slowest.took_ms > limit_ms:
            break
    assert slowest is not None
    return slowest


def _mended(design: Design, times: float, doubts: list[str]) -> Design:
    """With latencies as measurements mended them, and more doubts."""

    def mended(spent: dict[str, float]) -> dict[str, float]:
        return {name: times * value if name == _NAME else value for name, value in spent.items()}

    return replace(
        design,
        spent=mended(design.spent),
        next_spent=mended(design.next_spent),
        doubts=(*design.doubts, *doubts),
    )


def _too_slow(limit_ms: float, last: _Try) -> RequestError:
    faster = f"{last.took_ms / limit_ms:.3g} times as fast"
    return RequestError(
        f"no network keeps {shown(_NAME, limit_ms)} here: the smallest that was tried, {last}, "
        f"and none is predicted to be {faster}; loosen the limit, or take a smaller baseline"
    )
