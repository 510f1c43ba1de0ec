"""A study in Optuna's storage, and the life of its trials there, from a claim to an outcome.

Whoever holds the claim on a candidate, and nobody else, makes a trial of it. The trials of that candidate
which are still RUNNING then have no living worker: they are marked FAIL, and Optuna lets no one write to
them again. So even a worker that lost its claim unawares (its server was started anew, say) cannot add a
second result.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from optuna.distributions import FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from compoundnet.errors import RequestError
from compoundnet.search.engine.claims import Claims
from compoundnet.search.trials import Candidate, Outcome, State, StorageError

__all__ = ["Study", "TakenOverError", "Trial", "begin", "curves", "fail", "finish", "interrupt", "outcomes", "report"]

_STATES: dict[State, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_ATTEMPTS = 2  # a candidate that failed once is tried again: a machine may have been at fault
_MULTIPLIER = FloatDistribution(1e-6, 1e6, log=True)

# What a trial says of itself, in its user attributes.
_CANDIDATE = "candidate"
_RESULT = "result"  # the outcome without its candidate
_ERROR = "error"  # of an attempt that is followed by another
_INTERRUPTED = "interrupted"


class TakenOverError(Exception):
    """Another worker has taken up this trial: the claim on it was lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    """A trial as it is stored: one attempt at a candidate."""

    number: int
    key: str
    candidate: Candidate
    running: bool
    failed: bool
    reached: Mapping[int, float]  # value by epoch
    outcome: Outcome | None

    @property
    def curve(self) -> tuple[float, ...]:
        return self.outcome.curve if self.outcome else tuple(self.reached[epoch] for epoch in sorted(self.reached))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Study:
    """A study that is open: where it keeps what, and who may work on what. Close it, or use it in a ``with``.

    Attributes:
        folder: of this machine's files; ``trials/`` below it has a folder for each candidate.
        name: in the storage.
        definition: what was asked for, as JSON; the same for every worker.
        storage: Optuna's.
        study_id: there.
        claims: on candidates.
        errors: inside, what the storage's libraries raise becomes a StorageError.
    """

    folder: Path
    name: str
    definition: Mapping[str, Any]
    storage: BaseStorage
    study_id: int
    claims: Claims
    errors: Callable[[], AbstractContextManager[None]]
    _ended: dict[int, _Attempt | None] = field(default_factory=dict, repr=False)  # read once, by number

    def trial_folder(self, candidate: Candidate) -> Path:
        """Where ``candidate`` is trained; the same for every attempt, so that one goes on where the last ended."""
        return self.folder / "trials" / candidate.key

    def close(self) -> None:
        """Release all claims."""
        self.claims.close()

    def __enter__(self) -> "Study":
        """The study itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """An attempt at a candidate that this process makes.

    ``reached`` holds the values by epoch that earlier, interrupted attempts reported.
    """

    trial_id: int
    candidate: Candidate
    attempt: int
    reached: Mapping[int, float]
    last: bool  # if this attempt fails, there is no other


def outcomes(study: Study) -> tuple[Outcome, ...]:
    """The candidates that have ended, in the order of their trials.

    A candidate that failed once, or whose worker died, has not ended. RequestError if a trial cannot be read.
    """
    ended = {a.key: a.outcome for a in _attempts(study) if a.outcome is not None}
    return tuple(ended.values())


def curves(study: Study, group: str, *, without: str) -> list[tuple[float, ...]]:
    """How far each candidate of ``group`` has come, ended or not, but for the one whose key is ``without``."""
    latest = {a.key: a for a in _attempts(study) if a.candidate.group == group and a.key != without}
    return [attempt.curve for attempt in latest.values()]


def begin(study: Study, candidate: Candidate) -> Trial | None:
    """A new trial of ``candidate``, on which the caller holds the claim; None if it has ended by now."""
    mine = [attempt for attempt in _attempts(study) if attempt.key == candidate.key]
    if any(attempt.outcome is not None for attempt in mine):
        return None
    for attempt in mine:
        if attempt.running:  # we hold the claim, so its worker is dead
            try:
                _close(study, _trial_id(study, attempt.number), TrialState.FAIL, {_INTERRUPTED: True})
            except TakenOverError:  # not dead, it only lost its claim, and has just ended
                return None
    reached = mine[-1].reached if mine else {}
    template = create_trial(
        state=TrialState.RUNNING,
        params=candidate.multipliers._asdict(),
        distributions=dict.fromkeys(candidate.multipliers._fields, _MULTIPLIER),
        user_attrs={_CANDIDATE: candidate.to_json()},
        intermediate_values=dict(reached),
    )
    with _asking(study):
        trial_id = study.storage.create_new_trial(study.study_id, template)
    last = sum(attempt.failed for attempt in mine) + 1 >= _ATTEMPTS
    return Trial(trial_id=trial_id, candidate=candidate, attempt=len(mine) + 1, reached=reached, last=last)


def report(study: Study, trial: Trial, epoch: int, value: float) -> None:
    """Store the value that ``trial`` has after ``epoch``. TakenOverError if it is no longer ours."""
    with _writing(study, trial.trial_id):
        study.storage.set_trial_intermediate_value(trial.trial_id, epoch, value)


def finish(study: Study, trial: Trial, outcome: Outcome) -> None:
    """End ``trial`` with what came of it. TakenOverError if it is no longer ours."""
    result = {
        "state": outcome.state,
        "value": outcome.value,
        "curve": list(outcome.curve),
        "info": dict(outcome.info),
    }
    _close(study, trial.trial_id, _STATES[outcome.state], {_RESULT: result}, outcome.value)


def fail(study: Study, trial: Trial, error: str) -> None:
    """End ``trial``, to be tried once more. TakenOverError if it is no longer ours."""
    _close(study, trial.trial_id, TrialState.FAIL, {_ERROR: error})


def interrupt(study: Study, trial: Trial) -> None:
    """End ``trial``, to be taken up again. TakenOverError if it is no longer ours."""
    _close(study, trial.trial_id, TrialState.FAIL, {_INTERRUPTED: True})


def _close(
    study: Study, trial_id: int, state: TrialState, attributes: Mapping[str, Any], value: float | None = None
) -> None:
    with _writing(study, trial_id):
        for name, content in attributes.items():
            study.storage.set_trial_user_attr(trial_id, name, content)
        study.storage.set_trial_state_values(trial_id, state, None if value is None else [value])


@contextmanager
def _asking(study: Study) -> Iterator[None]:
    """Whatever the storage does not answer, inside, is a StorageError."""
    try:
        with study.errors():
            yield
    except KeyError as error:
        raise StorageError(f"study {study.name!r}, or a trial of it, is no longer in its storage") from error


@contextmanager
def _writing(study: Study, trial_id: int) -> Iterator[None]:
    try:
        with _asking(study):
            yield
    except UpdateFinishedTrialError as error:
        raise TakenOverError(f"trial {trial_id} was ended by another worker") from error


def _trial_id(study: Study, number: int) -> int:
    with _asking(study):
        return study.storage.get_trial_id_from_study_id_trial_number(study.study_id, number)


def _attempts(study: Study) -> Iterator[_Attempt]:
    """All trials of candidates, in their order. One that has ended cannot change, and is looked at once."""
    with _asking(study):
        trials = study.storage.get_all_trials(study.study_id, deepcopy=False)
    for trial in trials:
        if trial.number in study._ended:
            attempt = study._ended[trial.number]
        else:
            attempt = _attempt(trial)
            if trial.state.is_finished():
                study._ended[trial.number] = attempt
        if attempt is not None:
            yield attempt


def _attempt(trial: FrozenTrial) -> _Attempt | None:
    said = trial.user_attrs
    if _CANDIDATE not in said:  # made by another program
        return None
    try:
        candidate = Candidate.from_json(said[_CANDIDATE])
        return _Attempt(
            number=trial.number,
            key=candidate.key,
            candidate=candidate,
            running=not trial.state.is_finished(),
            failed=_ERROR in said,
            reached={int(epoch): float(value) for epoch, value in trial.intermediate_values.items()},
            outcome=_outcome(candidate, trial),
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        told = json.dumps(said)[:100]
        raise RequestError(f"trial {trial.number} of the study cannot be read ({error}): {told}") from error


def _outcome(candidate: Candidate, trial: FrozenTrial) -> Outcome | None:
    """What a trial that has ended with a result came to."""
    result = trial.user_attrs.get(_RESULT)
    # A worker may be struck between the result and the state; the trial is marked as interrupted then.
    if result is None or _INTERRUPTED in trial.user_attrs or trial.state is not _STATES[result["state"]]:
        return None
    return Outcome(candidate=candidate, **{**result, "curve": tuple(result["curve"])})
