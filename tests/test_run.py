"""The run folder: a trained network comes back bit for bit, and every damage has its own line."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from compoundnet.errors import RequestError
from compoundnet.nn import Network, build
from compoundnet.preprocessing import Preprocessing
from compoundnet.run import RunFolder, load
from compoundnet.weights import read_weights
from tiny import ARCH, CLASSES

SMALL = replace(ARCH, classes=3)
PREPARED = Preprocessing(resolution=12, crop_fraction=0.9, mean=(0.5, 0.4, 0.3))


def make_run(path: Path) -> Network:
    """A run folder as a training leaves it, with statistics in its norms."""
    torch.manual_seed(0)
    network = build(SMALL).train()
    network(torch.rand(8, 3, 12, 12))
    folder = RunFolder(path)
    folder.write_record({"status": "finished", "labels": list(CLASSES), "preprocessing": PREPARED.to_json()})
    folder.architecture_file.write_text(SMALL.to_json())
    folder.write_weights(network.state_dict(), CLASSES, PREPARED)
    return network


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    make_run(path)
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.parametrize("as_text", [True, False])
def test_the_same_network_comes_back(tmp_path: Path, as_text: bool) -> None:
    network = make_run(tmp_path).eval()
    trained = load(str(tmp_path) if as_text else tmp_path)
    assert not trained.model.training
    assert (trained.labels, trained.preprocessing, trained.architecture) == (CLASSES, PREPARED, SMALL)
    assert trained.record["status"] == "finished"
    images = torch.rand(3, 3, 12, 12)
    with torch.no_grad():
        assert torch.equal(trained.model(images), network(images))


def test_the_model_file_stands_alone(whole: Path) -> None:
    """Labels and preprocessing travel in it, under the names that weights are read by."""
    weights = read_weights(whole / "model.safetensors", SMALL)
    assert (weights.labels, weights.preprocessing) == (CLASSES, PREPARED)


def test_equal_networks_give_equal_files(whole: Path, tmp_path: Path) -> None:
    """Though the library writes metadata in another order each time."""
    files = set()
    for i in range(6):
        make_run(tmp_path / str(i))
        files.add((tmp_path / str(i) / "model.safetensors").read_bytes())
    assert files == {(whole / "model.safetensors").read_bytes()}


def test_the_header_is_aligned(whole: Path) -> None:
    """As the format asks: tensors begin at a multiple of eight bytes."""
    content = (whole / "model.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size % 8 == 0
    assert json.loads(content[8 : 8 + size])["__metadata__"]["format"] == "pt"


def missing(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def holding(name: str, text: str) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / name).write_text(text)

    return write


def cut(run: Path) -> None:
    file = run / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])


def changed(**fields: object) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | fields))

    return write


def without(field: str) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        record = json.loads((run / "run.json").read_text())
        del record[field]
        (run / "run.json").write_text(json.dumps(record))

    return write


def of_another_shape(run: Path) -> None:
    state = load_file(run / "model.safetensors")
    state["classifier.weight"] = torch.ones(7, 8)
    save_file(state, run / "model.safetensors")


def lacking_a_tensor(run: Path) -> None:
    state = load_file(run / "model.safetensors")
    del state["classifier.weight"]
    save_file(state, run / "model.safetensors")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "is not a run: it has no run.json"),
    "no record": (missing("run.json"), "is not a run: it has no run.json"),
    "record no JSON": (holding("run.json", "{"), r"cannot read .*run\.json: "),
    "record a list": (holding("run.json", "[]"), r"run\.json is not of format 1"),
    "record of another format": (changed(format=2), r"run\.json is not of format 1; it was written by another"),
    "record without labels": (without("labels"), "is damaged: 'labels'"),
    "preprocessing wrong": (changed(preprocessing={"resolution": -1}), "is damaged: preprocessing.resolution is -1"),
    "preprocessing no object": (changed(preprocessing=3), "is damaged: "),
    "no model": (missing("model.safetensors"), "has no model yet: its training has not ended; the same train command"),
    "model cut": (cut, "is damaged: "),
    "model empty": (holding("model.safetensors", ""), "is damaged: "),
    "model of another shape": (of_another_shape, "is damaged: .*size mismatch for classifier.weight"),
    "model lacking a tensor": (lacking_a_tensor, "is damaged: .*Missing key.*classifier.weight"),
    "no architecture": (missing("architecture.json"), "is damaged: .*architecture.json"),
    "architecture no JSON": (holding("architecture.json", "{"), "is damaged: not JSON"),
    "architecture wrong": (holding("architecture.json", "{}"), "is damaged: architecture lacks name"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_in_one_line(run: Path, damage: str) -> None:
    spoil, said = DAMAGES[damage]
    spoil(run)
    with pytest.raises(RequestError, match=said) as caught:
        load(run)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("device", ["tpu9", "cuda:99"])
def test_a_device_that_does_not_exist(whole: Path, device: str) -> None:
    with pytest.raises(RequestError, match=rf"device '{device}' cannot be used \(.*\); try cpu"):
        load(whole, device)


def test_metrics_without_a_line_that_was_cut_short(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_metrics() == []
    rows = [{"phase": "all", "val_top1": 0.5, "epoch": i} for i in range(2)]
    folder.write_metrics(rows)
    with folder.metrics_file.open("a") as file:
        file.write('{"epoch": 2')
    assert folder.read_metrics() == rows
    folder.write_metrics([])
    assert folder.read_metrics() == []


@pytest.mark.parametrize("content", ["{\n", "3\n", '{"epoch": 1}\n', "\xff\n", "[" * 100_000 + "\n"])
def test_damaged_metrics_are_a_line(tmp_path: Path, content: str) -> None:
    RunFolder(tmp_path).metrics_file.write_bytes(content.encode("latin-1"))
    with pytest.raises(RequestError, match=r"metrics\.jsonl"):
        RunFolder(tmp_path).read_metrics()


@pytest.mark.parametrize("key", ["request", "data", "labels"])
def test_a_record_of_the_wrong_kind_is_a_line(tmp_path: Path, key: str) -> None:
    RunFolder(tmp_path).write_record({key: 3})
    with pytest.raises(RequestError, match=f"damaged: {key} is 3"):
        RunFolder(tmp_path).read_record()
