"""The whole network, step by step: what ends a training, what is kept, and that it learns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from compoundnet.data import Augmentation
from compoundnet.errors import FailureError, RequestError
from compoundnet.run import RunFolder
from compoundnet.train import Recipe, finish, loop
from compoundnet.train.checkpoint import read_checkpoint, write_checkpoint
from compoundnet.train.progress import Advance, Epoch, Step
from tiny import QUICK, pictures, train_tiny, uncharted


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("loop") / "data")


@pytest.fixture(autouse=True)
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "write_report", uncharted)


def rows_of(run: Path) -> list[dict[str, Any]]:
    return RunFolder(run).read_metrics()


def test_it_learns_colours(data: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, epochs=8, norm="precise", learning_rate=0.02)
    train_tiny(data, tmp_path, recipe)
    rows = rows_of(tmp_path)
    assert rows[0]["train_loss"] > 1.3 * rows[-1]["train_loss"]
    assert max(row["val_top1"] for row in rows) == 1
    evaluations = RunFolder(tmp_path).read_record()["evaluations"]
    assert list(evaluations) == ["test", "validation"]
    assert evaluations["validation"]["top1"] == 1


def test_rows_and_events(data: Path, tmp_path: Path) -> None:
    """24 images in batches of 5, two a step: two steps an epoch, and 4 images that the epoch leaves out."""
    events: list[Any] = []
    recipe = replace(QUICK, epochs=3, batch_size=5, accumulate=2, warmup_epochs=1)
    train_tiny(data, tmp_path, recipe, events.append)
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5, 6]
    first = [event for event in events if isinstance(event, Advance) and event.task == "epoch 1/3"]
    assert first == [Advance("epoch 1/3", 10, 20), Advance("epoch 1/3", 20, 20)]
    rows = rows_of(tmp_path)
    assert [event.row for event in events if isinstance(event, Epoch)] == rows
    assert [(row["epoch"], row["step"], row["phase"]) for row in rows] == [(0, 2, "all"), (1, 4, "all"), (2, 6, "all")]
    assert rows[0]["lr"] == pytest.approx(0.01 * 2 / 3)
    assert all(row["images_per_s"] > 0 and row["seconds"] > 0 for row in rows)


def test_a_loss_that_is_no_number(data: Path, tmp_path: Path) -> None:
    with pytest.raises(FailureError, match=r"the loss is not a number any more at step 3; lower the learning rate"):
        train_tiny(data, tmp_path, replace(QUICK, learning_rate=1e30))
    assert rows_of(tmp_path) == []
    assert not RunFolder(tmp_path).weights_file.exists()
    assert RunFolder(tmp_path).read_record()["status"] == "training"


def test_a_loss_that_is_no_number_is_seen_within_the_epoch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_CHECK_EVERY", 2)
    with pytest.raises(FailureError, match=r"at step 2;"):
        train_tiny(data, tmp_path, replace(QUICK, learning_rate=1e30))


@pytest.mark.parametrize(("patience", "epochs"), [(0, 5), (1, 2), (3, 4)])
def test_early_stop(data: Path, tmp_path: Path, patience: int, epochs: int) -> None:
    """At a rate of 0 no epoch is better than the first."""
    train_tiny(data, tmp_path, replace(QUICK, epochs=5, learning_rate=0.0, norm="frozen", patience=patience))
    assert len(rows_of(tmp_path)) == epochs


def test_the_best_epoch_is_kept(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3, 5, 5 (surer) and 4 right of 6, the third."""
    right, sureness, states = iter((3, 5, 5, 4)), iter((1.0, 1.0, 2.0, 9.0)), []

    def answers(network: torch.nn.Module, split: Any, *args: object, **kwargs: object) -> torch.Tensor:
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        labels = torch.tensor(split.labels)
        said = torch.where(torch.arange(6) < next(right), labels, (labels + 1) % 3)
        return torch.nn.functional.one_hot(said, 3).float() * next(sureness)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "outputs", answers)
        train_tiny(data, tmp_path, replace(QUICK, epochs=4))
    model = load_file(RunFolder(tmp_path).weights_file)
    same = [all(torch.equal(model[name], tensor) for name, tensor in state.items()) for state in states]
    assert [row["val_top1"] for row in rows_of(tmp_path)] == pytest.approx([3 / 6, 5 / 6, 5 / 6, 4 / 6])
    assert same == [False, False, True, False]
    best = read_checkpoint(tmp_path / "checkpoint" / "best.safetensors")
    assert best is not None
    assert best[1]["epoch"] == 2


