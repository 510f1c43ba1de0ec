"""A claim has one holder, and dies with it: on files and on a PostgreSQL server."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from compoundnet.search.engine.claims import Claims, FileClaims, PostgresClaims
from compoundnet.search.engine.database import parse
from compoundnet.search.trials import StorageError
from search.engine.cluster import Server
from search.engine.fakes import spawn

Opened = Callable[[], Claims]
KEY = "0123456789ab-s0"


@pytest.fixture
def opened(storage: str | None, tmp_path: Path) -> Iterator[Opened]:
    """Opens the same claims anew, as another worker would; what it opened in this process is closed at the end."""
    made: list[tuple[int, Claims]] = []

    def make() -> Claims:
        claims = FileClaims(tmp_path / "claims") if storage is None else PostgresClaims(parse(storage), "study")
        made.append((os.getpid(), claims))
        return claims

    yield make
    for pid, claims in made:
        if pid == os.getpid():
            claims.close()


def freed(claims: Claims, key: str = KEY) -> bool:
    """Whether the claim can be had, if need be after a moment: a server has to notice that a process is gone."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        claim = claims.try_claim(key)
        if claim is not None:
            with claim:
                return True
        time.sleep(0.02)
    return False


def piped(function: Callable[..., None], *args: Any) -> tuple[Any, Connection]:
    """A process that runs it, and the end of a pipe to it, whose other end is its first argument."""
    ours, theirs = multiprocessing.Pipe()
    return spawn(function, theirs, *args), ours


def test_a_claim_has_one_holder(opened: Opened) -> None:
    here, there = opened(), opened()
    claim = here.try_claim(KEY)
    assert claim is not None
    with claim:
        assert there.try_claim(KEY) is None
        assert here.try_claim(KEY) is None
        other = there.try_claim("ba9876543210-s0")
        assert other is not None
        with other:
            assert here.try_claim("ba9876543210-s0") is None
    for claims in (here, there, here):
        again = claims.try_claim(KEY)
        assert again is not None
        with again:
            pass


def test_a_claim_is_released_by_an_error(opened: Opened) -> None:
    here, there = opened(), opened()
    claim = here.try_claim(KEY)
    assert claim is not None
    with pytest.raises(ZeroDivisionError), claim:
        raise ZeroDivisionError
    assert freed(there)


def test_closing_releases_everything(opened: Opened) -> None:
    here, there = opened(), opened()
    assert here.try_claim(KEY)
    assert here.try_claim("other")
    here.close()
    assert freed(there)
    assert freed(there, "other")


def hold(pipe: Connection, opened: Opened, sleeper: bool) -> None:
    claims = opened()
    claim = claims.try_claim(KEY)
    child = spawn_sleeper() if sleeper else None
    pipe.send((claim is not None, child))
    time.sleep(600)


def spawn_sleeper() -> int:
    """A process that outlives its parent, as the reader of images of a training would for a while."""
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    return child


@pytest.mark.parametrize("sleeper", [False, True], ids=["alone", "with a child that stays"])
def test_a_claim_dies_with_its_holder(opened: Opened, sleeper: bool) -> None:
    here = opened()
    holder, pipe = piped(hold, opened, sleeper)
    held, child = pipe.recv()
    assert held
    assert here.try_claim(KEY) is None
    holder.kill()
    holder.join()
    try:
        assert freed(here)
        if child is not None:
            os.kill(child, 0)  # it is still there
    finally:
        if child is not None:
            os.kill(child, signal.SIGKILL)


def test_a_forked_child_takes_nothing_from_its_parent(opened: Opened) -> None:
    here, there = opened(), opened()
    claim = here.try_claim(KEY)
    assert claim is not None
    with claim:
        child = spawn(time.sleep, 0)
        child.join()
        assert child.exitcode == 0
        assert there.try_claim(KEY) is None
        assert here.try_claim("other") is not None
    assert freed(there)


def race(pipe: Connection, opened: Opened) -> None:
    claims = opened()
    pipe.send("ready")
    pipe.recv()
    claim = claims.try_claim(KEY)
    pipe.send(claim is not None)
    pipe.recv()


def test_one_wins_a_race(opened: Opened) -> None:
    for _ in range(5):
        racers = [piped(race, opened) for _ in range(4)]
        for word in ("ready", "go"):
            for _, pipe in racers:
                assert pipe.recv() == word if word == "ready" else pipe.send(word) is None
        assert sorted(pipe.recv() for _, pipe in racers) == [False, False, False, True]
        for process, pipe in racers:
            pipe.send("end")
            process.join()
        assert freed(opened())


def count_alone(opened: Opened, file: Path) -> None:
    claims = opened()
    for _ in range(20):
        with claims.alone():
            count = int(file.read_text())
            time.sleep(0.001)
            file.write_text(str(count + 1))


def test_alone_is_alone(opened: Opened, tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("0")
    workers = [spawn(count_alone, opened, file) for _ in range(3)]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert file.read_text() == "60"


def test_being_alone_dies_with_its_holder(opened: Opened) -> None:
    def stay(pipe: Connection) -> None:
        claims = opened()
        with claims.alone():
            pipe.send("in")
            time.sleep(600)

    holder, pipe = piped(stay)
    assert pipe.recv() == "in"
    holder.kill()
    holder.join()
    with opened().alone():
        pass


def test_studies_of_one_data_base_do_not_meet(database: str) -> None:
    first, second = (PostgresClaims(parse(database), name) for name in ("first", "second"))
    assert first.try_claim(KEY) is not None
    assert second.try_claim(KEY) is not None
    first.close()
    second.close()


def test_data_bases_of_one_server_do_not_meet(server: Server) -> None:
    first, second = (PostgresClaims(parse(server.new_database()), "study") for _ in range(2))
    assert first.try_claim(KEY) is not None
    assert second.try_claim(KEY) is not None
    first.close()
    second.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    claims = FileClaims(tmp_path / "file")
    for use in (lambda: claims.try_claim(KEY), lambda: claims.alone().__enter__()):
        with pytest.raises(StorageError, match=r"cannot make claims in '.*file': File exists"):
            use()


def test_a_server_that_is_started_anew(server: Server, database: str) -> None:
    """It has forgotten the claims; whoever asks again is connected again."""
    here, there = (PostgresClaims(parse(database), "study") for _ in range(2))
    claim = here.try_claim(KEY)
    assert claim is not None
    server.stop()
    with pytest.raises(StorageError, match=r"^cannot use postgresql://postgres@/studies_\w+\?.*; repeat, and it goes"):
        there.try_claim(KEY)
    server.start()
    taken = there.try_claim(KEY)
    assert taken is not None
    with claim:
        pass  # no longer ours; leaving it is no error, and takes nothing away
    assert here.try_claim(KEY) is None
    with taken:
        pass
    assert freed(here)
    here.close()
    there.close()
