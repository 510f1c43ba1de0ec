"""What a recipe comes to for this data on this device: every "auto" decided, with the reasons in words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from compoundnet.checks import check_whole
from compoundnet.data import Batch, Dataset, Split, batches
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing
from compoundnet.run import using_device
from compoundnet.train.recipe import Recipe
from compoundnet.weights.layout import few

__all__ = ["Plan", "make_plan", "training_batches"]

_MOST_WORKERS = 1024
_SKEWED = 4.0  # largest class over smallest, from which "auto" balances


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A recipe without open questions. ``class_weights`` is a float per class, of mean 1 over the images."""

    recipe: Recipe
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    device: str
    workers: int
    dtype: torch.dtype
    batch_size: int
    accumulate: int
    steps_per_epoch: int
    resolution: int
    class_weights: tuple[float, ...] | None
    notes: tuple[str, ...]

    def loss_weights(self) -> torch.Tensor | None:
        """``class_weights`` as a tensor on the device."""
        return None if self.class_weights is None else torch.tensor(self.class_weights, device=self.device)


def make_plan(recipe: Recipe, dataset: Dataset, preprocessing: Preprocessing, device: str, workers: int | None) -> Plan:
    """Decide what the recipe leaves open.

    Raises:
        RequestError: no such device, or a precision it cannot do.
    """
    _check_device(device)
    if workers is not None:
        check_whole("workers", workers, least=0, most=_MOST_WORKERS)
    images = len(dataset.train)
    batch_size = min(recipe.batch_size, images)
    if batch_size == 1 and recipe.norm != "frozen" and recipe.epochs:
        raise RequestError(
            "a batch of 1 image has no statistics for batch norm; take a larger batch_size, or norm frozen"
        )
    batches = images // batch_size
    accumulate = min(recipe.accumulate, batches)
    counts = Counter(dataset.train.labels)
    sizes = [counts[i] for i in range(len(dataset.classes))]
    weights = _class_weights(recipe, sizes)
    notes = []
    if missing := [name for name, size in zip(dataset.classes, sizes, strict=True) if not size]:
        notes.append(f"no training image of {few(missing)}: cannot be learnt")
    if batch_size < recipe.batch_size:
        notes.append(f"batch size {batch_size} instead of {recipe.batch_size}: there are {images} training images")
    if accumulate < recipe.accumulate:
        notes.append(f"accumulating {accumulate} batches instead of {recipe.accumulate}: an epoch has {batches}")
    if weights is not None and len(set(weights)) > 1:
        notes.append("classes differ in size: each is weighed inversely to its number of images")
    return Plan(
        recipe=recipe,
        preprocessing=preprocessing,
        classes=dataset.classes,
        device=device,
        workers=_workers(device) if workers is None else workers,
        dtype=_dtype(recipe, device),
        batch_size=batch_size,
        accumulate=accumulate,
        steps_per_epoch=batches // accumulate,
        resolution=recipe.resolution or preprocessing.resolution,
        class_weights=weights,
        notes=tuple(notes),
    )


def training_batches(plan: Plan, split: Split, epoch: int, start: int = 0) -> Iterator[Batch]:
    """The augmented batches of one epoch in the plan's order, whole ones only, from number ``start`` on."""
    return batches(
        split,
        preprocessing=plan.preprocessing,
        augmentation=plan.recipe.augmentation,
        resolution=plan.resolution,
        batch_size=plan.batch_size,
        seed=plan.recipe.seed,
        epoch=epoch,
        shuffle=True,
        drop_last=True,
        start=start,
        workers=plan.workers,
    )


def _check_device(device: str) -> None:
    with using_device(device):
        torch.empty(1, device=device).item()  # a device that holds no values is none to train on


def _workers(device: str) -> int:
    """On a CPU the training itself wants every core; a GPU is fed by up to eight processes."""
    if torch.device(device).type == "cpu":
        return 0
    import os

    return min(8, os.cpu_count() or 1)


def _dtype(recipe: Recipe, device: str) -> torch.dtype:
    """Half precision where it pays: processors without bfloat16 units emulate it, many times slower."""
    on_cpu = torch.device(device).type == "cpu"
    if recipe.precision != "auto":
        if recipe.precision == "float16" and on_cpu:
            raise RequestError("precision float16 needs a GPU; use bfloat16 or float32 on the CPU")
        dtype: torch.dtype = getattr(torch, recipe.precision)
        return dtype
    if on_cpu:
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _class_weights(recipe: Recipe, sizes: Sequence[int]) -> tuple[float, ...] | None:
    """A weight a class, of mean 1 over the images; a class without images gets 0, as nothing of it can be learnt."""
    there = [size for size in sizes if size]
    skewed = max(there) >= _SKEWED * min(there)
    if recipe.class_weights == "none" or (recipe.class_weights == "auto" and not skewed):
        return None
    return tuple(sum(there) / (len(there) * size) if size else 0.0 for size in sizes)
