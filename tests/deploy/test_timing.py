"""Timing on a machine made of counters: what is counted, what is retaken, and that a wavering speed cancels out."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.deploy import timing
from compoundnet.deploy.timing import Clocks, busy_seconds, measure


class Machine:
    """Clocks that calls move on. ``speed`` divides the seconds of work; ``others`` is CPU time of other processes."""

    def __init__(self) -> None:
        self.now = self.others = 0.0
        self.speed = 1.0
        self.log: list[str] = []

    @property
    def clocks(self) -> Clocks:
        return Clocks(wall=lambda: self.now, own=lambda: self.now, busy=lambda: self.now + self.others)

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.log.append(name)
            self.now += seconds / self.speed

        return run

    def turns(self) -> str:
        """Names in the order of the calls, repetitions dropped, without the first call of each."""
        called = self.log[len(set(self.log)) :]
        return "".join(name for i, name in enumerate(called) if i == 0 or called[i - 1] != name)


def test_the_median_of_a_steady_call_is_its_time() -> None:
    machine = Machine()
    (found,) = measure([machine.call("a", 0.003)], clocks=machine.clocks)
    assert (found.median_ms, found.low_ms, found.high_ms) == pytest.approx((3, 3, 3))
    assert (found.rounds, found.retaken, found.disturbed, found.relative) == (8, 0, 0, None)


def test_calls_take_turns_and_every_other_round_goes_backwards() -> None:
    machine = Machine()
    calls = [machine.call(name, 0.05) for name in "abc"]
    measure(calls, machine.call("R", 0.05), rounds=2, turn_s=0.02, clocks=machine.clocks)
    assert machine.turns() == "RabcR" + "cbaR"  # the reference ends one round and begins the next


def test_a_turn_lasts_and_its_first_call_does_not_count() -> None:
    machine = Machine()
    calls = 0

    def slow_at_first() -> None:
        nonlocal calls
        calls += 1
        machine.now += 0.009 if calls % 5 == 2 else 0.004  # calls 2, 7, 12, ... begin a turn

    (found,) = measure([slow_at_first], rounds=3, turn_s=0.025, clocks=machine.clocks)
    assert calls == 1 + 3 * 5  # 9 + 4 * 4 = 25 ms
    assert found.high_ms == pytest.approx(4)


@given(
    seconds=st.lists(st.floats(1e-4, 0.1), min_size=1, max_size=4),
    speeds=st.lists(st.floats(0.5, 2), min_size=8, max_size=8),
)
def test_a_speed_that_changes_from_round_to_round_leaves_ratios_alone(
    seconds: list[float], speeds: list[float]
) -> None:
    machine = Machine()
    rounds = iter(speeds)

    def reference() -> None:
        machine.now += 0.02 / machine.speed

    def beginning() -> float:  # read once at the beginning and once at the end of a round
        machine.speed = next(rounds, 1.0) if beginning.count % 2 == 0 else machine.speed
        beginning.count += 1
        return machine.now

    beginning.count = 0
    clocks = Clocks(wall=lambda: machine.now, own=lambda: machine.now, busy=beginning)
    found = measure([machine.call(str(i), s) for i, s in enumerate(seconds)], reference, clocks=clocks)
    assert [t.relative for t in found] == pytest.approx([s / 0.02 for s in seconds])


def test_rounds_that_others_disturbed_are_retaken() -> None:
    machine = Machine()
    calls = 0

    def disturbed() -> None:
        nonlocal calls
        calls += 1
        slow = 20 < calls <= 40  # one round, during which another process had half of the core
        machine.now += 0.02 if slow else 0.01
        machine.others += 0.01 if slow else 0

    clocks = Clocks(wall=lambda: machine.now, own=lambda: machine.now - machine.others, busy=lambda: machine.now)
    (found,) = measure([disturbed], rounds=6, turn_s=0.1, clocks=clocks)
    assert found.retaken >= 1
    assert (found.rounds, found.disturbed, found.high_ms) == (6, 0, pytest.approx(10))


def test_a_machine_that_is_never_quiet_is_measured_all_the_same() -> None:
    machine = Machine()
    busy = machine.call("a", 0.01)

    def call() -> None:
        busy()
        machine.others += 0.01

    (found,) = measure([call], rounds=4, turn_s=0.1, clocks=machine.clocks)
    assert (found.rounds, found.retaken, found.disturbed) == (4, 4, 4)


def test_without_counters_of_the_system_nothing_is_retaken() -> None:
    machine = Machine()
    clocks = Clocks(wall=lambda: machine.now, own=lambda: machine.now, busy=lambda: None)
    (found,) = measure([machine.call("a", 0.01)], rounds=3, clocks=clocks)
    assert (found.rounds, found.retaken, found.disturbed) == (3, 0, 0)


STAT = """\
cpu  900 0 0 9000 0 0 0 0 0 0
cpu0 100 20 30 4000 50 6 7 8 90 9
cpu1 1000 0 0 1 0 0 0 0 0 0
intr 12345 6
"""


def test_busy_seconds_are_those_of_our_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """User, nice, system, interrupts and stolen; neither idle, nor waiting for a disk, nor guests counted twice."""
    stat = tmp_path / "stat"
    stat.write_text(STAT)
    monkeypatch.setattr(timing.os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert busy_seconds(stat) == pytest.approx(1.71)
    monkeypatch.setattr(timing.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    assert busy_seconds(stat) == pytest.approx(11.71)


def test_busy_seconds_of_a_system_without_counters(tmp_path: Path) -> None:
    assert busy_seconds(tmp_path / "none") is None


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux counts in /proc/stat")
def test_busy_seconds_of_this_system_hold_our_own() -> None:
    before, own = busy_seconds(), os.times()
    while os.times().user - own.user < 0.1:
        sum(range(1000))
    after = busy_seconds()
    assert before is not None and after is not None
    assert after - before > 0.05