def test_without_validation_images_the_last_epoch_is_kept(tmp_path: Path) -> None:
    """A validation split that the user gave, empty of images, cannot be; so the split is emptied here."""
    from compoundnet.data import Split, open_dataset
    from compoundnet.train import session

    data = pictures(tmp_path / "data", each=4)
    dataset = replace(open_dataset(data), val=Split(files=(), labels=()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "open_dataset", lambda *args, **kwargs: dataset)
        train_tiny(data, tmp_path / "run", replace(QUICK, epochs=3, patience=1))
    rows = rows_of(tmp_path / "run")
    assert [row["val_top1"] for row in rows] == [None] * 3
    last = read_checkpoint(tmp_path / "run" / "checkpoint" / "best.safetensors")
    assert last is not None
    assert last[1]["epoch"] == 2
    assert list(RunFolder(tmp_path / "run").read_record()["evaluations"]) == ["test"]


@pytest.mark.parametrize("norm", ["frozen", "train"])
def test_frozen_norms_keep_their_statistics(data: Path, tmp_path: Path, norm: Any) -> None:
    train_tiny(data, tmp_path, replace(QUICK, norm=norm))
    model = load_file(RunFolder(tmp_path).weights_file)
    fresh = all(bool((tensor == 0).all()) for name, tensor in model.items() if name.endswith("running_mean"))
    assert fresh == (norm == "frozen")
    assert bool((model["stem.norm.weight"] != 1).any())


def test_the_average_is_what_is_kept(data: Path, tmp_path: Path) -> None:
    train_tiny(data, tmp_path, replace(QUICK, epochs=1, ema_decay=0.9))
    stored = read_checkpoint(tmp_path / "checkpoint" / "last.safetensors")
    assert stored is not None
    model, name = load_file(RunFolder(tmp_path).weights_file), "classifier.weight"
    assert torch.equal(model[name], stored[0][f"ema/{name}"])
    assert not torch.equal(model[name], stored[0][f"network/{name}"])


_OTHERS: tuple[dict[str, Any], ...] = (
    {"precision": "bfloat16"},
    {"drop_path": 0.9},
    {"augmentation": Augmentation(mixup=1.0)},
    {"augmentation": Augmentation(cutmix=1.0)},
)


def test_clipping_and_smoothing_change_the_steps(data: Path, tmp_path: Path) -> None:
    """Each setting reaches the arithmetic: SGD from the same start goes elsewhere."""
    start = Recipe(epochs=1, batch_size=8, optimizer="sgd", learning_rate=0.1, label_smoothing=0.0)
    found = []
    changes = ({}, {"clip_norm": 0.01}, {"label_smoothing": 0.3}, {"class_weights": "balanced"}, *_OTHERS)
    for i, change in enumerate(changes):
        train_tiny(data, tmp_path / str(i), replace(start, **change))  # type: ignore[arg-type]
        found.append(load_file(RunFolder(tmp_path / str(i)).weights_file)["stem.conv.weight"])
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    torch.testing.assert_close(found[0], found[3])  # the classes are of one size: weights of 1
    for other in found[4:]:
        assert not torch.equal(found[0], other)


def test_class_weights_change_the_steps(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "skewed")
    for file in sorted((folder / "red").iterdir())[:6]:
        file.unlink()
    start = Recipe(epochs=1, batch_size=8, optimizer="sgd", learning_rate=0.1, class_weights="none")
    train_tiny(folder, tmp_path / "none", start)
    train_tiny(folder, tmp_path / "balanced", replace(start, class_weights="balanced"))
    none, balanced = (load_file(RunFolder(tmp_path / name).weights_file) for name in ("none", "balanced"))
    assert not torch.equal(none["stem.conv.weight"], balanced["stem.conv.weight"])


def test_images_may_be_trained_on_at_another_size(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = set()
    real = loop.normalize

    def watched(images: torch.Tensor, prepared: Any) -> torch.Tensor:
        sides.add(images.shape[-1])
        return real(images, prepared)

    monkeypatch.setattr(loop, "normalize", watched)
    train_tiny(data, tmp_path, replace(QUICK, resolution=10))
    assert sides == {10}
    assert RunFolder(tmp_path).read_record()["preprocessing"]["resolution"] == 12


def test_a_checkpoint_of_something_else_is_a_line(data: Path, tmp_path: Path) -> None:
    """Well-formed, but with other tensors: said, and not overwritten."""
    train_tiny(data, tmp_path, QUICK)
    folder = RunFolder(tmp_path)
    last = folder.checkpoint_folder / "last.safetensors"
    folder.weights_file.unlink()
    write_checkpoint(last, {"network/x": torch.zeros(2)}, {"position": {}, "scaler": {}})
    before = last.read_bytes()
    with pytest.raises(RequestError, match=r"last\.safetensors is of something else .*remove it to train anew"):
        train_tiny(data, tmp_path, QUICK)
    assert last.read_bytes() == before
