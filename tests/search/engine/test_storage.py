"""What a trial becomes: stored whole, interrupted, failed, taken over; and read once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from compoundnet.errors import RequestError
from compoundnet.scaling import Multipliers
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import (
    Study,
    TakenOverError,
    Trial,
    begin,
    curves,
    fail,
    finish,
    interrupt,
    outcomes,
    report,
)
from compoundnet.search.trials import Candidate, Outcome, StorageError
from search.engine.fakes import candidate


@pytest.fixture
def study(tmp_path: Path, storage: str | None) -> Iterator[Study]:
    with open_study(tmp_path / "study", storage, create={"a": 1}) as study:
        yield study


@pytest.fixture
def another(study: Study, storage: str | None) -> Iterator[Callable[[], Study]]:
    """Opens the same study as another worker would."""
    opened: list[Study] = []

    def again() -> Study:
        opened.append(open_study(study.folder, storage))
        return opened[-1]

    yield again
    for each in opened:
        each.close()


def begun(study: Study, what: Candidate) -> Trial:
    trial = begin(study, what)
    assert trial is not None
    return trial


def done(what: Candidate, value: float = 0.5, **info: Any) -> Outcome:
    return Outcome(candidate=what, state="complete", value=value, curve=(value / 2, value), info=info)


def states(study: Study) -> list[TrialState]:
    return [trial.state for trial in study.storage.get_all_trials(study.study_id)]


ENDS = (
    done(candidate(0), seconds=3, nested={"list": [1, None, "é\0"]}),
    Outcome(candidate=candidate(1), state="pruned", value=0.25, curve=(0.25,), info={}),
    Outcome(candidate=candidate(2), state="failed", value=None, curve=(), info={"error": "two\nlines"}),
    Outcome(candidate=candidate(3), state="complete", value=0.0, curve=(float("-inf"), 0.0), info={}),
)


def test_outcomes_come_back_equal(study: Study, another: Callable[[], Study]) -> None:
    for outcome in ENDS:
        trial = begun(study, outcome.candidate)
        for epoch, value in enumerate(outcome.curve):
            report(study, trial, epoch, value)
        finish(study, trial, outcome)
    begun(study, candidate(4))
    assert outcomes(study) == ENDS
    assert outcomes(another()) == ENDS
    assert states(study) == [
        *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE, TrialState.RUNNING)
    ]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
CANDIDATES = st.builds(
    Candidate,
    network=st.text(),
    multipliers=st.builds(Multipliers, *[st.floats(1e-6, 1e6)] * 3),
    seed=st.integers(0, 2**40),
    group=st.text(),
    tags=st.dictionaries(st.text(), JSON, max_size=3),
)


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """One that many examples add to."""
    with open_study(tmp_path_factory.mktemp("growing"), create={}) as study:
        yield study


@given(what=CANDIDATES, info=st.dictionaries(st.text(), JSON, max_size=2))
def test_any_candidate_goes_through_the_storage(growing: Study, what: Candidate, info: dict[str, Any]) -> None:
    ended = {outcome.candidate.key for outcome in outcomes(growing)}
    trial = begin(growing, what)
    assert (trial is None) == (what.key in ended)
    if trial is None:
        return
    outcome = done(what, **{f"i{name}": value for name, value in info.items()})
    finish(growing, trial, outcome)
    with open_study(growing.folder) as again:
        assert outcomes(again)[-1] == outcomes(growing)[-1] == outcome
        assert outcomes(again)[-1].candidate.key == what.key


@pytest.mark.parametrize("text", ["", "é", "\0", "\ud800", "\\", '"', "\n", "\U0001d538" * 300])
def test_awkward_texts_and_numbers_in_a_data_base(tmp_path: Path, database: str, text: str) -> None:
    what = Candidate(
        network=text or "net",
        multipliers=Multipliers(1 / 3, 1e-6, 1e6),
        seed=2**40,
        group=text,
        tags={text: [text, 1 / 3, 2**70, None, True]},
    )
    with open_study(tmp_path, database, create={text: text}) as study:
        finish(study, begun(study, what), done(what, 1 / 3, text=text))
        with open_study(tmp_path) as again:
            assert outcomes(again) == (done(what, 1 / 3, text=text),)


def test_optuna_reads_it(study: Study) -> None:
    """As a dashboard would."""
    outcome = done(candidate(2, rule="depth"))
    trial = begun(study, outcome.candidate)
    for epoch, value in enumerate(outcome.curve, 1):
        report(study, trial, epoch, value)
    finish(study, trial, outcome)
    theirs = optuna.load_study(study_name="study", storage=study.storage)
    best = theirs.best_trial
    assert theirs.direction is optuna.study.StudyDirection.MAXIMIZE
    assert best.value == 0.5
    assert best.params == {"depth": 1.2, "width": 1.0, "resolution": 1.25}
    assert best.intermediate_values == {1: 0.25, 2: 0.5}
    assert best.user_attrs["candidate"]["tags"] == {"rule": "depth"}
    assert best.duration is not None


def test_an_ended_candidate_is_not_begun_again(study: Study, another: Callable[[], Study]) -> None:
    for outcome in ENDS:
        finish(study, begun(study, outcome.candidate), outcome)
        assert begin(study, outcome.candidate) is None
        assert begin(another(), outcome.candidate) is None


def test_a_trial_without_its_worker_is_marked_and_taken_up(study: Study, another: Callable[[], Study]) -> None:
    first = begun(study, candidate())
    for epoch, value in ((1, 0.1), (2, 0.2)):
        report(study, first, epoch, value)
    assert (first.attempt, first.reached) == (1, {})
    second = begun(another(), candidate())
    assert (second.attempt, second.reached) == (2, {1: 0.1, 2: 0.2})
    assert states(study) == [TrialState.FAIL, TrialState.RUNNING]
    assert study.storage.get_trial(first.trial_id).user_attrs["interrupted"] is True
    assert outcomes(study) == ()
    third = begun(study, candidate())
    assert (third.attempt, third.reached) == (3, {1: 0.1, 2: 0.2})
    finish(study, third, done(candidate()))
    assert outcomes(study) == outcomes(another()) == (done(candidate()),)
    assert states(study) == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]


def test_only_trials_of_the_same_candidate_are_marked(study: Study) -> None:
    """Seed and group tell candidates apart."""
    others = [candidate(1), candidate(0, seed=1), candidate(0, group="x4")]
    for other in others:
        begun(study, other)
    begun(study, candidate(0))
    begun(study, candidate(0))
    assert states(study) == [TrialState.RUNNING] * 3 + [TrialState.FAIL, TrialState.RUNNING]


USES: dict[str, Callable[[Study, Trial], None]] = {
    "report": lambda study, trial: report(study, trial, 1, 0.5),
    "finish": lambda study, trial: finish(study, trial, done(trial.candidate)),
    "fail": lambda study, trial: fail(study, trial, "error"),
    "interrupt": interrupt,
}


@pytest.mark.parametrize("use", USES)
def test_a_worker_that_lost_its_claim_can_add_nothing(study: Study, another: Callable[[], Study], use: str) -> None:
    first = begun(study, candidate())
    other = another()
    second = begun(other, candidate())
    with pytest.raises(TakenOverError):
        USES[use](study, first)
    finish(other, second, done(candidate(), 0.75))
    with pytest.raises(TakenOverError):
        USES[use](study, first)
    assert outcomes(study) == outcomes(other) == outcomes(another()) == (done(candidate(), 0.75),)


def test_a_worker_that_lost_its_claim_may_just_have_ended(
    study: Study, another: Callable[[], Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its trial and the attempt to mark it."""
    first = begun(study, candidate())
    other = another()
    real = other.storage.get_trial_id_from_study_id_trial_number

    def late(study_id: int, number: int) -> int:
        finish(study, first, done(candidate()))
        return real(study_id, number)

    monkeypatch.setattr(other.storage, "get_trial_id_from_study_id_trial_number", late)
    assert begin(other, candidate()) is None
    assert outcomes(other) == (done(candidate()),)
    assert states(study) == [TrialState.COMPLETE]


