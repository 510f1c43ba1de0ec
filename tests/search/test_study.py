"""A study from its request to its outcomes, with real trainings of a second each."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compoundnet.architecture import Architecture
from compoundnet.data import Dataset, Split, open_dataset, subset
from compoundnet.errors import RequestError, StoppedError
from compoundnet.scaling.accuracy import baseline_in_words
from compoundnet.search import study
from compoundnet.search.engine import worker
from compoundnet.search.engine.opening import open_study
from compoundnet.search.request import Request, request_for
from compoundnet.search.study import Prepared, carry_out, prepare, read_data, wanted
from compoundnet.search.trials import Outcome
from compoundnet.train import Recipe
from factories import NET, written
from tiny import ARCH, QUICK, pictures

FINE = replace(ARCH, rounding=replace(ARCH.rounding, channel_multiple=1, channel_floor=0))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(pictures(tmp_path_factory.mktemp("study") / "images"))


def request(dataset: Dataset, kind: str = "coefficients", recipe: Recipe = QUICK, **more: object) -> Request:
    settings = {"seeds": 1, "networks": 3, "tolerance": 0.2, "train_images": None, "val_images": None, **more}
    return request_for(kind, FINE, dataset.name, recipe, dataset=dataset, **settings)  # type: ignore[arg-type]


def done(todo: Prepared, folder: Path) -> tuple[Outcome, ...]:
    with open_study(folder, create=todo.request.to_json()) as study:
        return carry_out(study, todo, stop=lambda: False, observer=lambda e: None, told=lambda e: None)


def test_json(dataset: Dataset) -> None:
    for asked in (request(dataset), request(dataset, "axes", rules={"depth": None, "mine": [0.2, 0.3, 0.5]})):
        assert Request.from_json(json.loads(json.dumps(asked.to_json()))) == replace(
            asked, recipe=asked.to_json()["recipe"], rules=asked.to_json()["rules"]
        )


def test_the_json_of_a_request_without_bases_is_what_it_was(dataset: Dataset) -> None:
    asked = request(dataset, "axes", rules={"depth": None})
    assert "bases" not in asked.to_json()
    wider = request(dataset, "axes", bases=((2.0, 1.0), (2.0, 1.3)))
    assert wider.to_json()["bases"] == [[2.0, 1.0], [2.0, 1.3]]
    again = Request.from_json(json.loads(json.dumps(wider.to_json())))
    assert again.bases == wider.bases and again.to_json() == wider.to_json()
    with pytest.raises(RequestError, match="request cannot be read"):
        Request.from_json({**wider.to_json(), "bases": 3})


def test_a_request_names_the_axes_that_it_scales(dataset: Dataset) -> None:
    for rules, bases, axes in (
        ({"depth": None}, (), ["depth"]),
        ({"depth": None}, ((1.0, 1.3),), ["depth", "width", "resolution"]),
        (None, ((2.0, 1.0),), ["depth", "width"]),
        (None, ((1.0, 1.0),), ["width"]),
    ):
        assert request(dataset, "axes", rules=rules, bases=bases).scales == axes
    assert list(request(dataset).scales) == ["depth", "width", "resolution"]


def test_every_planned_network_is_trained(dataset: Dataset, tmp_path: Path) -> None:
    todo = prepare(request(dataset, phis=(1.0,)), dataset, "cpu")
    outcomes = done(todo, tmp_path / "study")
    assert {o.candidate.key for o in outcomes} == {c.key for c in todo.plan.candidates}
    assert all(o.state == "complete" and len(o.curve) == QUICK.epochs for o in outcomes)
    assert all(o.value == o.curve[-1] for o in outcomes)
    assert not list((tmp_path / "study" / "trials").glob("*/checkpoint"))
    assert done(todo, tmp_path / "study") == outcomes  # nothing is trained again


def test_the_same_again_is_the_same(dataset: Dataset, tmp_path: Path) -> None:
    todo = prepare(request(dataset), dataset, "cpu")
    one, two = (done(todo, tmp_path / name) for name in ("one", "two"))
    assert [(o.candidate, o.curve) for o in one] == [(o.candidate, o.curve) for o in two]


def test_a_stopped_study_goes_on_to_the_same_result(dataset: Dataset, tmp_path: Path) -> None:
    todo = prepare(request(dataset), dataset, "cpu")
    whole = done(todo, tmp_path / "whole")
    steps: Iterator[int] = iter(range(100))
    with open_study(tmp_path / "stopped", create=todo.request.to_json()) as study, pytest.raises(StoppedError):
        carry_out(study, todo, stop=lambda: next(steps) > 8, observer=lambda e: None, told=lambda e: None)
    resumed = done(todo, tmp_path / "stopped")
    assert {o.candidate.key: o.curve for o in resumed} == {o.candidate.key: o.curve for o in whole}


def test_a_result_that_was_lost_is_not_trained_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Struck between the last epoch and the record of it: the next worker has the same curve, from the checkpoint."""
    todo = prepare(request(dataset), dataset, "cpu")
    whole = done(todo, tmp_path / "whole")
    with monkeypatch.context() as patched:

        def struck(*args: object) -> None:
            raise StoppedError("struck")

        patched.setattr(worker, "finish", struck)
        with pytest.raises(StoppedError):
            done(todo, tmp_path / "study")
    metrics = next((tmp_path / "study" / "trials").glob("*/metrics.jsonl"))
    before = metrics.read_bytes()
    again = done(todo, tmp_path / "study")
    assert metrics.read_bytes() == before
    assert {o.candidate.key: o.curve for o in again} == {o.candidate.key: o.curve for o in whole}


