"""Networks on engines and devices: run, timed, and profiled for latency budgets."""

from compoundnet.deploy.engines import ENGINES, prepare
from compoundnet.deploy.limit import Chosen, choose_within
from compoundnet.deploy.profile import measure_architecture_ms, measure_architectures_ms, profile_device
from compoundnet.deploy.timing import Timing, measure

__all__ = [
    "ENGINES",
    "Chosen",
    "Timing",
    "choose_within",
    "measure",
    "measure_architecture_ms",
    "measure_architectures_ms",
    "prepare",
    "profile_device",
]
