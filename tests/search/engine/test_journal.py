"""The journal stands what Optuna's own file does not: writers killed halfway, lock holders killed, full disks."""

import errno
import fcntl
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import TrialState

from compoundnet.errors import RequestError
from compoundnet.search.engine.journal import Journal
from compoundnet.search.trials import StorageError
from search.engine.fakes import spawn


def record(number: int) -> dict[str, Any]:
    return {"op_code": 4, "worker_id": "w", "number": number, "text": "é\n" * number}


FIRST, SECOND, THIRD = (record(number) for number in range(3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "journal.log"
    Journal(file).append_logs([FIRST, SECOND])
    return file


def write_half_and_die(file: Path) -> None:
    real = os.write

    def half(handle: int, text: bytes) -> int:
        real(handle, text[: len(text) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    os.write = half
    Journal(file).append_logs([THIRD])


def hold_and_die(lock: Callable[[], Any]) -> None:
    lock()
    os.kill(os.getpid(), signal.SIGKILL)


def killed(function: Callable[..., None], *args: Any) -> None:
    """Run it in a process that does not survive it."""
    process = spawn(function, *args)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_killed_in_an_append(file: Path) -> None:
    reader = Journal(file)
    whole = file.read_bytes()
    killed(write_half_and_die, file)
    assert file.read_bytes().startswith(whole)
    assert len(file.read_bytes()) > len(whole)
    assert reader.read_logs(0) == [FIRST, SECOND]
    Journal(file).append_logs([THIRD])
    assert reader.read_logs(2) == [THIRD]
    assert Journal(file).read_logs(0) == [FIRST, SECOND, THIRD]


def test_optunas_own_file_does_not_stand_that(file: Path) -> None:
    """If it does one day, ours may go."""
    killed(write_half_and_die, file)
    own = JournalFileBackend(str(file))
    assert list(own.read_logs(0)) == [FIRST, SECOND]
    own.append_logs([THIRD])
    own.append_logs([THIRD])
    with pytest.raises(json.JSONDecodeError):
        list(JournalFileBackend(str(file)).read_logs(0))


def test_a_killed_holder_of_the_lock_holds_up_nobody(file: Path) -> None:
    killed(hold_and_die, Journal(file)._locked(os.O_RDWR, fcntl.LOCK_EX).__enter__)
    Journal(file).append_logs([THIRD])
    assert Journal(file).read_logs(0) == [FIRST, SECOND, THIRD]


def test_one_of_optunas_own_lock_holds_up_everybody(file: Path) -> None:
    killed(hold_and_die, JournalFileSymlinkLock(str(file)).acquire)
    other = spawn(JournalFileBackend(str(file)).append_logs, [THIRD])
    other.join(0.5)
    assert other.exitcode is None  # for 30 s
    other.kill()
    other.join()
    assert Journal(file).read_logs(0) == [FIRST, SECOND]


def test_cut_anywhere_in_the_last_line(file: Path) -> None:
    whole = file.read_bytes()
    start = whole.index(b"\n") + 1
    for end in range(start, len(whole)):
        file.write_bytes(whole[:end])
        journal = Journal(file)
        assert journal.read_logs(0) == [FIRST]
        journal.append_logs([THIRD])
        assert journal.read_logs(1) == Journal(file).read_logs(1) == [THIRD]


@pytest.mark.parametrize("tail", [b"\0" * 5000, b"x" * 200_000], ids=["zeros", "long"])
def test_a_tail_without_end_is_cut(file: Path, tail: bytes) -> None:
    """Zeros are what a machine without power leaves; the other is longer than a block of the search for its start."""
    with file.open("ab") as out:
        out.write(tail)
    Journal(file).append_logs([THIRD])
    assert Journal(file).read_logs(0) == [FIRST, SECOND, THIRD]
    file.write_bytes(tail)
    Journal(file).append_logs([THIRD])
    assert Journal(file).read_logs(0) == [THIRD]


def append_many(file: Path, who: int) -> None:
    journal = Journal(file)
    for number in range(60):
        journal.append_logs([record(number) | {"worker_id": str(who)}])


def test_many_writers_and_a_reader(tmp_path: Path) -> None:
    file = tmp_path / "journal.log"
    reader = Journal(file)
    writers = [spawn(append_many, file, who) for who in range(4)]
    found: list[dict[str, Any]] = []
    while len(found) < 240 and any(writer.is_alive() for writer in writers):
        found += reader.read_logs(len(found))
    for writer in writers:
        writer.join()
    found += reader.read_logs(len(found))
    assert [writer.exitcode for writer in writers] == [0] * 4
    for who in range(4):
        mine = [found for found in found if found["worker_id"] == str(who)]
        assert mine == [record(number) | {"worker_id": str(who)} for number in range(60)]
    assert len(found) == 240


def test_everybody_waits_for_a_writer(file: Path) -> None:
    """Who reads amid a write, or amid the cutting of a tail, would see lines that never were."""
    journal = Journal(file)
    with journal._locked(os.O_RDWR, fcntl.LOCK_EX):
        waiting = [spawn(journal.append_logs, [THIRD]), spawn(journal.read_logs, 0)]
        for process in waiting:
            process.join(0.3)
            assert process.exitcode is None
    for process in waiting:
        process.join()
        assert process.exitcode == 0


def test_only_what_is_new_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, real, sizes = Journal(file), os.pread, []

    def counted(handle: int, size: int, start: int) -> bytes:
        got = real(handle, size, start)
        sizes.append(len(got))
        return got

    assert journal.read_logs(0) == [FIRST, SECOND]
    before = file.stat().st_size
    Journal(file).append_logs([THIRD])
    monkeypatch.setattr(os, "pread", counted)
    assert journal.read_logs(2) == [THIRD]
    assert sum(sizes) == file.stat().st_size - before
    assert journal.read_logs(3) == []
    assert journal.read_logs(1) == [SECOND, THIRD]  # as Optuna asks after an error of its own


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(file: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    whole, real = file.read_bytes(), os.write

    def full(handle: int, text: bytes) -> int:
        if len(text) < 40:
            raise OSError(number, os.strerror(number))
        return real(handle, text[: len(text) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageError) as told:
            Journal(file).append_logs([THIRD])
    assert str(told.value) == (
        f"cannot use the journal {file}: {os.strerror(number)}; "
        "mend it (make room, give access) and repeat: the study goes on"
    )
    assert file.read_bytes() == whole
    Journal(file).append_logs([THIRD])
    assert Journal(file).read_logs(0) == [FIRST, SECOND, THIRD]


def append_in_little_room(file: Path, room_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))
    try:
        Journal(file).append_logs([record(5000)])
    except StorageError as error:
        os._exit(7 if "File too large" in str(error) else 1)


def test_a_record_that_does_not_fit_is_not_there_at_all(file: Path) -> None:
    """The kernel writes as much of it as fits."""
    whole = file.read_bytes()
    process = spawn(append_in_little_room, file, len(whole) + 4096)
    process.join()
    assert process.exitcode == 7
    assert file.read_bytes() == whole


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"{}", b'"op_code"', b"\xff"])
def test_a_damaged_line_is_named(file: Path, line: bytes) -> None:
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([lines[0], line, *lines[1:]]))
    with pytest.raises(RequestError, match=r"journal\.log is damaged at line 2; bring back a copy, or take another"):
        Journal(file).read_logs(0)


def test_a_journal_that_became_shorter(file: Path) -> None:
    journal = Journal(file)
    journal.read_logs(0)
    os.truncate(file, 5)
    with pytest.raises(RequestError, match="became shorter"):
        journal.read_logs(2)


def test_a_journal_that_cannot_be_used(tmp_path: Path, file: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"):
        Journal(tmp_path / "none" / "journal.log")
    journal = Journal(file)
    file.unlink()
    for use in (lambda: journal.read_logs(0), lambda: journal.append_logs([THIRD])):
        with pytest.raises(StorageError, match="No such file or directory"):
            use()
    assert not file.exists()  # an empty one would be a study without its past


def test_optuna_reads_what_is_written_here_and_the_other_way_round(tmp_path: Path) -> None:
    file = tmp_path / "journal.log"
    ours, theirs = JournalStorage(Journal(file)), JournalStorage(JournalFileBackend(str(file)))
    study = ours.create_new_study([StudyDirection.MAXIMIZE], "shared")
    for storage, value in ((ours, 0.25), (theirs, 0.5)):
        trial = storage.create_new_trial(study)
        storage.set_trial_intermediate_value(trial, 1, value / 2)
        storage.set_trial_state_values(trial, TrialState.COMPLETE, [value])
    fresh = JournalStorage(Journal(file))
    for storage in (ours, theirs, fresh):
        assert [trial.value for trial in storage.get_all_trials(study)] == [0.25, 0.5]
    assert fresh.get_all_trials(study) == theirs.get_all_trials(study)


def test_a_child_forked_while_the_lock_is_held_does_not_keep_it(file: Path) -> None:
    journal = Journal(file)
    with journal._locked(os.O_RDWR, fcntl.LOCK_EX):
        sleeper = spawn(time.sleep, 30)
    journal.append_logs([THIRD])
    assert journal.read_logs(2) == [THIRD]
    assert sleeper.is_alive()
    sleeper.kill()
    sleeper.join()
