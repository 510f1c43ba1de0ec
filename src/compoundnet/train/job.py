"""One training as a value: everything its phases need besides the network."""

from collections.abc import Callable
from dataclasses import dataclass

from compoundnet.architecture import Architecture
from compoundnet.data import Dataset
from compoundnet.run import RunFolder
from compoundnet.train.plan import Plan
from compoundnet.train.progress import Observer
from compoundnet.weights import Weights

__all__ = ["Job"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
    """What is trained, from what, on what, how and where; who watches, and who may say stop."""

    architecture: Architecture
    weights: Weights | None
    dataset: Dataset
    plan: Plan
    folder: RunFolder
    observer: Observer
    stop: Callable[[], bool]
