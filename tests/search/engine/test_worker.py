"""Workers: what they take up, what becomes of errors, and how they get on with each other."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState

from compoundnet.errors import FailureError, RequestError, StoppedError
from compoundnet.search.engine.halving import gives_up
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import Study, begin, outcomes, report
from compoundnet.search.engine.worker import (
    Ended,
    Report,
    Reported,
    Retried,
    Started,
    TakenOver,
    TrialEvent,
    Waiting,
    work,
)
from compoundnet.search.trials import Candidate, Outcome, StorageError
from search.engine.cluster import Server
from search.engine.fakes import candidate, candidates, curve_of, evaluate, slowly, spawn, value_of

Info = dict[str, Any]


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with open_study(tmp_path / "study", create={}) as study:
        yield study


@pytest.fixture
def events() -> list[TrialEvent]:
    return []


def planned(count: int) -> Callable[[tuple[Outcome, ...]], list[Candidate]]:
    return lambda ended: candidates(count)


def states(study: Study) -> list[TrialState]:
    return [trial.state for trial in study.storage.get_all_trials(study.study_id)]


def test_everything_wanted_is_evaluated(tmp_path: Path, storage: str | None) -> None:
    with open_study(tmp_path / "study", storage, create={}) as study:
        result = work(study, planned(3), evaluate)
        assert result == outcomes(study)
    assert result == tuple(
        Outcome(candidate=each, state="complete", value=value_of(each, 3), curve=curve_of(each, 3), info={"epochs": 3})
        for each in candidates(3)
    )


def test_nothing_wanted_is_done_at_once(study: Study) -> None:
    assert work(study, planned(0), evaluate) == ()
    assert states(study) == []


def test_what_is_wanted_may_depend_on_what_came_out(study: Study) -> None:
    """Most needed first; those that have ended may be named or not."""
    seen: list[int] = []

    def propose(ended: tuple[Outcome, ...]) -> Sequence[Candidate]:
        seen.append(len(ended))
        return [candidate(9 - len(ended)), *candidates(5)] if len(ended) < 3 else candidates(1)

    done = work(study, propose, evaluate)
    assert [outcome.candidate.network for outcome in done] == ["net 9", "net 8", "net 7", "net 0"]
    assert seen == [0, 1, 2, 3, 4]


def test_finished_candidates_stay_finished(study: Study) -> None:
    first = work(study, planned(2), evaluate)

    def never(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        raise AssertionError

    assert work(study, planned(2), never) == first


def test_the_folder_is_there_and_its_own(study: Study) -> None:
    folders: list[Path] = []

    def look(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        assert list(folder.iterdir()) == []
        folders.append(folder)
        return 0.5, {}

    work(study, planned(2), look)
    assert folders == [study.folder / "trials" / each.key for each in candidates(2)]


def test_a_folder_that_cannot_be_made(study: Study) -> None:
    (study.folder / "trials").write_text("")
    with pytest.raises(StorageError, match=r"cannot make '.*trials/.*': "):
        work(study, planned(1), evaluate)
    (study.folder / "trials").unlink()
    assert len(work(study, planned(1), evaluate)) == 1


def test_what_is_told(study: Study, events: list[TrialEvent]) -> None:
    work(study, planned(1), partial(evaluate, epochs=2), observer=events.append)
    what = candidate(0)
    first, second = curve_of(what, 2)
    outcome = outcomes(study)[0]
    assert events == [Started(what, 1, 0), Reported(what, 1, first), Reported(what, 2, second), Ended(outcome)]


def test_numbers_of_numpy_are_taken(study: Study) -> None:
    def count(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        for epoch in np.arange(3):
            report(epoch, np.float32(epoch) / 4)
        return np.float64(0.5), {}

    (outcome,) = work(study, planned(1), count)
    assert (outcome.value, outcome.curve) == (0.5, (0.0, 0.25, 0.5))


# Errors


def failing(times: int, error: Exception) -> Callable[[Candidate, Path, Report], tuple[float, Info]]:
    """Fails on the first ``times`` calls for each candidate."""
    calls: dict[str, int] = {}

    def attempt(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        calls[what.key] = calls.get(what.key, 0) + 1
        report(1, 0.125)
        if calls[what.key] <= times:
            raise error
        return 0.5, {"calls": calls[what.key]}

    return attempt


def test_a_failure_is_tried_once_more(study: Study, events: list[TrialEvent]) -> None:
    (outcome,) = work(study, planned(1), failing(1, FailureError("bad luck")), observer=events.append)
    assert (outcome.state, outcome.value, outcome.info) == ("complete", 0.5, {"calls": 2})
    assert Retried(candidate(0), "bad luck") in events
    assert states(study) == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_second_failure_is_final(study: Study) -> None:
    done = work(study, planned(2), failing(2, FailureError("diverged")))
    assert [(outcome.state, outcome.value) for outcome in done] == [("failed", None)] * 2
    assert [outcome.info for outcome in done] == [{"error": "diverged"}] * 2
    assert [outcome.curve for outcome in done] == [(0.125,)] * 2
    assert states(study) == [TrialState.FAIL] * 4
    assert work(study, planned(2), evaluate) == done


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_has_failed_at_once(tmp_path: Path, storage: str | None, value: float) -> None:
    """The same seed would give it again."""

    def diverge(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        report(1, 0.5)
        report(2, value)
        return value, {"seconds": 3}

    with open_study(tmp_path / "study", storage, create={}) as study:
        (outcome,) = work(study, planned(1), diverge)
        assert (outcome.state, outcome.value) == ("failed", None)
        assert outcome.info == {"seconds": 3, "error": f"its value is {value}"}
        assert outcome.curve == pytest.approx((0.5, value), nan_ok=True)
        assert states(study) == [TrialState.FAIL]
    with open_study(tmp_path / "study") as study:
        (again,) = outcomes(study)
        assert (again.state, again.info) == (outcome.state, outcome.info)


ENDS = (ZeroDivisionError("a slip"), RequestError("no such data"), StoppedError("stopped"), KeyboardInterrupt())


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_other_errors_end_the_worker_and_not_the_candidate(study: Study, error: Exception) -> None:
    for _ in range(3):
        with pytest.raises(type(error)) as raised:
            work(study, planned(1), failing(1, error))
        assert raised.value is error
        assert outcomes(study) == ()
    assert states(study) == [TrialState.FAIL] * 3
    assert work(study, planned(1), evaluate)[0].state == "complete"


def test_a_full_disk_is_not_the_candidates_fault(study: Study) -> None:
    """All others would fail of it, too."""

    def write(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        raise FailureError("No space left on device; make room") from OSError(28, "No space left on device")

    for _ in range(3):
        with pytest.raises(FailureError, match="make room"):
            work(study, planned(1), write)
    assert outcomes(study) == ()
    assert work(study, planned(1), evaluate)[0].state == "complete"


def test_nor_is_a_storage_that_cannot_be_written(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, text: bytes) -> int:
        raise OSError(28, "No space left on device")

    def fill(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        monkeypatch.setattr(os, "write", full)
        report(1, 0.5)
        raise AssertionError

    for _ in range(3):
        with pytest.raises(StorageError, match=r"cannot use the journal .*: No space left on device; mend it"):
            work(study, planned(1), fill)
        monkeypatch.undo()
    assert outcomes(study) == ()
    assert work(study, planned(1), evaluate)[0].state == "complete"


def test_nor_is_a_server_that_goes_away(tmp_path: Path, server: Server, database: str) -> None:
    def lose(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        server.stop()
        try:
            report(1, 0.5)
        finally:
            server.start()
        raise AssertionError

    with open_study(tmp_path, database, create={}) as study:
        for _ in range(2):
            with pytest.raises(StorageError, match=r"^cannot use postgresql://.*; repeat, and it goes on$"):
                work(study, planned(1), lose)
        assert outcomes(study) == ()
        assert work(study, planned(1), evaluate)[0].state == "complete"
        assert states(study) == [TrialState.FAIL] * 2 + [TrialState.COMPLETE]


def test_an_error_stays_itself_when_the_storage_is_lost_too(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work(study, planned(1), lose)
    monkeypatch.undo()
    assert work(study, planned(1), evaluate)[0].state == "complete"


# Stopping, and going on


def test_stop_is_asked_between_candidates(study: Study) -> None:
    with pytest.raises(StoppedError, match="stopped between trials of study 'study'"):
        work(study, planned(5), evaluate, stop=lambda: len(outcomes(study)) == 2)
    assert len(outcomes(study)) == 2
    assert len(work(study, planned(5), evaluate)) == 5


def interrupted(study: Study, epochs: int) -> None:
    """A trial that was left after so many epochs."""
    trial = begin(study, candidate(0))
    assert trial is not None
    for epoch, value in enumerate(curve_of(candidate(0), epochs), 1):
        report(study, trial, epoch, value)


def test_going_on_from_a_checkpoint(study: Study, events: list[TrialEvent]) -> None:
    """Epochs that earlier attempts reported belong to the curve."""
    interrupted(study, 2)

    def go_on(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        for epoch in (3, 4):
            report(epoch, value_of(what, epoch))
        return value_of(what, 4), {}

    (outcome,) = work(study, planned(1), go_on, observer=events.append)
    assert outcome.curve == curve_of(candidate(0), 4)
    assert events[0] == Started(candidate(0), 2, 2)


def test_going_on_at_the_very_end(study: Study) -> None:
    """Struck after the last epoch: there is nothing to report, only to finish."""
    interrupted(study, 3)
    (outcome,) = work(study, planned(1), lambda *args: (0.5, {}))
    assert outcome.curve == curve_of(candidate(0), 3)


def test_starting_over(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the checkpoint was lost, what was known is replaced, and not written again where it is the same."""
    interrupted(study, 4)
    stored: list[int] = []
    real = study.storage.set_trial_intermediate_value

    def counted(trial_id: int, step: int, intermediate_value: float) -> None:
        stored.append(step)
        real(trial_id, step, intermediate_value)

    def start_over(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        report(1, value_of(what, 1))
        report(2, 0.5)
        report(3, value_of(what, 3))
        return 0.75, {}

    monkeypatch.setattr(study.storage, "set_trial_intermediate_value", counted)
    (outcome,) = work(study, planned(1), start_over)
    assert outcome.curve == (value_of(candidate(0), 1), 0.5, value_of(candidate(0), 3))
    assert stored == [2]


# Giving up


def graded(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
    """Candidate i is worth i tenths from the first of eight epochs on."""
    value = round(what.multipliers.depth - 1, 3)
    for epoch in range(1, 9):
        if report(epoch, value):
            break
    return value, {"epochs": epoch}


def test_the_worse_are_given_up(study: Study) -> None:
    order = [candidate(i) for i in (5, 3, 6, 4, 7)]
    halving = partial(gives_up, min_epochs=2, factor=2, epochs=99)
    done = work(study, lambda ended: order, graded, gives_up=halving)
    assert {o.candidate.network: (o.state, o.value, o.info["epochs"], len(o.curve)) for o in done} == {
        "net 5": ("complete", 0.5, 8, 8),
        "net 3": ("pruned", 0.3, 2, 2),
        "net 6": ("complete", 0.6, 8, 8),
        "net 4": ("pruned", 0.4, 2, 2),
        "net 7": ("complete", 0.7, 8, 8),
    }
    assert states(study).count(TrialState.PRUNED) == 2


def test_only_inside_a_group(study: Study) -> None:
    order = [candidate(5), candidate(3, group="x4")]
    done = work(study, lambda ended: order, graded, gives_up=partial(gives_up, min_epochs=2, factor=2, epochs=99))
    assert [outcome.state for outcome in done] == ["complete", "complete"]


def test_a_running_one_is_competition(study: Study) -> None:
    other = begin(study, candidate(9))
    assert other is not None
    report(study, other, 1, 0.9)
    done = work(study, planned(1), graded, gives_up=partial(gives_up, min_epochs=1, factor=2, epochs=99))
    assert [(outcome.state, outcome.curve) for outcome in done] == [("pruned", (0.0,))]


def test_who_went_on_once_is_not_judged_there_again(study: Study) -> None:
    """Repeating its epochs after an interruption, it would meet others that came later."""
    interrupted(study, 3)
    judged: list[int] = []

    def judge(curve: Sequence[float], others: object) -> bool:
        judged.append(len(curve))
        return False

    work(study, planned(1), partial(evaluate, epochs=5), gives_up=judge)
    assert judged == [3, 4, 5]  # whether it had been judged after the third is not known


def test_who_was_told_to_give_up_has(study: Study) -> None:
    """Even if it goes on, and without being asked again."""
    asked: list[int] = []

    def judge(curve: Sequence[float], others: object) -> bool:
        asked.append(len(curve))
        return len(curve) == 2

    def deaf(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        assert [report(epoch, 0.5) for epoch in range(4)] == [False, True, True, True]
        return 0.5, {}

    assert work(study, planned(1), deaf, gives_up=judge)[0].state == "pruned"
    assert asked == [1, 2]


# Several workers


def note_and_wait(notes: Path, what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
    with notes.open("a") as file:
        file.write(f"{what.network}\n")
    time.sleep(0.1)
    return 0.5, {}


def join(folder: Path, storage: str | None, count: int, run: Callable[..., tuple[float, Info]]) -> None:
    with open_study(folder, storage, create={}) as study:
        work(study, planned(count), run, poll_s=0.02)


@pytest.mark.parametrize("count", [1, 4])
def test_two_workers_never_do_the_same(tmp_path: Path, storage: str | None, count: int) -> None:
    notes = tmp_path / "notes"
    run = partial(note_and_wait, notes)
    workers = [spawn(join, tmp_path / "study", storage, count, run) for _ in range(2)]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert sorted(notes.read_text().split("\n")[:-1]) == [f"net {i}" for i in range(count)]


def killed_at_work(folder: Path, storage: str | None) -> None:
    """A worker that is killed in the third epoch of five, of its first candidate."""

    def die(event: TrialEvent) -> None:
        if isinstance(event, Reported) and event.epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_study(folder, storage, create={}) as study:
        work(study, planned(3), partial(slowly, epochs=5, step_s=0.001), observer=die)


def test_going_on_after_everything_went_down(tmp_path: Path, storage: str | None) -> None:
    for _ in range(2):
        worker = spawn(killed_at_work, tmp_path / "study", storage)
        worker.join()
        assert worker.exitcode == -signal.SIGKILL
    with open_study(tmp_path / "study") as study:
        done = work(study, planned(3), partial(slowly, epochs=5, step_s=0.001), poll_s=0.05)
        assert [outcome.curve for outcome in done] == [curve_of(each, 5) for each in candidates(3)]
        assert states(study) == [TrialState.FAIL] * 2 + [TrialState.COMPLETE] * 3


def test_waiting_for_another_worker(study: Study, events: list[TrialEvent]) -> None:
    """Told once; what it leaves is taken up as soon as it is gone."""
    claim = study.claims.try_claim(candidate(0).key)
    assert claim is not None
    looks: list[float] = []

    def propose(ended: tuple[Outcome, ...]) -> list[Candidate]:
        looks.append(time.monotonic())
        if len(looks) == 4:
            with claim:
                pass
        return candidates(1)

    work(study, propose, evaluate, observer=events.append, poll_s=0.01)
    assert events[0] == Waiting((candidate(0),))
    assert isinstance(events[1], Started)
    assert len(looks) == 5


def test_stopping_while_waiting(study: Study) -> None:
    claim = study.claims.try_claim(candidate(0).key)
    assert claim is not None
    asked: list[None] = []
    with claim, pytest.raises(StoppedError):
        work(study, planned(1), evaluate, poll_s=0.01, stop=lambda: asked.append(None) or len(asked) > 3)


def test_a_worker_whose_claim_was_lost_goes_on_with_others(study: Study, events: list[TrialEvent]) -> None:
    """As when the server that knew of it was started anew."""

    def lose(what: Candidate, folder: Path, report: Report) -> tuple[float, Info]:
        if what == candidate(0):
            with open_study(study.folder) as other:
                trial = begin(other, what)
                assert trial is not None
        return evaluate(what, folder, report)

    lost: list[TrialEvent] = []

    def watch(event: TrialEvent) -> None:
        events.append(event)
        if isinstance(event, TakenOver):
            lost.append(event)

    def propose(ended: tuple[Outcome, ...]) -> list[Candidate]:
        return candidates(2)[len(lost) :]

    done = work(study, propose, lose, observer=watch)
    assert lost == [TakenOver(candidate(0))]
    assert [outcome.candidate for outcome in done] == [candidate(1)]
    assert states(study) == [TrialState.FAIL, TrialState.RUNNING, TrialState.COMPLETE]
