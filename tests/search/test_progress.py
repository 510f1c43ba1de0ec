"""What a person reads of a study's trials."""

import pytest

from compoundnet.scaling import Multipliers
from compoundnet.search.engine.worker import Ended, Reported, Retried, Started, TakenOver, TrialEvent, Waiting
from compoundnet.search.progress import telling
from compoundnet.search.trials import Candidate, Outcome
from compoundnet.train.progress import Event, Note

NET = Candidate(network="n", multipliers=Multipliers(2.0, 1.0, 1.5), seed=1, group="x4", tags={"rule": "depth"})
NAME = "x4 depth, depth x2 width x1 resolution x1.5, seed 1"


def ended(**more: object) -> Ended:
    return Ended(Outcome(candidate=NET, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Started(NET, 1, 0), f"{NAME}: begins"),
        (Started(NET, 2, 3), f"{NAME}: begins, again from epoch 3"),
        (ended(state="complete", value=0.5, curve=(0.1, 0.5)), f"{NAME}: complete with 50.0 % after 2 epochs"),
        (ended(state="failed", value=None, info={"error": "diverged"}), f"{NAME}: failed after 0 epochs (diverged)"),
        (Retried(NET, "diverged"), f"{NAME}: failed (diverged), is tried once more"),
        (TakenOver(NET), f"{NAME}: another worker has it now"),
        (Waiting((NET,)), "waiting for other workers: 1 training"),
        (Reported(NET, 1, 0.5), None),
    ],
)
def test_a_line_each(event: TrialEvent, text: str | None) -> None:
    told: list[Event] = []
    telling(told.append)(event)
    assert told == ([] if text is None else [Note(text)])
