"""One training as a value: everything its phases need besides the network itself."""

from collections.abc import Callable
from dataclasses import dataclass

from compoundnet.data import Dataset
from compoundnet.errors import StoppedError
from compoundnet.run import RunFolder
from compoundnet.train.plan import Plan
from compoundnet.train.progress import Advance, Observer
from compoundnet.weights import Weights
from compoundnet.zoo import AnyNetwork

__all__ = ["Job", "RunJob"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Job:
    """On what a network is trained, how and where; who watches, and who may say stop."""

    dataset: Dataset
    plan: Plan
    folder: RunFolder
    observer: Observer
    stop: Callable[[], bool]

    def progress(self, task: str, first: int = 0, total: int | None = None) -> Callable[[int, int], None]:
        """A ``progress(done, total)`` for what can be done again, which is also a place to stop.

        For a part that begins at ``first`` of ``total``. Raises StoppedError.
        """

        def advance(done: int, of: int) -> None:
            self.observer(Advance(task, first + done, of if total is None else total))
            if self.stop():
                raise StoppedError(f"stopped while {task}")

        return advance


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RunJob(Job):
    """A job that leaves a whole run folder: what is trained, and from what, belong to it."""

    architecture: AnyNetwork
    weights: Weights | None
