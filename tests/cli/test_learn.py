"""train, evaluate, predict: streams, JSON, exit codes, and flags that reach the recipe."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commandline import run
from compoundnet.cli import main
from compoundnet.cli.arguments import value_of
from compoundnet.cli.process import stoppable
from compoundnet.run import RunFolder
from compoundnet.train import RECIPES, finish
from tiny import CLASSES, QUICK, command, pictures, uncharted

RECIPE = replace(QUICK, epochs=6, norm="precise", learning_rate=0.02)  # enough to tell colours apart


@pytest.fixture(autouse=True, scope="module")
def no_charts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", uncharted)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("learn") / "data")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    path = tmp_path_factory.mktemp("trained") / "run"
    with pytest.raises(SystemExit) as end:
        main(command(path, data, RECIPE))
    assert end.value.code == 0
    return path


HELP = {
    "train": (
        *("ARCH", "DATA", "--output", "-o", "--weights", "--recipe", "--device", "--workers", "--bad-images", "--json"),
        *("--epochs", "--batch-size", "--learning-rate", "--no-flip", "--mixup", "{adamw,sgd,rmsprop}", "(required)"),
    ),
    "evaluate": ("RUN", "DATA", "--device", "--batch-size", "--json"),
    "predict": ("RUN", "IMAGE...", "--device", "--json"),
}


@pytest.mark.parametrize("verb", HELP)
def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert [word for word in HELP[verb] if word not in out] == []


@pytest.mark.parametrize(
    ("flags", "epochs"),
    [((), RECIPES["scratch"].epochs), (("--weights", "imagenet"), RECIPES["finetune"].epochs)],
)
def test_help_of_train_shows_the_values_of_its_recipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], epochs: int
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = run(capsys, "train", *flags, "--help")
    line = next(line for line in out.splitlines() if " --epochs " in line)
    assert f"(default: {epochs})" in line


def test_train_json_and_flags_over_a_recipe_file(
    capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    argv = command(path, data, RECIPE, "--epochs", "1", "--no-flip", "--mixup", "0.5", "--optimizer", "sgd", "--json")
    code, out, err = run(capsys, *argv)
    assert code == 0
    told = json.loads(out)
    assert told.keys() == {"run", "report", "evaluations"}
    assert told["run"] == str(path)
    assert told["evaluations"].keys() == {"test", "validation"}
    assert told["evaluations"]["test"].keys() >= {"top1", "top5", "loss", "ece", "n", "per_class"}
    assert "epoch 1, train loss" in err
    expected = replace(
        RECIPE, epochs=1, optimizer="sgd", augmentation=replace(RECIPE.augmentation, flip=False, mixup=0.5)
    )
    assert RunFolder(path).read_record()["request"]["recipe"] == expected.to_json()


def test_train_again_is_done_at_once(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    code, out, err = run(capsys, *command(trained, data, RECIPE))
    assert code == 0
    assert "holds this training, finished" in err
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["test", "validation", "report"]
    assert "of 6 images right (95 % interval" in lines[0]
    assert lines[2] == f"report: {trained / 'report.html'}"


def test_train_something_else_into_it_is_refused(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    code, out, err = run(capsys, *command(trained, data, RECIPE, "--epochs", "9"))
    assert (code, out) == (2, "")
    assert "holds another training: epochs was 6, now 9;" in err


BAD_TRAINS: dict[str, tuple[list[str], str]] = {
    "architecture": (["train", "efficientnet_bo", "DATA", "-o", "RUN"], "unknown architecture 'efficientnet_bo'"),
    "data": (["train", "efficientnet_b0", "nowhere", "-o", "RUN"], "no such data: 'nowhere'; give "),
    "recipe": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--recipe", "fintune"], "unknown recipe 'fintune'"),
    "recipe file": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--recipe=no.json"], "cannot read recipe"),
    "device": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--device", "tpu"], "device 'tpu' cannot be used"),
    "weights": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--weights", "no.safetensors"], "no.safetensors"),
    "precision": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--precision", "float16"], "needs a GPU"),
    "a negative epoch": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--epochs", "-3"], "epochs"),
    "no output": (["train", "efficientnet_b0", "DATA"], "output"),
    "no such flag": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--epoks", "3"], "epoks"),
    "no such choice": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--optimizer", "adam"], "adam"),
    "not a number": (["train", "efficientnet_b0", "DATA", "-o", "RUN", "--learning-rate", "fast"], "fast"),
}


@pytest.mark.parametrize("case", BAD_TRAINS)
def test_bad_requests(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, case: str) -> None:
    argv, said = BAD_TRAINS[case]
    places = {"DATA": str(data), "RUN": str(tmp_path / "run")}
    code, out, err = run(capsys, *(places.get(word, word) for word in argv))
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_bad_images_may_be_fatal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = pictures(tmp_path / "data", each=4)
    (folder / "red" / "broken.png").write_bytes(b"no image")
    code, out, err = run(capsys, *command(tmp_path / "run", folder, QUICK, "--bad-images", "fail"))
    assert (code, out) == (2, "")
    assert "broken.png: " in err


def test_evaluate_json(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    code, out, _ = run(capsys, "evaluate", trained, data, "--json")
    assert code == 0
    told: dict[str, Any] = json.loads(out)
    assert told.keys() >= {"top1", "top5", "loss", "ece", "n", "per_class"}
    assert told["n"] == 6  # of the data it was trained on, what it held out
    assert told["bad"] == []
    assert told["top1"] > 0.9
    assert [score["label"] for score in told["per_class"]] == list(CLASSES)


def test_evaluate_in_words(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    code, out, _ = run(capsys, "evaluate", trained, data)
    assert code == 0
    lines = out.splitlines()
    assert "of 6 images right (95 % interval" in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == [f"  {label}" for label in CLASSES]
    assert "2 images, precision" in lines[1]


def test_the_batch_size_does_not_matter(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    losses = [
        json.loads(run(capsys, "evaluate", trained, data, "--json", "--batch-size", n)[1])["loss"] for n in (1, 7, 64)
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_evaluate_on_classes_that_the_run_does_not_know(
    capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path
) -> None:
    other = pictures(tmp_path / "data", each=2)
    (other / "red").rename(other / "crimson")
    code, out, err = run(capsys, "evaluate", trained, other)
    assert (code, out) == (2, "")
    assert "classes that the run does not know: crimson; data: blue, crimson, green; run: blue, green, red" in err


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_what_is_no_run(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path, verb: str) -> None:
    code, out, err = run(capsys, verb, tmp_path, data)
    assert (code, out) == (2, "")
    assert err == f"compoundnet: {str(tmp_path)!r} is not a run: it has no run.json\n"


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_devices_that_do_not_exist(capsys: pytest.CaptureFixture[str], data: Path, trained: Path, verb: str) -> None:
    code, out, err = run(capsys, verb, trained, data, "--device", "tpu")
    assert (code, out) == (2, "")
    assert "device 'tpu' cannot be used" in err


def test_a_batch_size_of_0(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    code, out, err = run(capsys, "evaluate", trained, data, "--batch-size", "0")
    assert (code, out) == (2, "")
    assert "batch_size is 0; it must be at least 1" in err


def test_predict_a_folder_with_a_broken_image(
    capsys: pytest.CaptureFixture[str], data: Path, trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    for label in CLASSES:
        shutil.copy(data / label / "3.png", folder / f"{label}.png")
    (folder / "broken.png").write_bytes(b"no image")
    code, out, _ = run(capsys, "predict", trained, folder, "--json")
    assert code == 0
    told = {Path(answer["file"]).name: answer for answer in json.loads(out)}
    assert told.keys() == {"blue.png", "broken.png", "green.png", "red.png"}
    assert told["broken.png"].keys() == {"file", "error"}
    for label in CLASSES:
        answer = told[f"{label}.png"]
        assert answer.keys() == {"file", "label", "probability", "top"}
        assert answer["label"] == answer["top"][0]["label"] == label
        assert sum(top["probability"] for top in answer["top"]) == pytest.approx(1)
    code, out, _ = run(capsys, "predict", trained, folder)
    assert code == 0
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines[str(folder / "red.png")].startswith("red (")
    assert "%" in lines[str(folder / "red.png")]


def test_predict_agrees_with_the_evaluation(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    _, out, _ = run(capsys, "predict", trained, data, "--json")
    right = [answer["label"] == Path(answer["file"]).parent.name for answer in json.loads(out)]
    _, out, _ = run(capsys, "evaluate", trained, data, "--json")
    assert sum(right) / len(right) == json.loads(out)["top1"]


def test_predict_where_no_image_can_be_read(capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    code, out, err = run(capsys, "predict", trained, broken, "--json")
    assert code == 1
    assert [answer.keys() for answer in json.loads(out)] == [{"file", "error"}]
    assert err == "compoundnet: no image could be read\n"


def test_predict_what_is_not_there(capsys: pytest.CaptureFixture[str], trained: Path) -> None:
    code, out, err = run(capsys, "predict", trained, "none.png")
    assert (code, out) == (2, "")
    assert err == "compoundnet: no such image file or folder: 'none.png'\n"
    code, out, err = run(capsys, "predict", trained)
    assert (code, out) == (2, "")


def test_signals_ask_once_and_end_the_second_time() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for first, second in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
        with pytest.raises(KeyboardInterrupt), stoppable() as stop:
            assert not stop()
            os.kill(os.getpid(), first)
            assert stop()
            os.kill(os.getpid(), second)
        assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (["--recipe", "a"], "a"),
        (["x", "--recipe=a.json"], "a.json"),
        (["--recipe"], None),
        (["--recipes", "a"], None),
        ([], None),
    ],
)
def test_flags_that_are_looked_for_first(argv: list[str], value: str | None) -> None:
    assert value_of(argv, "--recipe") == value
