"""A comparator from the command line: listed, described, trained, gone on with, judged, asked; never scaled."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from commandline import run, told
from compoundnet.cli import main
from compoundnet.costs import cost
from compoundnet.errors import RequestError, StoppedError
from compoundnet.nn.comparators import ComparatorNetwork
from compoundnet.run import RunFolder, load
from compoundnet.train import finish, read_recipe, train
from compoundnet.train.progress import Note, Step
from compoundnet.zoo import list_networks
from compoundnet.zoo.comparators import COMPARATORS, AmoebaNetD, Comparator
from conftest import needs_shared
from tiny import CLASSES, EVERYTHING, QUICK, command, pictures, result, uncharted

DENSENET = replace(COMPARATORS["densenet121"], resolution=32)
RECIPE = replace(QUICK, learning_rate=0.002, norm="precise")
AMOEBANET = Comparator(name="amoebanet_d_3_32", maker=AmoebaNetD(layers=3, filters=32), resolution=32, dropout=0.5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("network") / "densenet.json"
    file.write_text(DENSENET.to_json())
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path, network_file: Path) -> Path:
    """By the command itself, with its report."""
    path = tmp_path_factory.mktemp("trained") / "run"
    argv = command(path, data, RECIPE)
    with pytest.raises(SystemExit) as end:
        main([argv[0], str(network_file), *argv[2:]])
    assert end.value.code == 0
    return path


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(finish, "write_report", uncharted)
    yield


def test_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "list") == list_networks()
    assert run(capsys, "list", "vgg1?")[1].split() == ["vgg16", "vgg19"]


def test_described(capsys: pytest.CaptureFixture[str]) -> None:
    found, price = told(capsys, "describe", "alexnet"), cost(COMPARATORS["alexnet"])
    assert found == {
        "name": "alexnet",
        "resolution": 224,
        "params": 61_100_840,
        "macs": price.macs,
        "activations": price.activations,
        "memory": {
            "weights_bytes": price.weights_bytes,
            "inference_bytes": price.inference_bytes,
            "training_bytes_per_image": price.training_bytes_per_image,
        },
        "stages": [],
    }
    code, out, err = run(capsys, "describe", "alexnet")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["alexnet: 224 x 224 pixels, 1000 classes", ""]
    assert [line.split()[0] for line in lines[2:]] == [
        *("parameters", "MACs", "activations", "weights", "inference,", "training,")
    ]
    assert "61.1 M           61,100,840" in lines[2]


@pytest.mark.parametrize(
    "argv",
    [
        ("scale", "alexnet", "--phi", "1"),
        ("design", "alexnet", "--max-macs", "1G"),
        ("study", "alexnet", "digits", "-o", "STUDY"),
        ("coefficients", "alexnet", "digits", "-o", "STUDY"),
    ],
    ids=lambda argv: argv[0],
)
def test_not_scaled(capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: tuple[str, ...]) -> None:
    words = [str(tmp_path / "study") if word == "STUDY" else word for word in argv]
    said = (
        "compoundnet: 'alexnet' is a comparator, which can be described, trained and evaluated but has no stages to "
        "scale; efficientnet_b0, mobilenetv2_100 and resnet50 have\n"
    )
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.endswith(said)  # after what a study says of reading its images
    assert not list(tmp_path.iterdir())


def test_the_run_holds_it(trained: Path) -> None:
    folder = RunFolder(trained)
    assert json.loads(folder.architecture_file.read_text())["maker"] == {"type": "TorchVision", "model": "densenet121"}
    model = load(trained)
    assert model.architecture == replace(DENSENET, classes=3)
    assert isinstance(model.model, ComparatorNetwork)
    assert not model.model.training
    page = folder.report_file.read_text()
    assert "densenet121" in page
    assert "<h3>Stages</h3>" not in page
    assert "Parameters" in page


def test_evaluated_and_asked(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    code, out, _ = run(capsys, "evaluate", trained, data, "--json")
    assert code == 0
    judged = json.loads(out)
    assert (judged["n"], [score["label"] for score in judged["per_class"]]) == (6, list(CLASSES))
    assert judged["top1"] > 0.8
    answers = told(capsys, "predict", trained, data / "red" / "3.png")
    assert answers[0]["label"] == "red"
    assert sum(top["probability"] for top in answers[0]["top"]) == pytest.approx(1)


def test_done_is_done(capsys: pytest.CaptureFixture[str], data: Path, trained: Path, network_file: Path) -> None:
    argv = command(trained, data, RECIPE)
    code, _, err = run(capsys, argv[0], network_file, *argv[2:])
    assert code == 0
    assert "holds this training, finished" in err


def test_another_network_is_refused(capsys: pytest.CaptureFixture[str], data: Path, trained: Path) -> None:
    code, _, err = run(capsys, *command(trained, data, RECIPE))
    assert code == 2
    assert "holds another training: " in err


@pytest.mark.usefixtures("no_charts")
def test_a_training_goes_on_bit_for_bit(data: Path, tmp_path: Path) -> None:
    """Both phases, with averages, mixing and precise norms."""
    steps: list[int] = []

    def watch(event: object) -> None:
        if isinstance(event, Step):
            steps.append(event.step)

    train(AMOEBANET, data, tmp_path / "whole", recipe=EVERYTHING, device="cpu")
    with pytest.raises(StoppedError):
        train(AMOEBANET, data, tmp_path / "cut", recipe=EVERYTHING, device="cpu", observer=watch,
              stop=lambda: len(steps) == 5)  # fmt: skip
    assert not RunFolder(tmp_path / "cut").weights_file.exists()
    train(AMOEBANET, data, tmp_path / "cut", recipe=EVERYTHING, device="cpu", observer=watch)
    assert steps == list(range(1, len(steps) + 1))
    assert result(tmp_path / "cut") == result(tmp_path / "whole")


@pytest.mark.usefixtures("no_charts")
def test_a_setting_that_means_nothing_is_said(data: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    def watch(event: object) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    recipe = replace(QUICK, epochs=1, drop_path=0.2, dropout=0.25)
    train(AMOEBANET, data, tmp_path / "run", recipe=recipe, device="cpu", observer=watch)
    said = "amoebanet_d_3_32 has no stochastic depth: the recipe's drop_path of 0.2 is not used"
    assert said in notes
    built = load(tmp_path / "run").architecture
    assert built == replace(AMOEBANET, classes=3, dropout=0.25)


def test_training_images_that_are_too_small(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="recipe resolution is 24; densenet121 takes images of at least 29 pixels"):
        train(DENSENET, data, tmp_path / "run", recipe=replace(QUICK, resolution=24), device="cpu")
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_published(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
    code, _, err = run(capsys, "train", "alexnet", data, "-o", tmp_path / "run", "--weights", "imagenet")
    assert code == 2
    assert err.startswith("compoundnet: no weights 'imagenet' are published for 'alexnet'")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_charts")
def test_fine_tuned_from_a_file(data: Path, trained: Path, tmp_path: Path) -> None:
    """The classifier alone, on features of a comparator's that are frozen."""
    recipe = replace(read_recipe("finetune"), head_epochs=20, epochs=0, batch_size=8)
    weights = trained / "model.safetensors"
    folder = train(DENSENET, data, tmp_path / "run", weights=weights, recipe=recipe, device="cpu")
    before, after = load(trained).model.state_dict(), load(folder.path).model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert folder.read_record()["evaluations"]["test"]["top1"] > 0.8


@pytest.mark.slow
@needs_shared("data/cats_dogs")
@pytest.mark.usefixtures("no_charts")
def test_alexnet_on_photographs(capsys: pytest.CaptureFixture[str], tmp_path: Path, shared: Path) -> None:
    """A quarter of a gigabyte of weights, through every step."""
    folder = tmp_path / "data"
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for file in sorted((shared / "data" / "cats_dogs" / "train" / label).iterdir())[:12]:
            (folder / label / file.name).symlink_to(file)
    argv = ("train", "alexnet", folder, "-o", tmp_path / "run", "--epochs", "1", "--batch-size", "8", "--json")
    code, out, _ = run(capsys, *argv, "--ema-decay", "0")
    assert code == 0
    assert json.loads(out)["evaluations"].keys() == {"test", "validation"}
    assert run(capsys, "evaluate", tmp_path / "run", folder)[0] == 0
    answers = told(capsys, "predict", tmp_path / "run", folder / "cat")
    assert {answer["label"] for answer in answers} <= {"cat", "dog"}