def test_axes_train_the_baseline_too(dataset: Dataset, tmp_path: Path) -> None:
    todo = prepare(request(dataset, "axes", factors=(2.0,), rules={"depth": None, "width": None}), dataset, "cpu")
    outcomes = done(todo, tmp_path / "study")
    assert [o.candidate.tags["rule"] for o in outcomes] == ["baseline", "depth", "width"]


def test_a_model_takes_one_network_after_another(dataset: Dataset, tmp_path: Path) -> None:
    todo = prepare(request(dataset, method="model", networks=5), dataset, "cpu")
    assert len(wanted(todo, ())) == 2  # a third of five
    assert len(todo.plan.candidates) > 5
    outcomes = done(todo, tmp_path / "study")
    assert len({o.candidate.network for o in outcomes}) == 5


def test_halving_gives_up_the_worst(dataset: Dataset, tmp_path: Path) -> None:
    recipe = replace(QUICK, epochs=4)
    asked = request(dataset, recipe=recipe, networks=6, min_epochs=1, reduction=3)
    outcomes = done(prepare(asked, dataset, "cpu"), tmp_path / "study")
    states = {o.state for o in outcomes}
    assert len(outcomes) == 6 and states == {"complete", "pruned"}
    for outcome in outcomes:
        assert (outcome.state == "pruned") == (len(outcome.curve) < recipe.epochs)


