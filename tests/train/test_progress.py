"""What a person sees of a training, and what TensorBoard keeps."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compoundnet.run import RunFolder
from compoundnet.train.progress import Advance, Epoch, Note, Step, console, counting, silent, tensorboard

HEAD = {"kind": "epoch", "phase": "head", "lr": 0.1, "train_loss": 1.0, "val_loss": 0.9, "val_top1": 0.5}
ALL = {**HEAD, "phase": "all", "images_per_s": 12.34, "seconds": 2.0}


def said(capsys: pytest.CaptureFixture[str], *events: Any) -> list[str]:
    with console() as observe:
        for event in events:
            observe(event)
    out, err = capsys.readouterr()
    assert out == ""
    return [line for line in err.splitlines() if line.strip()]


def test_notes_and_epochs_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        capsys, Note("[bold]as it is[/bold] " + "x" * 200), Step(1), Epoch({**ALL, "epoch": 4}),
        Epoch({**ALL, "epoch": 5, "val_top1": None, "val_loss": None}),
    )  # fmt: skip
    assert lines == [
        "[bold]as it is[/bold] " + "x" * 200,
        "epoch 5, train loss 1.000, validation loss 0.900, accuracy 50.0 %, 12.3 images/s",
        "epoch 6, train loss 1.000, 12.3 images/s",
    ]


def test_of_the_short_epochs_of_the_head_every_twentieth_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, *(Epoch({**HEAD, "epoch": i}) for i in range(45)))
    assert [line.split(",")[0] for line in lines] == ["epoch 20", "epoch 40"]


def test_without_a_terminal_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([90.0, 100.0, 101.0, 105.0, 112.0, 113.0])  # the first when it begins to watch
    monkeypatch.setattr("compoundnet.train.progress.time.monotonic", lambda: next(clock))
    lines = said(capsys, *(Advance("reading", done, 100) for done in (10, 20, 60, 70, 80)))
    assert lines == ["reading: 20/100, 10.0/s, 8 s left", "reading: 70/100, 5.0/s, 6 s left"]


def test_on_a_terminal_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    events = [Advance("reading", 1, 4), Advance("reading", 4, 4), Advance("epoch 1/2", 2, 8), Note("hello")]
    text = "\n".join(said(capsys, *events))
    assert "epoch 1/2" in text
    assert "2/8" in text
    assert "hello" in text


def test_counting_and_silent() -> None:
    events: list[Any] = []
    counting(events.append, "task")(3, 4)
    assert events == [Advance("task", 3, 4)]
    silent(events[0])


def scalars(folder: RunFolder) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder.tensorboard_folder)).Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


@pytest.mark.parametrize("ended", [0, 2])
def test_tensorboard_keeps_the_numbers_and_a_resume_replaces_what_it_repeats(tmp_path: Path, ended: int) -> None:
    folder = RunFolder(tmp_path)
    with tensorboard(folder, 0) as observe:
        for epoch in range(3):
            observe(Epoch({**ALL, "epoch": epoch, "val_top1": 0.5, "val_loss": None}))
        observe(Note("not a number"))
    with tensorboard(folder, ended) as observe:
        for epoch in range(ended, 3):
            observe(Epoch({**ALL, "epoch": epoch, "val_top1": 0.75, "val_loss": None}))
    found = scalars(folder)
    assert found["val/top1"] == [(epoch, 0.5 if epoch < ended else 0.75) for epoch in range(3)]
    assert found.keys() == {"lr", "train/loss", "val/top1", "images/per_s", "seconds"}


def test_tensorflow_is_not_imported_for_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from compoundnet.run import RunFolder; "
        "from compoundnet.train.progress import Epoch, tensorboard\n"
        f"with tensorboard(RunFolder(Path({str(tmp_path)!r})), 0) as observe:\n"
        "    observe(Epoch({'epoch': 1, 'train_loss': 1.0}))\n"
        "assert 'tensorflow' not in sys.modules and 'tensorboard.compat.notf' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "tensorboard").iterdir())
