"""Further workers on this machine: started, waited for, stopped with what started them."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from compoundnet.errors import FailureError, StoppedError
from compoundnet.search.engine.helpers import helpers
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import Study

WAITS = "trap 'echo saved; exit 130' TERM; echo ready; while :; do sleep 0.02; done"
IGNORES = "trap '' TERM; echo ready; while :; do sleep 0.02; done"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(tmp_path / "study", create={})


def program(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """What stands in for Python."""
    file = folder / "program"
    file.write_text(f'#!/bin/sh\necho "$@ threads $OMP_NUM_THREADS"\n{script}\n')
    file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(file))


def ready(study: Study, number: int = 1) -> None:
    while "ready" not in (study.folder / f"worker-{number}.log").read_text():
        pass


def test_they_work_and_are_waited_for(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, tmp_path, "sleep 0.1; echo done")
    told: list[str] = []
    before = torch.get_num_threads()
    with helpers(study, 2, device="cpu", storage="postgresql://x/y", tell=told.append):
        inside = torch.get_num_threads()
    assert told == [] and torch.get_num_threads() == before and inside == max(1, before // 3)
    for number in (1, 2):
        log = (study.folder / f"worker-{number}.log").read_text().splitlines()
        line = f"-m compoundnet worker {study.folder} --device cpu --storage postgresql://x/y --name study"
        assert log == [f"{line} threads {inside}", "done"]


def test_none_are_needed(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    before = torch.get_num_threads()
    with helpers(study, 0, device="cpu", storage=None, tell=print):
        assert torch.get_num_threads() == before


@pytest.mark.parametrize(("script", "how"), [("exit 1", "with status 1"), ("kill -9 $$", "by signal 9")])
def test_an_error_is_told(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, how: str) -> None:
    program(monkeypatch, tmp_path, script)
    told: list[str] = []
    with helpers(study, 1, device="cpu", storage=None, tell=told.append):
        pass
    assert told == [f"worker 1 ended {how}; see {study.folder / 'worker-1.log'}"]


def test_they_save_when_the_work_is_stopped(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, tmp_path, WAITS)
    told: list[str] = []
    with pytest.raises(StoppedError), helpers(study, 1, device="cpu", storage=None, tell=told.append):
        ready(study)
        raise StoppedError("stopped")
    assert told == [] and "saved" in (study.folder / "worker-1.log").read_text()


def test_they_end_at_once_when_the_user_insists(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, tmp_path, IGNORES)
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), helpers(study, 2, device="cpu", storage=None, tell=told.append):
        ready(study, 1)
        ready(study, 2)
        raise KeyboardInterrupt
    assert told == []


def test_waiting_can_be_interrupted(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a third Ctrl-C while a helper saves."""
    program(monkeypatch, tmp_path, f"trap 'kill -INT {os.getpid()}' TERM; echo ready; while :; do sleep 0.02; done")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), helpers(study, 1, device="cpu", storage=None, tell=print):
            ready(study)
            raise StoppedError("stopped")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_ctrl_c_is_not_theirs(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal sends it to a whole group."""
    program(monkeypatch, tmp_path, "cut -d ' ' -f 5 /proc/$$/stat")
    with helpers(study, 1, device="cpu", storage=None, tell=print):
        pass
    assert int((study.folder / "worker-1.log").read_text().splitlines()[-1]) != os.getpgrp()


def test_one_that_cannot_be_started(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with (
        pytest.raises(FailureError, match=r"cannot start another worker.*No such file.*take fewer jobs"),
        helpers(study, 1, device="cpu", storage=None, tell=print),
    ):
        pass


def test_a_log_that_cannot_be_written(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, tmp_path, WAITS)
    (study.folder / "worker-2.log").mkdir()
    with (
        pytest.raises(FailureError, match=r"worker-2\.log.*Is a directory"),
        helpers(study, 2, device="cpu", storage=None, tell=print),
    ):
        pass
