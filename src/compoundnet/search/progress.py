"""What a person sees of a study while it runs: a line for whatever happens to a trial."""

from collections.abc import Callable

from compoundnet.search.engine.worker import Ended, Retried, Started, TakenOver, TrialEvent, Waiting
from compoundnet.search.trials import Candidate
from compoundnet.train.progress import Note, Observer
from compoundnet.units import counted

__all__ = ["telling"]


def telling(observer: Observer) -> Callable[[TrialEvent], None]:
    """An observer of trials that says what happens to them, as notes to an observer of trainings."""

    def told(event: TrialEvent) -> None:
        text = _line(event)
        if text is not None:
            observer(Note(text))

    return told


def _line(event: TrialEvent) -> str | None:
    """What is worth a line; None: nothing is, as each epoch of a training among many."""
    match event:
        case Started(candidate, attempt, epochs):
            return f"{_name(candidate)}: begins" + (f", again from epoch {epochs}" if attempt > 1 else "")
        case Ended(outcome):
            value = "" if outcome.value is None else f" with {100 * outcome.value:.1f} %"
            why = f" ({outcome.info['error']})" if "error" in outcome.info else ""
            length = counted(len(outcome.curve), "epoch")
            return f"{_name(outcome.candidate)}: {outcome.state}{value} after {length}{why}"
        case Retried(candidate, error):
            return f"{_name(candidate)}: failed ({error}), is tried once more"
        case TakenOver(candidate):
            return f"{_name(candidate)}: another worker has it now"
        case Waiting(candidates):
            return f"waiting for other workers: {counted(len(candidates), 'training')}"
        case _:
            return None


def _name(candidate: Candidate) -> str:
    d, w, r = candidate.multipliers
    rule = f" {candidate.tags['rule']}" if "rule" in candidate.tags else ""
    return f"{candidate.group}{rule}, depth x{d:g} width x{w:g} resolution x{r:g}, seed {candidate.seed}"
