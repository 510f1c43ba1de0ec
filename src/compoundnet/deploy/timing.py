"""Calls timed in turn, beside a reference: what a machine whose speed wavers can still tell apart.

On a shared machine the same call takes 10 % more or less from second to second. So calls are measured in
turn, A B C A B C, and a reference call between the rounds says how fast the machine was just then.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

__all__ = ["Clocks", "Timing", "busy_seconds", "measure"]

Call: TypeAlias = Callable[[], object]

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # columns of /proc/stat: idle, and idle while waiting for a disk
_COLUMNS = 8  # those after are guests' time, which the first ones hold already
_TICK_S = 0.01  # /proc/stat counts in these
_DISTURBED_SHARE = 0.1  # of a round: used by others on our cores


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """How long a call takes: median and quartiles over rounds, in ms.

    ``relative`` is the median over rounds of its time to the reference's just before and after (None
    without a reference). ``retaken`` counts rounds that were thrown away because other processes used the
    CPU, ``disturbed`` those kept although they did, since the machine was never quiet.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    relative: float | None = None
    rounds: int
    retaken: int = 0
    disturbed: int = 0


def busy_seconds(stat: Path = _STAT) -> float | None:
    """Seconds that the cores this process may use have been busy since the machine started, stolen ones included.

    None where there is no ``/proc/stat``, as outside Linux.
    """
    try:
        rows = [line.split() for line in stat.read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    return sum(_ticks(row[1:]) for row in rows if row and row[0] in ours) * _TICK_S


def _ticks(columns: Sequence[str]) -> int:
    return sum(int(column) for i, column in enumerate(columns[:_COLUMNS]) if i not in _IDLE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """Where times come from, in seconds; tests bring their own."""

    wall: Callable[[], float] = time.perf_counter
    own: Callable[[], float] = time.process_time  # CPU time of this process, all threads
    busy: Callable[[], float | None] = busy_seconds  # CPU time of everybody on our cores


def measure(
    calls: Sequence[Call],
    reference: Call | None = None,
    *,
    rounds: int = 8,
    turn_s: float = 0.02,
    clocks: Clocks | None = None,
) -> list[Timing]:
    """Time every call in ``rounds`` rounds, the order reversed every other round; the reference before and after each.

    A call's turn lasts at least ``turn_s`` seconds; the first of several calls in it, which brings weights
    back into the cache, does not count. A round during which other processes used our cores is retaken, at
    most ``rounds`` times in all.
    """
    clocks = clocks or Clocks()
    for call in (*calls, *([reference] if reference else [])):
        call()
    kept: list[_Round] = []
    retaken = 0
    while len(kept) < rounds:
        taken = _round(calls, reference, len(kept) % 2 == 1, turn_s, clocks)
        if taken.quiet or retaken >= rounds:
            kept.append(taken)
        else:
            retaken += 1
    return [_timing(kept, i, retaken) for i in range(len(calls))]


@dataclass(frozen=True, slots=True)
class _Round:
    ms: list[float]  # of every call
    reference_ms: float | None  # mean of before and after
    quiet: bool  # the cores were ours alone


def _round(calls: Sequence[Call], reference: Call | None, backwards: bool, turn_s: float, clocks: Clocks) -> _Round:
    busy, own, start = clocks.busy(), clocks.own(), clocks.wall()
    before = _turn(reference, turn_s, clocks) if reference else 0.0
    ms = [0.0] * len(calls)
    for i in reversed(range(len(calls))) if backwards else range(len(calls)):
        ms[i] = _turn(calls[i], turn_s, clocks)
    beside = (before + _turn(reference, turn_s, clocks)) / 2 if reference else None
    lasted, own, busy_after = clocks.wall() - start, clocks.own() - own, clocks.busy()
    others = 0.0 if busy is None or busy_after is None else busy_after - busy - own
    return _Round(ms, beside, others <= _DISTURBED_SHARE * lasted + 2 * _TICK_S)  # each end may be a tick off


def _turn(call: Call, turn_s: float, clocks: Clocks) -> float:
    """Median ms of one turn's calls."""
    ends = [clocks.wall()]
    while len(ends) == 1 or ends[-1] - ends[0] < turn_s:
        call()
        ends.append(clocks.wall())
    seconds = [end - start for start, end in pairwise(ends)]
    return 1000 * statistics.median(seconds[1:] or seconds)


def _timing(rounds: list[_Round], i: int, retaken: int) -> Timing:
    ms = [taken.ms[i] for taken in rounds]
    ratios = [taken.ms[i] / taken.reference_ms for taken in rounds if taken.reference_ms]
    low, middle, high = statistics.quantiles(ms, n=4, method="inclusive") if len(ms) > 1 else ms * 3
    return Timing(
        median_ms=middle,
        low_ms=low,
        high_ms=high,
        relative=statistics.median(ratios) if ratios else None,
        rounds=len(rounds),
        retaken=retaken,
        disturbed=sum(not taken.quiet for taken in rounds),
    )
