"""What a recipe comes to: batches that fit, weights of classes, precisions and devices that exist."""

from pathlib import Path

import pytest
import torch

from compoundnet.data import Dataset, Split
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing
from compoundnet.train import Recipe
from compoundnet.train.plan import Plan, make_plan


def dataset(*sizes: int) -> Dataset:
    labels = tuple(label for label, size in enumerate(sizes) for _ in range(size))
    empty = Split(files=(), labels=())
    train = Split(files=tuple(Path(f"{i}.png") for i in range(len(labels))), labels=labels)
    classes = tuple(f"class {i}" for i in range(len(sizes)))
    return Dataset(name="d", classes=classes, train=train, val=empty, test=empty, fingerprint="", bad=(), notes=())


def planned(recipe: Recipe, *sizes: int, device: str = "cpu", workers: int | None = None) -> Plan:
    return make_plan(recipe, dataset(*sizes), Preprocessing(resolution=32), device, workers)


@pytest.mark.parametrize(
    ("images", "batch_size", "accumulate", "expected"),
    [
        (100, 32, 1, (32, 1, 3)),
        (100, 10, 4, (10, 4, 2)),  # ten batches: the last two do not make a step
        (20, 32, 1, (20, 1, 1)),  # fewer images than a batch
        (20, 32, 8, (20, 1, 1)),
        (20, 8, 8, (8, 2, 1)),  # fewer batches than a step
        (4, 2, 1, (2, 1, 2)),
    ],
)
def test_batches(images: int, batch_size: int, accumulate: int, expected: tuple[int, int, int]) -> None:
    plan = planned(Recipe(batch_size=batch_size, accumulate=accumulate), images - 1, 1)
    assert (plan.batch_size, plan.accumulate, plan.steps_per_epoch) == expected
    assert any("batch size" in note for note in plan.notes) == (expected[0] < batch_size)


def test_a_smaller_batch_is_told() -> None:
    assert planned(Recipe(), 3, 4).notes == ("batch size 7 instead of 32: there are 7 training images",)


def test_a_class_without_training_images_is_told() -> None:
    assert "no training image of class 1: cannot be learnt" in planned(Recipe(batch_size=2), 3, 0, 4).notes


@pytest.mark.parametrize(
    ("choice", "sizes", "expected"),
    [
        ("auto", (10, 39), None),
        ("auto", (10, 40), (2.5, 0.625)),  # four times as many
        ("balanced", (10, 30), (2.0, 2 / 3)),
        ("balanced", (10, 10), (1.0, 1.0)),
        ("none", (1, 99), None),
        ("auto", (10, 0, 20), None),  # a class that nothing is known of
        ("balanced", (10, 0, 30), (2.0, 0.0, 2 / 3)),
    ],
)
def test_class_weights(choice: str, sizes: tuple[int, ...], expected: tuple[float, ...] | None) -> None:
    plan = planned(Recipe(class_weights=choice, batch_size=2), *sizes)  # type: ignore[arg-type]
    weights = plan.loss_weights()
    if expected is None:
        assert plan.class_weights is weights is None
        return
    assert plan.class_weights == pytest.approx(expected)
    assert weights is not None
    assert weights.tolist() == pytest.approx(expected)
    mean = sum(w * n for w, n in zip(expected, sizes, strict=True)) / sum(sizes)
    assert mean == pytest.approx(1)


def test_resolution_is_that_of_evaluation_unless_given() -> None:
    assert planned(Recipe(), 4, 4).resolution == 32
    assert planned(Recipe(resolution=24), 4, 4).resolution == 24


def test_cpu_defaults() -> None:
    plan = planned(Recipe(), 4, 4)
    assert (plan.dtype, plan.workers, plan.device) == (torch.float32, 0, "cpu")
    assert planned(Recipe(), 4, 4, workers=3).workers == 3
    assert planned(Recipe(precision="bfloat16"), 4, 4).dtype == torch.bfloat16


def test_float16_needs_a_gpu() -> None:
    with pytest.raises(RequestError, match="precision float16 needs a GPU; use bfloat16 or float32"):
        planned(Recipe(precision="float16"), 4, 4)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta meta", ""])
def test_devices_that_do_not_exist(device: str) -> None:
    with pytest.raises(RequestError, match=rf"device '{device}' cannot be used \(.*\); try cpu") as caught:
        planned(Recipe(), 4, 4, device=device)
    assert "\n" not in str(caught.value)


def test_a_batch_of_one_needs_frozen_norms() -> None:
    with pytest.raises(RequestError, match="a batch of 1 image has no statistics"):
        planned(Recipe(batch_size=1), 4, 4)
    assert planned(Recipe(batch_size=1, norm="frozen"), 4, 4).batch_size == 1


def test_fewer_batches_than_asked_for_are_told() -> None:
    (note,) = planned(Recipe(batch_size=4, accumulate=100), 8, 8).notes
    assert note == "accumulating 4 batches instead of 100: an epoch has 4"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"workers": -1}, "workers is -1"),
        ({"workers": 10**6}, "workers is 1000000"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used"),
        ({"device": "gpu"}, "device 'gpu' cannot be used"),
    ],
)
def test_a_device_or_workers_that_cannot_be(more: dict[str, object], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        planned(Recipe(), 3, 4, **more)  # type: ignore[arg-type]
