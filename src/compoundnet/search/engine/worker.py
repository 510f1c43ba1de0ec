"""A worker of a study: takes up what is wanted and nobody else has, until nothing is."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from compoundnet.errors import FailureError, StoppedError
from compoundnet.search.engine import storage
from compoundnet.search.engine.storage import Study, TakenOverError, Trial, begin, fail, finish, interrupt, outcomes
from compoundnet.search.trials import Candidate, Outcome, State, StorageError

__all__ = [
    "Ended",
    "Evaluate",
    "GivesUp",
    "Propose",
    "Report",
    "Reported",
    "Retried",
    "Started",
    "TakenOver",
    "TrialEvent",
    "TrialObserver",
    "Waiting",
    "silent",
    "work",
]


class Started(NamedTuple):
    """This worker begins with a candidate, of which ``epochs`` epochs are known from earlier attempts."""

    candidate: Candidate
    attempt: int
    epochs: int


class Reported(NamedTuple):
    """The value that the candidate at work has after an epoch."""

    candidate: Candidate
    epoch: int
    value: float


class Ended(NamedTuple):
    """A candidate has ended here."""

    outcome: Outcome


class Retried(NamedTuple):
    """A candidate has failed, and will be tried once more."""

    candidate: Candidate
    error: str


class TakenOver(NamedTuple):
    """Another worker has the candidate that this one was at: the claim was lost, with the server's memory of it."""

    candidate: Candidate


class Waiting(NamedTuple):
    """All that is wanted is with other workers; told once until there is work again."""

    candidates: tuple[Candidate, ...]


TrialEvent: TypeAlias = Started | Reported | Ended | Retried | TakenOver | Waiting
TrialObserver: TypeAlias = Callable[[TrialEvent], None]
Report: TypeAlias = Callable[[int, float], bool]
Propose: TypeAlias = Callable[[tuple[Outcome, ...]], Sequence[Candidate]]
Evaluate: TypeAlias = Callable[[Candidate, Path, Report], tuple[float, Mapping[str, Any]]]
GivesUp: TypeAlias = Callable[[Sequence[float], Iterable[Sequence[float]]], bool]


def silent(event: TrialEvent) -> None:
    """An observer that shows nothing."""


def work(
    study: Study,
    propose: Propose,
    evaluate: Evaluate,
    *,
    gives_up: GivesUp | None = None,
    stop: Callable[[], bool] = lambda: False,
    observer: TrialObserver = silent,
    poll_s: float = 1.0,
) -> tuple[Outcome, ...]:
    """Evaluate candidates until none is wanted that has not ended, here or elsewhere; all outcomes.

    Any number of workers may do this at once, and be killed at any moment.

    Args:
        study: an open one.
        propose: the candidates that should exist, most needed first, given the outcomes so far; those that have
            ended may be among them. A pure function, so that all workers agree.
        evaluate: ``evaluate(candidate, folder, report)`` gives the final value, to be maximised, and what else is
            worth keeping, as JSON. It calls ``report(epoch, value)`` after each epoch, counted from any number on,
            and ends soon if that says True. ``folder`` is there, and as an earlier attempt left it.
        gives_up: ``gives_up(curve, others)`` says after each epoch whether a candidate should be given up, given
            its values so far and those of the others of its group; by default none is.
        stop: asked between candidates, and while waiting.
        observer: is told what happens.
        poll_s: seconds between two looks, while all that is wanted is with other workers.

    Raises:
        StoppedError: ``stop`` said so, or ``evaluate`` raised it.
        StorageError: the study cannot be read or written. Like whatever else ``evaluate`` raises, it leaves the
            candidate to be taken up again. But a FailureError is counted against the candidate: it is tried once
            more and has then failed, unless an OSError caused it, which other candidates would meet as well.
    """
    waiting = False
    while True:
        if stop():
            raise StoppedError(f"stopped between trials of study {study.name!r}")
        ended = outcomes(study)
        keys = {outcome.candidate.key for outcome in ended}
        wanted = tuple(candidate for candidate in propose(ended) if candidate.key not in keys)
        if not wanted:
            return ended
        if any(_took(study, candidate, evaluate, gives_up, observer) for candidate in wanted):
            waiting = False
            continue
        if not waiting:
            observer(Waiting(wanted))
            waiting = True
        time.sleep(poll_s)


