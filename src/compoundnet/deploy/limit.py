"""A network that measures within a limit, not only by prediction."""

from collections.abc import Callable
from typing import NamedTuple

from compoundnet.architecture import Architecture
from compoundnet.deploy.profile import measure_architecture_ms
from compoundnet.deploy.timing import Timing
from compoundnet.errors import FailureError
from compoundnet.scaling import Design
from compoundnet.scaling.latency import DeviceProfile, Setting

__all__ = ["Chosen", "choose_within"]

_TRIES = 6
_STEP = 0.98  # lower than the measurement asks for: the next prediction errs too


class Chosen(NamedTuple):
    """A design, how long its network took, and the predicted latency that had to be aimed at."""

    design: Design
    timing: Timing
    aimed_ms: float
    tries: int


def choose_within(
    limit_ms: float,
    choose: Callable[[float], Design],
    profile: DeviceProfile,
    measure: Callable[[Architecture, Setting], Timing] = measure_architecture_ms,
) -> Chosen:
    """Choose by prediction, measure, and aim lower by as much as it was over, until it measures within the limit.

    ``choose`` gives the design of the best network whose predicted latency is at most its argument. Within the limit
    must be the upper quartile, and the median at the speed that the device had when it was profiled: the
    machine may be faster just now than it usually is. RequestErrors of ``choose`` pass.

    Raises:
        FailureError: it is over the limit still after six tries.
    """
    aimed_ms = limit_ms
    for tries in range(1, _TRIES + 1):
        design = choose(aimed_ms)
        timing = measure(design.architecture, profile.setting)
        took_ms = max(timing.high_ms, (timing.relative or 0.0) * profile.reference_ms)
        if took_ms <= limit_ms:
            return Chosen(design, timing, aimed_ms, tries)
        aimed_ms *= _STEP * limit_ms / took_ms
    raise FailureError(
        f"no network measured within {limit_ms:g} ms: after {_TRIES} tries {design.architecture.name} took "
        f"{took_ms:.3g} ms; profile the device again, with nothing else running"
    )
