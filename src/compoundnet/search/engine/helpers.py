"""Further workers of a study on this machine: processes that are started with it, and end with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from compoundnet.errors import FailureError
from compoundnet.search.engine.storage import Study

__all__ = ["helpers"]

_STOPPED = 130  # the status of a command that was interrupted and has saved what it had


@contextmanager
def helpers(
    study: Study, count: int, *, device: str, storage: str | None, tell: Callable[[str], None]
) -> Iterator[None]:
    """Inside, ``count`` further workers are at work on ``study``; the cores are shared out among all, this one too.

    What each says goes into ``worker-N.log`` in the study's folder. Afterwards they are waited for, since all end
    when nothing is left to do. If the work inside is broken off, they are told to save what they have and stop; if
    the user interrupts it, they end at once, which loses nothing that is stored.

    Args:
        study: an open one.
        count: processes to start.
        device: that all train on.
        storage: the address of the study's data base, which may hold what ``study.json`` does not; None: a journal.
        tell: hears of those that ended otherwise than they should, a line each.

    Raises:
        FailureError: a process could not be started; those that were are stopped.
    """
    before = torch.get_num_threads()
    threads = max(1, before // (count + 1))
    command = [sys.executable, "-m", "compoundnet", "worker", str(study.folder), "--device", device]
    command += [] if storage is None else ["--storage", storage, "--name", study.name]
    started: list[subprocess.Popen[bytes]] = []
    sent = False
    torch.set_num_threads(threads)
    try:
        for number in range(count):
            started.append(_start(command, _log(study, number), threads))
        yield
    except BaseException as error:
        sent = True
        for process in started:
            process.send_signal(signal.SIGKILL if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        raise
    finally:
        torch.set_num_threads(before)
        for number, status in enumerate(_ended(started)):
            stopped = status == _STOPPED or (sent and status < 0)  # struck before it could listen
            if status and not stopped:
                tell(f"worker {number + 1} ended {_told(status)}; see {_log(study, number)}")


def _ended(started: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """How each ended; whoever does not want to wait any more ends them all."""
    try:
        return [process.wait() for process in started]
    except KeyboardInterrupt:
        for process in started:
            process.kill()
            process.wait()
        raise


def _start(command: Sequence[str], log: Path, threads: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    try:
        with log.open("wb") as out:
            # A group of its own: Ctrl-C is for us, and we pass it on once.
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, process_group=0
            )
    except OSError as error:
        raise FailureError(
            f"cannot start another worker, whose log is {str(log)!r}: {error.strerror or error}; take fewer jobs"
        ) from error


def _log(study: Study, number: int) -> Path:
    return study.folder / f"worker-{number + 1}.log"


def _told(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"
