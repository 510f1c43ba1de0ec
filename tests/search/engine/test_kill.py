"""Workers killed at random, fifty times, lose nothing: neither on the journal nor on a real PostgreSQL server."""

import os
import random
import signal
import time
from collections import Counter
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from optuna.trial import TrialState

from compoundnet.files import write_atomically
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import Study, outcomes
from compoundnet.search.engine.worker import Started, TrialEvent, work
from compoundnet.search.trials import Candidate, Outcome
from search.engine.fakes import candidates, curve_of, slowly, spawn, value_of

EPOCHS, STEP_S, WORKERS, KILLS = 15, 0.015, 3, 50
CANDIDATES = candidates(2000)  # more than there is time for while workers are killed


def join(folder: Path, storage: str | None) -> None:
    """A worker, from opening the study to the end. How many candidates are planned stands in a file."""
    random.seed()
    planned, at_work = folder.with_name("planned"), folder.with_name(f"at-work-{os.getpid()}")

    def told(event: TrialEvent) -> None:
        if isinstance(event, Started):
            at_work.touch()

    with open_study(folder, storage, name="killed", create={"epochs": EPOCHS}) as study:
        evaluate = partial(slowly, epochs=EPOCHS, step_s=STEP_S)
        work(study, lambda ended: CANDIDATES[: int(planned.read_text())], evaluate, observer=told, poll_s=0.05)


def ended(study: Study) -> dict[str, Outcome]:
    return {outcome.candidate.key: outcome for outcome in outcomes(study)}


def states(study: Study) -> Counter[tuple[str, TrialState]]:
    """How often each candidate is in each state."""
    trials = study.storage.get_all_trials(study.study_id)
    return Counter((Candidate.from_json(trial.user_attrs["candidate"]).key, trial.state) for trial in trials)


def begun(study: Study) -> int:
    """How many candidates, of which each is begun after the one before it."""
    keys = {key for key, _ in states(study)}
    return 1 + max(i for i, each in enumerate(CANDIDATES) if each.key in keys)


def at_work(study: Study, workers: list[BaseProcess]) -> list[BaseProcess]:
    return [worker for worker in workers if study.folder.with_name(f"at-work-{worker.pid}").exists()]


def kill_at_random(study: Study, storage: str | None, workers: list[BaseProcess]) -> dict[str, Outcome]:
    """Fifty times, any worker and one that has a candidate in turn. What had ended by then."""
    chance = random.Random(0)
    seen: dict[str, Outcome] = {}
    for i in range(KILLS):
        workers += [spawn(join, study.folder, storage) for _ in range(WORKERS - len(workers))]
        while i % 2 and not at_work(study, workers):
            assert all(worker.is_alive() for worker in workers)
            time.sleep(0.01)
        victim = chance.choice(at_work(study, workers) if i % 2 else workers)
        time.sleep(chance.uniform(0, 0.7))
        workers.remove(victim)
        victim.kill()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL  # it had been at work, not ended by an error
        now = ended(study)
        assert {key: now[key] for key in seen} == seen  # nothing finished is lost
        seen = now
    return seen


@pytest.mark.slow
def test_killed_fifty_times(tmp_path: Path, storage: str | None) -> None:
    workers: list[BaseProcess] = []
    planned = tmp_path / "planned"
    planned.write_text(str(len(CANDIDATES)))
    with open_study(tmp_path / "study", storage, name="killed", create={"epochs": EPOCHS}) as study:
        seen = kill_at_random(study, storage, workers)
        write_atomically(planned, str(begun(study) + 2))
        workers.append(spawn(join, study.folder, storage))
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * WORKERS
        now, counted = ended(study), states(study)
        plan = CANDIDATES[: max(begun(study), int(planned.read_text()))]  # a slow machine may begin more meanwhile
    assert {key: now[key] for key in seen} == seen
    assert set(now) == {each.key for each in plan}
    for each in plan:
        outcome = now[each.key]
        assert (outcome.state, outcome.value) == ("complete", value_of(each, EPOCHS))
        assert outcome.curve == curve_of(each, EPOCHS)  # of all attempts together
        assert counted[each.key, TrialState.COMPLETE] == 1
        assert counted[each.key, TrialState.RUNNING] == 0
    interrupted = sum(times for (_, state), times in counted.items() if state is TrialState.FAIL)
    assert KILLS / 4 < interrupted <= KILLS  # the others had no candidate yet, or were between two
