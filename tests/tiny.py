"""A training small enough for tests, and child processes in which it is struck at a chosen moment."""

import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
from PIL import Image

from compoundnet.architecture import Architecture, MBConv, Stage
from compoundnet.data import Augmentation
from compoundnet.run import RunFolder
from compoundnet.train import Observer, Recipe, train
from compoundnet.train.progress import Step, silent

__all__ = [
    "ARCH",
    "CLASSES",
    "EVERYTHING",
    "QUICK",
    "Strike",
    "child",
    "command",
    "pictures",
    "result",
    "train_tiny",
    "uncharted",
]

CLASSES = ("blue", "green", "red")
_COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
_CLOCK = ("images_per_s", "seconds")  # all that may differ between two runs of one training

ARCH = Architecture(
    name="tiny",
    resolution=12,
    stem=8,
    stages=(
        Stage(block=MBConv(kernel=3, expansion=1), channels=8, repeats=2, stride=1),
        Stage(block=MBConv(kernel=3, expansion=2), channels=8, repeats=2, stride=2),
    ),
    head=8,
)

QUICK = Recipe(
    epochs=2, batch_size=8, learning_rate=0.01, warmup_epochs=0, augmentation=Augmentation(crop_scale=(0.8, 1.0))
)
"""Two epochs of three steps."""

EVERYTHING = Recipe(
    head_epochs=2,
    epochs=4,
    batch_size=4,
    accumulate=2,
    learning_rate=0.003,
    ema_decay=0.99,
    norm="precise",
    dropout=0.3,
    drop_path=0.3,
    clip_norm=1.0,
    patience=4,
    augmentation=Augmentation(crop_scale=(0.5, 1.0), randaugment_ops=1, mixup=0.2, cutmix=1.0),
)
"""All that a resume could get wrong: both phases, four epochs of three steps of two batches."""


def pictures(folder: Path, each: int = 12, side: int = 12, noise: int = 60, classes: tuple[str, ...] = CLASSES) -> Path:
    """Class folders of ``each`` PNG files whose colour is their class; the same bits every time."""
    for place, label in enumerate(classes):
        (folder / label).mkdir(parents=True)
        for i in range(each):
            grain = np.random.default_rng(1000 * place + i).integers(-noise, noise + 1, (side, side, 3))
            pixels = np.clip(np.array(_COLOURS[label]) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


def train_tiny(data: Path, output: Path, recipe: Recipe, observer: Observer = silent) -> None:
    """The tiny network on ``data``."""
    train(ARCH, data, output, recipe=recipe, device="cpu", observer=observer)


def command(run: Path, data: Path, recipe: Recipe, *more: str) -> list[str]:
    """The arguments of ``compoundnet`` for :func:`train_tiny`; its files are written beside ``run``."""
    run.parent.mkdir(parents=True, exist_ok=True)
    arch, told = run.with_name("tiny.json"), run.with_name("recipe.json")
    arch.write_text(ARCH.to_json())
    told.write_text(json.dumps(recipe.to_json()))
    return ["train", str(arch), str(data), "-o", str(run), "--recipe", str(told), "--device", "cpu", *more]


def result(run: Path) -> dict[str, Any]:
    """All that must be the same after a training that was stopped and one that was not."""
    folder = RunFolder(run)
    record = folder.read_record()
    return {
        "model": folder.weights_file.read_bytes(),
        "metrics": [{k: v for k, v in row.items() if k not in _CLOCK} for row in folder.read_metrics()],
        "evaluations": record["evaluations"],
        "status": record["status"],
    }


def uncharted(path: Path, report: Any) -> None:
    """Instead of ``write_report``, which takes longer than a tiny training; written the way it writes."""
    from compoundnet.files import write_atomically

    write_atomically(path, "report")


@dataclass(frozen=True, kw_only=True)
class Strike:
    """What befalls a child: ``number`` at optimiser ``step``, or at call ``nth`` of ``function`` (dotted), before it.

    ``number`` is a signal to the child itself, or to its whole process group.
    """

    number: int = signal.SIGKILL
    step: int | None = None
    function: str | None = None
    nth: int = 1
    group: bool = False


def child(
    function: Callable[..., None],
    *args: Any,
    strike: Strike | None = None,
    settings: Mapping[str, Any] | None = None,
    largest_file_bytes: int | None = None,
    output: Path | None = None,
) -> int:
    """``function(*args)`` in a process of its own; its exit code, or minus the signal that ended it.

    ``settings`` are values by dotted name, set in the child first; its stdout and stderr go to ``output``.out
    and ``output``.err. Children are forked from a process that has imported torch and never run it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded"])
    process = context.Process(
        target=_in_child, args=(function, args, strike, dict(settings or {}), largest_file_bytes, output)
    )
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _in_child(
    function: Callable[..., None],
    args: tuple[Any, ...],
    strike: Strike | None,
    settings: dict[str, Any],
    largest_file_bytes: int | None,
    output: Path | None,
) -> None:
    multiprocessing.set_start_method("fork", force=True)  # as in a process of its own; here it would be "forkserver"
    if output is not None:
        for stream, suffix in ((sys.stdout, ".out"), (sys.stderr, ".err")):
            with output.with_suffix(suffix).open("w") as file:
                os.dup2(file.fileno(), stream.fileno())
    for name, value in {"compoundnet.train.finish.write_report": uncharted, **settings}.items():
        module, attribute = _place(name)
        setattr(module, attribute, value)
    if strike is not None and strike.group:
        os.setsid()  # a group of its own, not that of the tests
    if strike is not None and strike.function is not None:
        _arm(strike, strike.function)
    if strike is not None and strike.step is not None:
        args = (*args, _Watcher(strike))
    if largest_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))
    function(*args)


def _hit(strike: Strike) -> None:
    if strike.group:
        os.killpg(os.getpgrp(), strike.number)
    else:
        os.kill(os.getpid(), strike.number)


def _arm(strike: Strike, name: str) -> None:
    module, attribute = _place(name)
    real, calls = getattr(module, attribute), [0]

    def struck(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == strike.nth:
            _hit(strike)
        return real(*args, **kwargs)

    setattr(module, attribute, struck)


class _Watcher:
    """An observer that strikes at a step."""

    def __init__(self, strike: Strike) -> None:
        self.strike = strike

    def __call__(self, event: object) -> None:
        if isinstance(event, Step) and event.step == self.strike.step:
            _hit(self.strike)


def _place(name: str) -> tuple[Any, str]:
    owner, _, attribute = name.rpartition(".")
    return resolve_name(owner), attribute
