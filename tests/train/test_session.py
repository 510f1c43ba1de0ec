"""One call from data to run folder: what it leaves, what it refuses, what it never touches."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from compoundnet.errors import FailureError, RequestError
from compoundnet.preprocessing import Preprocessing
from compoundnet.run import RunFolder, load
from compoundnet.train import Recipe, finish, train
from compoundnet.train.progress import Note
from conftest import SHARED, needs_shared
from tiny import ARCH, CLASSES, QUICK, pictures, result, train_tiny, uncharted


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("session") / "data")


@pytest.fixture(autouse=True, scope="module")
def no_charts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "write_report", uncharted)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A finished run."""
    run = tmp_path_factory.mktemp("trained") / "run"
    train_tiny(data, run, QUICK)
    return run


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def notes_of(*args: Any, **kwargs: Any) -> list[str]:
    notes: list[str] = []

    def observe(event: object) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    train(*args, **kwargs, device="cpu", observer=observe)
    return notes


def test_what_a_run_folder_holds(trained: Path, data: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {
        *("architecture.json", "model.safetensors", "run.json", "metrics.jsonl", "checkpoint", "tensorboard"),
        "report.html",
    }
    record = RunFolder(trained).read_record()
    assert record["format"] == 1
    assert record["status"] == "finished"
    assert record["labels"] == list(CLASSES)
    assert record["seed"] == 0
    assert record["request"]["recipe"] == QUICK.to_json()
    assert record["request"]["weights"] is None
    assert record["data"]["counts"] == {
        "train": dict.fromkeys(CLASSES, 8), "validation": dict.fromkeys(CLASSES, 2), "test": dict.fromkeys(CLASSES, 2)
    }  # fmt: skip
    assert record["versions"].keys() >= {"python", "torch", "compoundnet"}
    assert record["evaluations"]["test"]["n"] == 6
    assert not [path for path in trained.rglob("*") if path.suffix in (".pt", ".pth", ".pkl")]


def test_the_same_request_gives_the_same_bits(trained: Path, data: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # which must not matter
    train_tiny(data, tmp_path / "again", QUICK)
    assert result(tmp_path / "again") == result(trained)
    train_tiny(data, tmp_path / "other", replace(QUICK, seed=1))
    assert result(tmp_path / "other")["model"] != result(trained)["model"]


def test_a_finished_run_is_left_alone(trained: Path, data: Path) -> None:
    before = contents(trained)
    notes = notes_of(ARCH, data, trained, recipe=QUICK)
    assert notes == [f"{trained} holds this training, finished; see {trained / 'report.html'}"]
    assert contents(trained) == before


def test_the_report_of_a_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from compoundnet.evaluate import write_report

    monkeypatch.setattr(finish, "write_report", write_report)
    train_tiny(data, tmp_path, QUICK)
    page = (tmp_path / "report.html").read_text()
    assert "tiny on" in page
    assert all(label in page for label in CLASSES)


DIFFERENT = {
    "recipe": ({"recipe": replace(QUICK, epochs=3)}, r"epochs was 2, now 3"),
    "two of a recipe": ({"recipe": replace(QUICK, epochs=3, seed=4)}, r"epochs was 2, now 3, seed was 0, now 4"),
    "augmentation": (
        {"recipe": replace(QUICK, augmentation=replace(QUICK.augmentation, flip=False))},
        r"flip was True, now False",
    ),
    "dropout": ({"recipe": replace(QUICK, dropout=0.5)}, r"dropout was 0.2, now 0.5, dropout was None, now 0.5"),
    "architecture": ({"architecture": replace(ARCH, head=16)}, r"head was 8, now 16"),
    "stages": ({"architecture": replace(ARCH, stages=ARCH.stages[:1])}, r"stages differs"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_another_request_is_refused(trained: Path, data: Path, what: str) -> None:
    changes, said = DIFFERENT[what]
    call: dict[str, Any] = {"architecture": ARCH, "data": data, "output": trained, "recipe": QUICK, **changes}
    before = contents(trained)
    with pytest.raises(RequestError, match=rf"holds another training: {said}; give another folder, or repeat its own"):
        train(**call, device="cpu")
    assert contents(trained) == before


def test_other_data_is_refused(trained: Path, data: Path, tmp_path: Path) -> None:
    more = shutil.copytree(data, tmp_path / "data")
    Image.new("RGB", (12, 12), "red").save(more / "red" / "new.png")
    with pytest.raises(RequestError, match="holds another training: data differs;"):
        train_tiny(more, trained, QUICK)
    (more / "red" / "new.png").unlink()
    (more / "red").rename(more / "crimson")
    with pytest.raises(RequestError, match="holds another training: classes differs, data differs;"):
        train_tiny(more, trained, QUICK)


def test_moved_data_is_the_same_data(trained: Path, data: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(data, tmp_path / "elsewhere")
    assert "finished" in notes_of(ARCH, moved, trained, recipe=QUICK)[0]


def test_a_folder_with_something_else_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RequestError, match=r"exists and is not a run; give a new or empty folder"):
        train_tiny(data, tmp_path, QUICK)
    with pytest.raises(RequestError, match=r"exists and is not a run"):
        train_tiny(data, tmp_path / "thesis.txt", QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_of_another_version_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(RequestError, match=r"run\.json is not of format 1; it was written by another version"):
        train_tiny(data, tmp_path, QUICK)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RequestError, match=r"cannot read .*run\.json"):
        train_tiny(data, tmp_path, QUICK)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_folder_will_do(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    train_tiny(data, tmp_path / "run", replace(QUICK, epochs=1))
    assert RunFolder(tmp_path / "run").read_record()["status"] == "finished"


def test_an_output_that_cannot_be_made(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((RequestError, FailureError), match=r"file/run"):
        train_tiny(data, tmp_path / "file" / "run", QUICK)


def without_red(folder: Path) -> None:
    for label in ("red", "green"):
        shutil.rmtree(folder / label)


def emptied(folder: Path) -> None:
    for path in (folder / "red").iterdir():
        path.unlink()


def all_broken(folder: Path) -> None:
    for path in (folder / "red").iterdir():
        path.write_bytes(b"no image")


BAD_DATA = {
    "one class": (without_red, r"one class only, 'blue'; there must be at least two"),
    "an empty class": (emptied, r"class folder without images: .*red; add images or remove the folder"),
    "a class of broken images": (all_broken, r"class 'red' of .* has no readable image"),
    "nothing there": (shutil.rmtree, r"no such data: "),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_leaves_no_run(tmp_path: Path, case: str) -> None:
    spoil, said = BAD_DATA[case]
    folder = pictures(tmp_path / "data", each=4)
    spoil(folder)
    with pytest.raises(RequestError, match=said):
        train_tiny(folder, tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_broken_images_are_skipped_and_noted_or_fatal(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "data", each=6)
    broken = folder / "red" / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(RequestError, match=r"red/broken\.png: "):
        train(ARCH, folder, tmp_path / "run", recipe=QUICK, device="cpu", on_bad="fail")
    assert not (tmp_path / "run").exists()
    notes = notes_of(ARCH, folder, tmp_path / "run", recipe=replace(QUICK, epochs=1))
    assert any(note.startswith(f"skipped {broken}: ") for note in notes)
    assert "images that cannot be decoded were left out: 1" in notes
    assert [bad["file"] for bad in RunFolder(tmp_path / "run").read_record()["data"]["bad"]] == [str(broken)]


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("efficientnet_bo", r"unknown architecture 'efficientnet_bo'; did you mean 'efficientnet_b"),
        (replace(ARCH, in_channels=1), r"tiny takes 1 channels; images are read as 3 \(RGB\)"),
        ("none.json", r"cannot read architecture 'none.json'"),
    ],
)
def test_architectures_that_will_not_do(data: Path, tmp_path: Path, architecture: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        train(architecture, data, tmp_path / "run", recipe=QUICK, device="cpu")
    assert not (tmp_path / "run").exists()


def test_unknown_device(data: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"device 'tpu9' cannot be used"):
        train(ARCH, data, tmp_path / "run", recipe=QUICK, device="tpu9")


def test_a_run_is_where_the_next_begins(trained: Path, data: Path, tmp_path: Path) -> None:
    """Its weights bring their preprocessing; the default recipe is then that for fine-tuning, here made short."""
    recipe = Recipe(epochs=0, head_epochs=3)
    weights = trained / "model.safetensors"
    notes = notes_of(ARCH, data, tmp_path / "next", weights=weights, recipe=recipe)
    assert not any("does not record" in note for note in notes)
    record = RunFolder(tmp_path / "next").read_record()
    assert record["weights"] == str(weights)
    first, second = load(trained), load(tmp_path / "next")
    assert torch.equal(first.model.stem.conv.weight, second.model.stem.conv.weight)
    assert not torch.equal(first.model.classifier.weight, second.model.classifier.weight)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"holds another training: weights differs"):
        train_tiny(data, tmp_path / "next", recipe)


def test_the_head_alone_is_enough_for_a_small_set(data: Path, tmp_path: Path) -> None:
    easy = replace(QUICK, head_epochs=60, head_learning_rate=0.03, head_is_enough=0.9)
    notes = notes_of(ARCH, data, tmp_path / "small", recipe=replace(easy, small_set=1000))
    assert any(note.startswith("a small set (24 training images), and the classifier alone") for note in notes)
    assert {row["phase"] for row in RunFolder(tmp_path / "small").read_metrics()} == {"head"}
    notes_of(ARCH, data, tmp_path / "large", recipe=replace(easy, small_set=10))
    rows = RunFolder(tmp_path / "large").read_metrics()
    assert [row["phase"] for row in rows] == ["head"] * 60 + ["all"] * 2
    assert [row["epoch"] for row in rows] == list(range(62))


def test_what_was_asked_of_torch_is_put_back(data: Path, tmp_path: Path) -> None:
    before = torch.are_deterministic_algorithms_enabled()
    train_tiny(data, tmp_path, replace(QUICK, epochs=1))
    assert torch.are_deterministic_algorithms_enabled() == before


def test_architecture_file_is_what_was_trained(trained: Path) -> None:
    record = json.loads((trained / "architecture.json").read_text())
    assert (record["classes"], record["resolution"]) == (3, 12)
    assert json.loads((trained / "run.json").read_text())["request"]["architecture"] == record


def test_preprocessing_is_that_of_the_weights(trained: Path, data: Path, tmp_path: Path) -> None:
    """Not that of the network's name: a file that records another mean is used with it."""
    other = Preprocessing(resolution=12, crop_fraction=1.0, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    weights = tmp_path / "other.safetensors"
    shutil.copy(trained / "model.safetensors", weights)
    Path(f"{weights}.json").write_text(json.dumps({"preprocessing": other.to_json()}))
    train_tiny_from(weights, data, tmp_path / "run")
    assert load(tmp_path / "run").preprocessing == other


def train_tiny_from(weights: Path, data: Path, output: Path) -> None:
    train(ARCH, data, output, weights=weights, recipe=Recipe(epochs=0, head_epochs=2), device="cpu")


@needs_shared("data/awkward", "data/cats_dogs")
def test_awkward_files_do_not_stop_a_training(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(SHARED / "data/awkward", folder / "awkward")
    (folder / "cat").mkdir(parents=True)
    for file in sorted((SHARED / "data/cats_dogs/train/cat").iterdir())[:12]:
        shutil.copy(file, folder / "cat")
    train_tiny(folder, tmp_path / "run", replace(QUICK, epochs=1))
    record = RunFolder(tmp_path / "run").read_record()
    assert record["status"] == "finished"
    counts = record["data"]["counts"]
    assert sum(part["awkward"] for part in counts.values()) + len(record["data"]["bad"]) == 20
    assert all(bad["reason"] for bad in record["data"]["bad"])


def test_a_run_inside_its_own_data_is_refused(tmp_path: Path) -> None:
    """It would be read as images by the call that should go on."""
    folder = pictures(tmp_path / "data")
    with pytest.raises(RequestError, match="would lie inside the images"):
        train_tiny(folder, folder / "run", QUICK)
    assert not (folder / "run").exists()