def _took(
    study: Study, candidate: Candidate, evaluate: Evaluate, gives_up: GivesUp | None, observer: TrialObserver
) -> bool:
    """Whether the candidate was to be had; if so it is evaluated, unless it has ended meanwhile."""
    claim = study.claims.try_claim(candidate.key)
    if claim is None:
        return False
    with claim:
        trial = begin(study, candidate)
        if trial is not None:
            observer(Started(candidate, trial.attempt, len(trial.reached)))
            try:
                _carry_out(study, trial, evaluate, gives_up, observer)
            except TakenOverError:
                observer(TakenOver(candidate))
    return True


def _carry_out(
    study: Study, trial: Trial, evaluate: Evaluate, gives_up: GivesUp | None, observer: TrialObserver
) -> None:
    """Evaluate the trial's candidate and store what comes of it."""
    progress = _Progress(study, trial, gives_up, observer)
    try:
        value, info = evaluate(trial.candidate, _folder(study, trial.candidate), progress)
    except (StorageError, TakenOverError):
        raise
    except FailureError as error:
        if isinstance(error.__cause__, OSError):
            _leave(study, trial)
            raise
        if not trial.last:
            fail(study, trial, str(error))
            observer(Retried(trial.candidate, str(error)))
            return
        outcome = _failed(progress, {"error": str(error)})
    except BaseException:
        _leave(study, trial)
        raise
    else:
        outcome = _judged(progress, float(value), info)
    finish(study, trial, outcome)
    observer(Ended(outcome))


class _Progress:
    """What ``evaluate`` reports to; holds the curve, and whether the trial was given up."""

    def __init__(self, study: Study, trial: Trial, gives_up: GivesUp | None, observer: TrialObserver) -> None:
        self.candidate, self.given_up = trial.candidate, False
        self._values = dict(trial.reached)
        self._study, self._trial, self._gives_up, self._observer = study, trial, gives_up, observer

    @property
    def curve(self) -> tuple[float, ...]:
        """The values so far, by epoch."""
        return tuple(self._values[epoch] for epoch in sorted(self._values))

    def __call__(self, epoch: int, value: float) -> bool:
        """Store a value; True if the trial should end."""
        epoch, value = int(epoch), float(value)  # NumPy's are no JSON
        known = self._trial.reached
        # What an earlier attempt reported of later epochs is about to be repeated.
        self._values = {**{e: v for e, v in self._values.items() if e < epoch}, epoch: value}
        if known.get(epoch) != value:
            storage.report(self._study, self._trial, epoch, value)
        self._observer(Reported(self.candidate, epoch, value))
        judged_before = any(epoch < other for other in known)
        if self._gives_up is not None and not self.given_up and not judged_before:
            others = storage.curves(self._study, self.candidate.group, without=self.candidate.key)
            self.given_up = self._gives_up(self.curve, others)
        return self.given_up


def _judged(progress: _Progress, value: float, info: Mapping[str, Any]) -> Outcome:
    if not math.isfinite(value):  # the same seed would give it again
        return _failed(progress, {**info, "error": f"its value is {value}"})
    state: State = "pruned" if progress.given_up else "complete"
    return Outcome(candidate=progress.candidate, state=state, value=value, curve=progress.curve, info=dict(info))


def _failed(progress: _Progress, info: Mapping[str, Any]) -> Outcome:
    return Outcome(candidate=progress.candidate, state="failed", value=None, curve=progress.curve, info=info)


def _leave(study: Study, trial: Trial) -> None:
    """Mark the trial as interrupted, as a courtesy: it would be found without its worker anyway."""
    with suppress(StorageError, TakenOverError):
        interrupt(study, trial)


def _folder(study: Study, candidate: Candidate) -> Path:
    folder = study.trial_folder(candidate)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {str(folder)!r}: {error.strerror or error}") from error
    return folder
