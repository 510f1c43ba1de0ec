"""Killed at any moment, a training goes on bit for bit; full disks and damaged files lose nothing."""

import errno
import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compoundnet.errors import FailureError, RequestError, StoppedError
from compoundnet.run import RunFolder
from compoundnet.train import Recipe, finish, head, loop, train
from compoundnet.train.progress import Event, Step
from tiny import ARCH, EVERYTHING, QUICK, Strike, child, pictures, result, train_tiny, uncharted

SAVING = {"compoundnet.train.loop._SAVE_EVERY_S": 0.0}  # a checkpoint after every step
SHORT = replace(EVERYTHING, epochs=2)

Reference = Callable[[Recipe], dict[str, object]]
Kills = tuple[tuple[int, dict[str, float]], ...]  # after which step, with which settings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("resume") / "data")


@pytest.fixture(autouse=True)
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "write_report", uncharted)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Reference:
    """The result of a recipe that was never interrupted."""
    known: dict[Recipe, dict[str, object]] = {}

    def of(recipe: Recipe) -> dict[str, object]:
        if recipe not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(finish, "write_report", uncharted)
                run = tmp_path_factory.mktemp("whole") / "run"
                train_tiny(data, run, recipe)
            known[recipe] = result(run)
        return known[recipe]

    return of


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "tensorboard" not in path.parts}


@pytest.mark.parametrize(
    ("optimizer", "kills"),
    [("adamw", ((2, {}), (5, SAVING), (10, {}))), ("sgd", ((5, SAVING),)), ("rmsprop", ((8, SAVING),))],
)
def test_killed(data: Path, tmp_path: Path, reference: Reference, optimizer: str, kills: Kills) -> None:
    """From the beginning of an epoch, and from a checkpoint amid one."""
    recipe = replace(EVERYTHING, optimizer=optimizer)
    for step, settings in kills:
        assert child(train_tiny, data, tmp_path, recipe, strike=Strike(step=step), settings=settings) == -signal.SIGKILL
        assert not RunFolder(tmp_path).weights_file.exists()
    train_tiny(data, tmp_path, recipe)
    assert result(tmp_path) == reference(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_a_random_step(data: Path, tmp_path: Path, reference: Reference, seed: int) -> None:
    step, settings = random.Random(seed).randint(1, 12), SAVING if seed % 2 else {}
    strike = Strike(step=step)
    assert child(train_tiny, data, tmp_path, EVERYTHING, strike=strike, settings=settings) == -signal.SIGKILL
    train_tiny(data, tmp_path, EVERYTHING)
    assert result(tmp_path) == reference(EVERYTHING)


MOMENTS = {
    "before the first record": Strike(function="compoundnet.train.session.make_record"),
    "right after the first record": Strike(function="compoundnet.train.session.write_atomically"),
    "between two chunks of features": Strike(function="compoundnet.train.head.outputs", nth=4),
    "while the classifier trains": Strike(function="compoundnet.train.head.cosine", nth=2),
    "after the classifier's metrics, before its checkpoint": Strike(
        function="compoundnet.train.head.write_checkpoint", nth=5
    ),
    "while norms are re-estimated": Strike(function="compoundnet.train.loop.reestimate_norms", nth=2),
    "while an epoch is evaluated": Strike(function="compoundnet.train.loop.outputs"),
    "before the best is written": Strike(function="compoundnet.train.loop.write_checkpoint", nth=1),
    "after the first epoch's best and metrics, before its checkpoint": Strike(
        function="compoundnet.train.loop.write_checkpoint", nth=2
    ),
    "after the second epoch's metrics, before its checkpoint": Strike(
        function="compoundnet.train.loop.asdict", nth=2
    ),
    "in the last evaluation": Strike(function="compoundnet.train.finish.outputs", nth=2),
    "after the model, before the report": Strike(function="compoundnet.train.finish.ReportInput"),
    "after the report, before the last record": Strike(function="compoundnet.run.RunFolder.write_record", nth=2),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_between_two_things(
    data: Path, tmp_path: Path, reference: Reference, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = reference(SHORT)
    chunks = {"compoundnet.train.head._CHUNK": 8}  # 24 + 6 images: three chunks and one
    monkeypatch.setattr(head, "_CHUNK", 8)
    assert child(train_tiny, data, tmp_path, SHORT, strike=MOMENTS[moment], settings=chunks) == -signal.SIGKILL
    train_tiny(data, tmp_path, SHORT)
    assert result(tmp_path) == whole


@pytest.mark.slow
def test_killed_in_every_write(data: Path, tmp_path: Path, reference: Reference) -> None:
    """Killed in its n-th write for every n, each time with a half-written file; whoever comes next clears it away."""
    n, whole = 0, reference(SHORT)  # which leaves the scan of the data in the cache: all writes are the run's
    while True:
        n += 1
        run = tmp_path / str(n)
        code = child(train_tiny, data, run, SHORT, strike=Strike(function="os.fsync", nth=n))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert any(".partial-" in name for name in names(run))
        train_tiny(data, run, SHORT)
        assert result(run) == whole
        assert not any(".partial-" in name for name in names(run))
    assert n > 12