def test_a_factory_is_trained_for_the_datas_classes(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(tmp_path, monkeypatch, "my_factory_of_tests")
    asked = request_for(
        "axes", name, dataset.name, QUICK, dataset=dataset, resolution=16,
        seeds=1, factors=(2.0,), rules={"depth": None}, train_images=None, val_images=None,
    )  # fmt: skip
    assert asked.baseline == {"factory": name, "resolution": 16}
    outcomes = done(prepare(asked, dataset, "cpu"), tmp_path / "study")
    assert [o.state for o in outcomes] == ["complete", "complete"]


FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        c = round(8 * width)
        self.body = nn.Sequential(nn.Conv2d(3, c, 3), *[nn.Conv2d(c, c, 3, 1, 1) for _ in range(round(2 * depth))])
        self.head = nn.Linear(c, OUTPUTS)

    def forward(self, x):
        y = self.head(self.body(x).mean((2, 3)))
        return RESULT

def net(depth, width, resolution):
    return Net(depth, width)
"""


@pytest.mark.parametrize(
    ("outputs", "result", "told"),
    [
        (5, "y", r"gives \(1, 5\) for 1 image in evaluation, not a tensor \(1, 3\)"),
        (3, "(y, y)", "gives tuple for 1 image in evaluation"),
        (3, "(y, y) if self.training else y", "gives tuple for 2 images in training"),
        (3, "y.frobnicate()", "16 x 16: AttributeError"),
        (3, "exit(0)", "16 x 16: SystemExit"),
    ],
)
def test_a_module_that_cannot_be_trained_is_refused(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: int, result: str, told: str
) -> None:
    """Before the study is made."""
    text = FACTORY.replace("OUTPUTS", str(outputs)).replace("RESULT", result)
    name = written(tmp_path, monkeypatch, f"factory_of_{abs(hash((outputs, result)))}", text)
    with pytest.raises(RequestError, match=told):
        asked = request_for(
            "axes", name, dataset.name, QUICK, dataset=dataset, resolution=16,
            seeds=1, factors=(2.0,), rules={"depth": None}, train_images=None, val_images=None,
        )  # fmt: skip
        prepare(asked, dataset, "cpu")


def test_other_images_are_refused(dataset: Dataset) -> None:
    fewer = subset(dataset, train=6)
    with pytest.raises(RequestError, match="other images than the study"):
        prepare(request(dataset), fewer, "cpu")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"seeds": 0}, "seeds is 0"),
        ({"networks": 2}, "networks is 2"),
        ({"tolerance": 0.0}, "tolerance is 0.0"),
        ({"phis": ()}, "phis is"),
        ({"phis": (1.0, 1.0)}, "different numbers"),
        ({"phis": (-1.0,)}, "phis is -1.0"),
        ({"phis": (2.0, 0.1), "tolerance": 0.05}, "give a phi of at least 0.14, or less tolerance"),
        ({"phis": (1.0, 1.0000001)}, "different numbers, of six digits at most"),
        ({"factors": (1.0,)}, "factors is 1.0"),
        ({"factors": (4.0, 4.0000001)}, "different numbers, of six digits at most"),
        ({"kind": "axes", "factors": (1.0000001,)}, "factor 1.0000001 is not told from the .* one of at least 1.1"),
        ({"method": "guess"}, "unknown method"),
        ({"reduction": 1}, "reduction is 1"),
        ({"bases": ((0.5, 1.0),)}, r"depth of base \[0.5, 1.0\] is 0.5; it must lie in \[1, 100\]"),
        ({"bases": ((1.0, float("nan")),)}, r"resolution of base .* is nan"),
        ({"bases": ((1.0, "2"),)}, r"resolution of base .* is '2'"),
        ({"bases": ((2.0, 1.0, 1.0),)}, "two multipliers"),
        ({"bases": ((2.0, 1.0), (2.0, 1.0))}, "each must be given once"),
        ({"bases": ((2.0, 1.0), (2.0000001, 1.0))}, "each must be given once, in six digits at most"),
        ({"reduction": 4}, "reduction 4 goes with min_epochs"),
        ({"min_epochs": 2}, "min_epochs is 2 and trainings have 2 epochs, so that none would be given up"),
        ({"min_epochs": 9, "reduction": 2}, "min_epochs is 9 and trainings have 2 epochs"),
    ],
)
def test_a_request_that_cannot_be(dataset: Dataset, setting: dict[str, object], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        request(dataset, **setting)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"resolution": 16}, "train at their own"),
        ({"epochs": 0, "head_epochs": 2}, "epochs is 0; the networks of a study train as a whole"),
        ({"head_epochs": 2}, "head_epochs is 2; the networks of a study train as a whole.* leave it at 0"),
        ({"small_set": 500}, "small_set is 500; .* leave it at 0"),
        ({"head_is_enough": 0.5}, "head_is_enough is 0.5; .* leave it at 0.95"),
        ({"head_learning_rate": 0.5}, "head_learning_rate is 0.5"),
        ({"head_weight_decay": 0.5}, "head_weight_decay is 0.5"),
    ],
)
def test_a_recipe_that_a_study_would_ignore_is_refused(dataset: Dataset, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        request(dataset, recipe=replace(QUICK, **changes))


def test_what_trainings_do_otherwise_than_asked_is_noted(dataset: Dataset) -> None:
    images = len(dataset.train)
    todo = prepare(request(dataset, recipe=replace(QUICK, batch_size=64)), dataset, "cpu")
    assert f"batch size {images} instead of 64: there are {images} training images" in todo.plan.notes


def test_a_request_says_what_is_scaled(dataset: Dataset) -> None:
    """As the design of a model from its study does."""
    asked = request(dataset)
    assert asked.baseline_in_words == baseline_in_words(FINE.name, FINE.resolution)
    factory = replace(asked, baseline={"factory": "mine:net", "resolution": 64})
    assert factory.baseline_in_words == "mine:net at 64 px"


def test_the_classes_are_counted(dataset: Dataset) -> None:
    """The baseline of a study costs what it costs with the data's classes, not ImageNet's."""
    todo = prepare(request(dataset), dataset, "cpu")
    arch = todo.conditions.baseline.realised(todo.plan.candidates[0].multipliers)
    assert isinstance(arch, Architecture) and arch.classes == 3


def test_a_factory_that_ignores_depth_can_be_scaled_in_width(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(tmp_path, monkeypatch, "factory_of_one_depth", NET.replace("2 * depth", "2"))

    def made(*rules: str) -> Prepared:
        asked = request_for(
            "axes", name, dataset.name, QUICK, dataset=dataset, resolution=16,
            factors=(2.0,), rules=dict.fromkeys(rules), train_images=None, val_images=None,
        )  # fmt: skip
        return prepare(asked, dataset, "cpu")

    assert {c.tags["rule"] for c in made("width").plan.candidates} == {"baseline", "width"}
    with pytest.raises(RequestError, match="ignores depth"):
        made("width", "efficientnet")


def test_images_of_one_class_cannot_judge(tmp_path: Path) -> None:
    images = tmp_path / "images"
    pictures(images / "train")
    shutil.copytree(images / "train" / "red", images / "val" / "red")
    with pytest.raises(RequestError, match="images of one class only for validation"):
        read_data(str(images), None, None, lambda event: None)


def test_a_class_without_training_images_cannot_be_learnt(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [i for i, label in enumerate(dataset.train.labels) if label != 1]
    rest = Split(files=tuple(dataset.train.files[i] for i in kept), labels=tuple(dataset.train.labels[i] for i in kept))
    monkeypatch.setattr(study, "open_dataset", lambda data, progress: replace(dataset, train=rest))
    with pytest.raises(RequestError, match="'photos' has no images of green for training"):
        read_data("photos", None, None, lambda event: None)
