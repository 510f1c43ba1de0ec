"""Killed at any moment, a training goes on bit for bit; full disks and damaged files lose nothing."""

import errno
import os
import random
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from compoundnet.cli import main
from compoundnet.errors import FailureError, RequestError, StoppedError
from compoundnet.run import RunFolder
from compoundnet.train import Recipe, finish, head, train
from compoundnet.train.checkpoint import read_checkpoint, under
from compoundnet.train.progress import Event, Step
from tiny import ARCH, EVERYTHING, Strike, child, command, pictures, result, train_tiny, uncharted

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


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A training that ended in the middle of its last evaluation."""
    run = tmp_path_factory.mktemp("stopped") / "run"

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "unplugged")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "outputs", fail)
        with pytest.raises(FailureError, match="unplugged"):
            train_tiny(data, run, SHORT)
    return run


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
    "after the second epoch's metrics, before its checkpoint": Strike(function="compoundnet.train.loop.asdict", nth=2),
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
    """Killed in the first write, gone on with, killed in the second from there, and so on, always halfway."""
    whole, n = reference(SHORT), 1  # the reference leaves the scan of the data in the cache: all writes are the run's
    while (code := child(train_tiny, data, tmp_path, SHORT, strike=Strike(function="os.fsync", nth=n))) != 0:
        assert code == -signal.SIGKILL
        assert sum(".partial-" in name for name in names(tmp_path)) == 1
        n += 1
    assert n > 6
    assert result(tmp_path) == whole
    assert not any(".partial-" in name for name in names(tmp_path))


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 9])
def test_a_full_disk(data: Path, tmp_path: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Write number n of the run fails; all that was there is still there, and nothing else."""
    whole, run, before = reference(SHORT), tmp_path / "run", []

    def full(handle: int, calls: list[int] = []) -> None:  # noqa: B006  # it counts
        calls.append(handle)
        if len(calls) == n:
            before.append({name: (run / name).read_bytes() for name in names(run) if (run / name).is_file()})
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FailureError, match=r"^run .* failed: No space left on device; make room and repeat"):
            train_tiny(data, run, SHORT)
    kept = {name: text for name, text in before[0].items() if ".partial-" not in name}
    assert kept == {name: (run / name).read_bytes() for name in names(run) if (run / name).is_file()}
    train_tiny(data, run, SHORT)
    assert result(run) == whole


def test_a_file_too_large_for_the_disk(data: Path, tmp_path: Path, reference: Reference) -> None:
    """The best weights fit, the checkpoint with its moments does not: exit 1, one line."""
    run, told = tmp_path / "run", tmp_path / "told"
    argv = command(run, data, SHORT)
    assert child(main, argv, largest_file_bytes=25_000, output=told) == 1
    said = told.with_suffix(".err").read_text().splitlines()
    assert (
        said[-1] == f"compoundnet: run {run} failed: File too large; make room and repeat the same command, it goes on"
    )
    assert "Traceback" not in "".join(said)
    assert told.with_suffix(".out").read_text() == ""
    assert "checkpoint/best.safetensors" in names(run)
    assert "checkpoint/last.safetensors" not in names(run)
    assert not any(".partial-" in name for name in names(run))
    assert child(main, argv, output=told) == 0
    assert result(run) == reference(SHORT)


@pytest.mark.parametrize(
    ("strike", "said"),
    [
        (Strike(number=signal.SIGTERM, function="compoundnet.train.loop._step", nth=5), "after step 5 and saved"),
        (Strike(number=signal.SIGINT, function="compoundnet.train.loop._step", nth=3, group=True), "after step 3 and"),
        (Strike(number=signal.SIGINT, function="compoundnet.train.head.outputs", nth=2), "while computing features"),
    ],
)
def test_asked_to_stop(data: Path, tmp_path: Path, reference: Reference, strike: Strike, said: str) -> None:
    """Exit 130, one line that says how to go on; with a worker where the whole process group is told, as by Ctrl-C."""
    run, told = tmp_path / "run", tmp_path / "told"
    argv = command(run, data, SHORT, "--workers", "1" if strike.group else "0")
    assert child(main, argv, strike=strike, output=told) == 130
    lines = told.with_suffix(".err").read_text().splitlines()
    assert lines[-1].startswith("compoundnet: stopped")
    assert said in lines[-1]
    assert lines[-1].endswith("; the same command goes on from there")
    assert "Traceback" not in "".join(lines)
    assert told.with_suffix(".out").read_text() == ""
    assert child(main, argv, output=told) == 0
    assert result(run) == reference(SHORT)


def test_stop_is_asked_at_every_step(data: Path, tmp_path: Path, reference: Reference) -> None:
    """Stopped and gone on with at each of the six steps in turn."""
    whole = reference(SHORT)
    steps: list[int] = []

    def watch(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event.step)

    for step in range(1, 7):
        with pytest.raises(StoppedError, match=rf"stopped after step {step} and saved"):
            train(ARCH, data, tmp_path, recipe=SHORT, observer=watch, stop=lambda: bool(steps))
        assert steps == [step]
        steps.clear()
    train_tiny(data, tmp_path, SHORT)
    assert result(tmp_path) == whole


@pytest.mark.parametrize("name", ["last.safetensors", "best.safetensors", "head.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_checkpoint_is_named(data: Path, stopped: Path, tmp_path: Path, name: str, damage: str) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    file = run / "checkpoint" / name
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[:-9], "empty": b"", "other": b"{}" * 100}[damage])
    with pytest.raises(RequestError, match=rf"checkpoint {re.escape(str(file))} is damaged .*; remove it to train"):
        train_tiny(data, run, SHORT)


@pytest.mark.parametrize("name", ["last.safetensors", "head.safetensors", "training-features-0-24.safetensors"])
def test_going_on_without_a_file_of_the_checkpoint(
    data: Path, stopped: Path, tmp_path: Path, reference: Reference, name: str
) -> None:
    """As the message for a damaged one advises: it is made again, to the same end."""
    run = shutil.copytree(stopped, tmp_path / "run")
    (run / "checkpoint" / name).unlink()
    train_tiny(data, run, SHORT)
    assert result(run) == reference(SHORT)


def test_going_on_without_the_best_takes_the_average_as_it_is(data: Path, stopped: Path, tmp_path: Path) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    (run / "checkpoint" / "best.safetensors").unlink()
    read = read_checkpoint(run / "checkpoint" / "last.safetensors")
    assert read is not None
    train_tiny(data, run, SHORT)
    model = load_file(RunFolder(run).weights_file)
    averages = under("ema", read[0])
    assert all(torch.equal(model[name], averages[name]) for name in averages)
