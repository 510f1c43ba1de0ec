"""What people and files see of a training while it runs: events, and the observers that they are sent to."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from compoundnet.run import RunFolder

__all__ = ["Advance", "Epoch", "Event", "Note", "Observer", "Step", "console", "counting", "silent", "tensorboard"]
__all__ += ["tensorboard_alone"]


class Note(NamedTuple):
    """A sentence that a person should read."""

    text: str


class Advance(NamedTuple):
    """``done`` of ``total`` images of a task are through."""

    task: str
    done: int
    total: int


class Step(NamedTuple):
    """An optimiser step of the whole network is through; the first is 1."""

    step: int


class Epoch(NamedTuple):
    """An epoch has ended; ``row`` is its line of metrics.jsonl."""

    row: dict[str, Any]


Event: TypeAlias = Note | Advance | Step | Epoch
Observer: TypeAlias = Callable[[Event], None]

_QUIET_S = 10.0  # between lines where the output is not a terminal


def silent(event: Event) -> None:
    """An observer that shows nothing."""


def counting(observer: Observer, task: str) -> Callable[[int, int], None]:
    """A ``progress(done, total)`` function that sends ``observer`` the advance of ``task``."""
    return lambda done, total: observer(Advance(task, done, total))


@contextmanager
def console() -> Iterator[Observer]:
    """Progress on standard error with images a second and time left: a bar on a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    out = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    bar = Progress(*columns, TimeRemainingColumn(), console=out, transient=True)
    show = _bar(bar) if out.is_terminal else _lines()

    def observe(event: Event) -> None:
        match event:
            case Advance():
                show(event)
            case Note(text):
                out.print(text, markup=False, highlight=False, soft_wrap=True)
            case Epoch(row) if row["phase"] == "all" or (row["epoch"] + 1) % 20 == 0:
                out.print(_told(row), markup=False, highlight=False, soft_wrap=True)

    with bar if out.is_terminal else nullcontext():  # elsewhere it would leave an empty line
        yield observe


@contextmanager
def tensorboard_alone() -> Iterator[None]:
    """Inside, TensorBoard finds no TensorFlow: it would import it, many seconds of work, to write files here."""
    stub = "tensorboard.compat.notf"  # by which TensorBoard itself is told so
    if "tensorflow" in sys.modules or stub in sys.modules:
        yield
        return
    sys.modules[stub] = ModuleType(stub)
    try:
        yield
    finally:
        del sys.modules[stub]


@contextmanager
def tensorboard(folder: RunFolder, from_epoch: int) -> Iterator[Observer]:
    """The numbers of every epoch as TensorBoard scalars; those a resumed training repeats replace the first ones."""
    with tensorboard_alone():
        from torch.utils.tensorboard import SummaryWriter

        writer: Any = SummaryWriter(str(folder.tensorboard_folder), purge_step=from_epoch)

    def observe(event: Event) -> None:
        if isinstance(event, Epoch):
            for key, value in event.row.items():
                if isinstance(value, float):
                    writer.add_scalar(key.replace("_", "/", 1), value, event.row["epoch"])

    try:
        yield observe
    finally:
        writer.close()


def _told(row: dict[str, Any]) -> str:
    told = [f"epoch {row['epoch'] + 1}", f"train loss {row['train_loss']:.3f}"]
    if row["val_top1"] is not None:
        told += [f"validation loss {row['val_loss']:.3f}", f"accuracy {100 * row['val_top1']:.1f} %"]
    if "images_per_s" in row:
        told.append(f"{row['images_per_s']:.1f} images/s")
    return ", ".join(told)


def _bar(bar: Any) -> Callable[[Advance], None]:
    current: dict[str, tuple[Any, float, int]] = {}  # the task on show: its number, when it began, and where

    def show(event: Advance) -> None:
        if event.task not in current:
            for number, _, _ in current.values():
                bar.remove_task(number)
            current.clear()
            number = bar.add_task(event.task, total=event.total, rate="")
            current[event.task] = (number, time.monotonic(), event.done)
        number, began, first = current[event.task]
        rate = (event.done - first) / max(1e-9, time.monotonic() - began)
        bar.update(number, completed=event.done, rate=f"{rate:.1f}/s" if rate else "")

    return show


def _lines() -> Callable[[Advance], None]:
    began: dict[str, tuple[float, int]] = {}
    said = [time.monotonic()]

    def show(event: Advance) -> None:
        now = time.monotonic()
        since, first = began.setdefault(event.task, (now, event.done))
        if event.done <= first:  # the task begins, perhaps again
            began[event.task] = since, first = (now, event.done)
        if event.done == first or (now - said[0] < _QUIET_S):
            return
        said[0] = now
        rate = (event.done - first) / (now - since)
        left = (event.total - event.done) / rate
        print(f"{event.task}: {event.done}/{event.total}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr, flush=True)

    return show
