"""Candidates without networks, an evaluation without training, and processes to be killed."""

import fcntl
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from compoundnet.files import write_atomically
from compoundnet.scaling import Multipliers
from compoundnet.search.engine.worker import Report
from compoundnet.search.trials import Candidate

__all__ = ["candidate", "candidates", "curve_of", "evaluate", "slowly", "spawn", "value_of"]


def candidate(number: int = 0, *, seed: int = 0, group: str = "x2", **tags: Any) -> Candidate:
    by = Multipliers(1.0 + number / 10, 1.0, 1.25)
    return Candidate(network=f"net {number}", multipliers=by, seed=seed, group=group, tags=tags)


def candidates(count: int) -> list[Candidate]:
    return [candidate(i) for i in range(count)]


def value_of(what: Candidate, epoch: int) -> float:
    """Differs for every candidate and epoch; the same every time."""
    return random.Random(f"{what.key} {epoch}").random()


def curve_of(what: Candidate, epochs: int) -> tuple[float, ...]:
    return tuple(value_of(what, epoch) for epoch in range(1, epochs + 1))


def evaluate(what: Candidate, folder: Path, report: Report, epochs: int = 3) -> tuple[float, dict[str, Any]]:
    for epoch in range(1, epochs + 1):
        if report(epoch, value_of(what, epoch)):
            break
    return value_of(what, epoch), {"epochs": epoch}


def slowly(what: Candidate, folder: Path, report: Report, epochs: int, step_s: float) -> tuple[float, dict[str, Any]]:
    """Like a training: goes on from its checkpoint, and fails if another process is at it."""
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        checkpoint = folder / "checkpoint"
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(done + 1, epochs + 1):
            time.sleep(random.uniform(0, 2 * step_s))
            report(epoch, value_of(what, epoch))
            write_atomically(checkpoint, str(epoch))
    finally:
        os.close(handle)
    return value_of(what, epochs), {"epochs": epochs}


def spawn(function: Callable[..., None], *args: Any) -> BaseProcess:
    """``function(*args)`` in a process forked from this one, which has loaded everything."""
    process = multiprocessing.get_context("fork").Process(target=function, args=args, daemon=True)
    process.start()
    return process