STRUCK: dict[str, Callable[[Study, Trial], None]] = {
    "complete": USES["finish"],
    "failed": lambda study, trial: finish(study, trial, replace(ENDS[2], candidate=trial.candidate)),
    "failed once": USES["fail"],
}


@pytest.mark.parametrize("end", STRUCK)
def test_struck_between_the_result_and_the_state(study: Study, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    def strike(*args: object) -> None:
        raise KeyboardInterrupt

    trial = begun(study, candidate())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(study.storage, "set_trial_state_values", strike)
        STRUCK[end](study, trial)
    assert outcomes(study) == ()
    second = begun(study, candidate())
    assert (second.attempt, second.last) == (2, end == "failed once")  # a failure that is known counts
    assert outcomes(study) == ()


def test_a_candidate_that_failed_is_tried_once_more(study: Study, another: Callable[[], Study]) -> None:
    first = begun(study, candidate())
    report(study, first, 1, 0.1)
    assert not first.last
    fail(study, first, "out of luck")
    assert outcomes(study) == ()
    interrupt(study, begun(study, candidate()))  # counts for nothing
    begun(study, candidate())  # nor does this, which is left
    second = begun(another(), candidate())
    assert second.last
    assert (second.attempt, second.reached) == (4, {1: 0.1})
    stored = study.storage.get_trial(first.trial_id)
    assert stored.user_attrs["error"] == "out of luck"


def test_curves_of_a_group(study: Study) -> None:
    for number, end in ((0, True), (1, False)):
        trial = begun(study, candidate(number))
        for epoch in range(1, 4):
            report(study, trial, epoch, (number + epoch) / 10)
        if end:
            finish(study, trial, Outcome(candidate=candidate(0), state="pruned", value=0.2, curve=(0.1, 0.2)))
    again = begun(study, candidate(1))
    report(study, again, 4, 0.9)
    begun(study, candidate(2))
    report(study, begun(study, candidate(3, group="x4")), 1, 0.5)
    assert curves(study, "x2", without="") == [(0.1, 0.2), (0.2, 0.3, 0.4, 0.9), ()]
    assert curves(study, "x2", without=candidate(1).key) == [(0.1, 0.2), ()]
    assert curves(study, "x4", without="") == [(0.5,)]
    assert curves(study, "x8", without="") == []


def test_what_has_ended_is_read_once(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    for outcome in ENDS:
        finish(study, begun(study, outcome.candidate), outcome)
    begun(study, candidate(4))
    assert outcomes(study) == ENDS
    read: list[str] = []
    real = Candidate.from_json

    def counted(record: dict[str, Any]) -> Candidate:
        read.append(record["network"])
        return real(record)

    monkeypatch.setattr(Candidate, "from_json", counted)
    assert outcomes(study) == ENDS
    assert read == ["net 4"]


def test_trials_of_other_programs_are_passed_over(study: Study) -> None:
    theirs = optuna.load_study(study_name="study", storage=study.storage)
    theirs.tell(theirs.ask(), 1.0)
    theirs.ask()
    finish(study, begun(study, candidate()), done(candidate()))
    assert outcomes(study) == (done(candidate()),)


def test_a_trial_failed_by_hand_is_tried_again(study: Study) -> None:
    """In a dashboard, say."""
    trial = begun(study, candidate())
    study.storage.set_trial_state_values(trial.trial_id, TrialState.FAIL)
    assert outcomes(study) == ()
    assert begun(study, candidate()).attempt == 2


@pytest.mark.parametrize("said", [{"network": "n"}, [], "text", {"multipliers": 3}, {"extra": 1}])
def test_a_trial_that_cannot_be_read(study: Study, said: Any) -> None:
    trial = begun(study, candidate())
    if isinstance(said, dict) and "extra" in said:
        said = {**candidate().to_json(), **said}
    study.storage.set_trial_user_attr(trial.trial_id, "candidate", said)
    with pytest.raises(RequestError, match=r"^trial 0 of the study cannot be read \(.*\): \{\"candidate\": "):
        outcomes(study)


def test_a_study_that_was_deleted(study: Study) -> None:
    trial = begun(study, candidate())
    study.storage.delete_study(study.study_id)
    uses = (
        lambda: outcomes(study),
        lambda: begin(study, candidate(1)),
        lambda: report(study, replace(trial, trial_id=trial.trial_id + 1), 1, 0.5),
    )
    for use in uses:
        with pytest.raises(StorageError, match=r"^study 'study', or a trial of it, is no longer in its storage$"):
            use()


def test_multipliers_beyond_all_measure_are_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="depth"):
        begin(study, Candidate(network="n", multipliers=Multipliers(1e7, 1.0, 1.0), seed=0, group="g"))
