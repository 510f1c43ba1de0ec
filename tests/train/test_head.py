"""The classifier alone: it separates what can be separated, and the network then says what it said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compoundnet.data import open_dataset
from compoundnet.evaluate.inference import outputs
from compoundnet.nn import build
from compoundnet.preprocessing import Preprocessing
from compoundnet.run import RunFolder
from compoundnet.train import Recipe, head, session
from compoundnet.train.job import Job
from compoundnet.train.plan import make_plan
from compoundnet.train.progress import Note
from tiny import ARCH, pictures

PREPARED = Preprocessing(resolution=12, crop_fraction=1.0)
RECIPE = Recipe(head_epochs=60, head_learning_rate=0.03, head_weight_decay=0.1, epochs=0)
SMALL = replace(ARCH, classes=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("head") / "data")


def make_job(data: Path, run: Path, recipe: Recipe = RECIPE) -> tuple[Job, list[Any]]:
    events: list[Any] = []
    dataset = open_dataset(data)
    plan = make_plan(recipe, dataset, PREPARED, "cpu", 0)
    folder = RunFolder(run)
    job = Job(dataset=dataset, plan=plan, folder=folder, observer=events.append, stop=lambda: False)
    return job, events


def test_colours_are_told_apart_and_the_network_says_the_same(data: Path, tmp_path: Path) -> None:
    job, _ = make_job(data, tmp_path)
    torch.manual_seed(0)
    network = build(SMALL)
    backbone = {name: t.clone() for name, t in network.state_dict().items() if not name.startswith("classifier")}
    reached = head.train_classifier(network, job)
    rows = job.folder.read_metrics()
    assert [row["epoch"] for row in rows] == list(range(60))
    assert {row["phase"] for row in rows} == {"head"}
    assert rows[0]["train_loss"] > 2 * rows[-1]["train_loss"]
    assert reached == rows[-1]["val_top1"] == 1
    logits = outputs(network.eval(), job.dataset.val, PREPARED)
    labels = torch.tensor(job.dataset.val.labels)
    assert float((logits.argmax(1) == labels).double().mean()) == reached
    assert float(F.cross_entropy(logits, labels)) == pytest.approx(rows[-1]["val_loss"], rel=1e-3)
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in backbone.items())


def blobs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features of three classes, far from 0, of very different scales, one of them constant."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    x = torch.randn(n, 8, generator=generator) + 4 * F.one_hot(labels, 8)
    x = x * torch.logspace(-1, 1, 8) + torch.linspace(-50, 50, 8)
    x[:, 7] = 5.0
    return x, labels


def test_standardisation_is_folded_into_the_network(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = make_job(data, tmp_path)
    train, val = head._Features(*blobs(300, 0)), head._Features(*blobs(90, 1))
    seen: list[Tensor] = []
    real = head._judged

    def judged(linear: torch.nn.Module, z_val: Tensor, val: Any) -> Any:
        mean, deviation = train.x.mean(0), train.x.std(0, correction=0)
        torch.testing.assert_close(z_val[:, :7], ((val.x - mean) / deviation)[:, :7])
        with torch.no_grad():
            seen.append(linear(z_val))
        return real(linear, z_val, val)

    monkeypatch.setattr(head, "_judged", judged)
    network = build(SMALL)
    rows = list(head._epochs(network, train, val, job))
    assert rows[-1]["val_top1"] > 0.97
    with torch.no_grad():
        torch.testing.assert_close(network.classifier(val.x), seen[-1], rtol=1e-3, atol=2e-3)
    assert torch.isfinite(network.classifier.weight).all()


def test_without_validation_images_there_is_no_accuracy(data: Path, tmp_path: Path) -> None:
    job, _ = make_job(data, tmp_path)
    rows = list(head._epochs(build(SMALL), head._Features(*blobs(30, 0)), None, job))
    assert {row["val_top1"] for row in rows} == {row["val_loss"] for row in rows} == {None}


def test_the_seed_alone_decides(data: Path, tmp_path: Path) -> None:
    """Not torch's random state, and not the classifier that was there."""
    found = []
    for seed, torch_seed in ((0, 1), (0, 2), (5, 1)):
        job, _ = make_job(data, tmp_path / "run", replace(RECIPE, seed=seed, head_epochs=2))
        torch.manual_seed(torch_seed)
        network = build(SMALL)
        list(head._epochs(network, head._Features(*blobs(130, 0)), None, job))
        found.append(network.classifier.weight.detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_rare_classes_weigh_more(data: Path, tmp_path: Path) -> None:
    """99 of one class against 9 that overlap with it: with balanced weights most of the nine are found."""
    x, _ = blobs(108, 3)
    x = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    labels = (torch.arange(108) >= 99).long()
    x[:, 0] += 1.5 * labels
    found = {}
    for weights in ((1.0, 1.0, 1.0), (1.0, 11.0, 1.0)):
        job, _ = make_job(data, tmp_path)
        job = replace(job, plan=replace(job.plan, class_weights=weights))
        network = build(SMALL)
        list(head._epochs(network, head._Features(x, labels), None, job))
        with torch.no_grad():
            found[weights[1]] = int((network.classifier(x[99:]).argmax(1) == 1).sum())
    assert found[11.0] > found[1.0]


@pytest.mark.parametrize(
    ("reached", "small_set", "enough"),
    [(0.95, 25, True), (1.0, 25, True), (0.94, 25, False), (1.0, 24, False), (None, 25, False), (1.0, 0, False)],
)
def test_a_small_set_and_good_enough(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: float | None, small_set: int, enough: bool
) -> None:
    """24 training images."""
    job, events = make_job(data, tmp_path, replace(RECIPE, small_set=small_set, head_is_enough=0.95))
    monkeypatch.setattr(session, "train_classifier", lambda network, job: reached)
    assert session._head_is_enough(build(SMALL), job) is enough
    assert [type(event) for event in events] == [Note] * enough
    if enough:
        assert "a small set (24 training images)" in events[0].text
        assert "the rest of the network stays as it is" in events[0].text
