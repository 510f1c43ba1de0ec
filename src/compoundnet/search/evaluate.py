"""Training a candidate on the study's data: what a trial measures."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from compoundnet.architecture import Architecture
from compoundnet.baselines import FactoryBaseline, aside
from compoundnet.data import Dataset
from compoundnet.errors import FailureError, RequestError, StoppedError, foreign
from compoundnet.nn import build
from compoundnet.preprocessing import Preprocessing
from compoundnet.run import RunFolder
from compoundnet.scaling import Multipliers
from compoundnet.scaling.baseline import ArchitectureBaseline, Baseline
from compoundnet.search.trials import Candidate
from compoundnet.train.job import Job
from compoundnet.train.loop import kept_rows, train_network
from compoundnet.train.plan import make_plan
from compoundnet.train.progress import Epoch, Event, Observer
from compoundnet.train.recipe import Recipe

__all__ = ["Conditions", "Report", "build_scaled", "train_candidate", "try_conditions"]

Report: TypeAlias = Callable[[int, float], bool]
"""Told (epochs done, validation accuracy); True: the candidate is to be given up."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Conditions:
    """What all candidates of a study share."""

    baseline: Baseline
    dataset: Dataset
    recipe: Recipe
    device: str = "cpu"
    workers: int | None = 0


def train_candidate(
    conditions: Conditions,
    candidate: Candidate,
    folder: Path,
    report: Report,
    *,
    observer: Observer,
    stop: Callable[[], bool],
) -> tuple[float, dict[str, Any]]:
    """Train ``candidate`` and say its validation accuracy after the last epoch, with the seconds that it took.

    Goes on from the checkpoint in ``folder``, bit for bit, if another worker left one there; the epochs it
    had seen are reported again. The checkpoint stays, for the case that nobody hears of the result.

    Raises:
        FailureError: the training diverged.
        RequestError: the network cannot be built, or does not fit the data.
        StoppedError: ``stop`` said so; the same call goes on.
    """
    recipe = replace(conditions.recipe, seed=candidate.seed)
    side = conditions.baseline.resolution_at(candidate.multipliers.resolution)
    prepared = Preprocessing(resolution=side, crop_fraction=1.0)
    run = RunFolder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    network = build_scaled(conditions.baseline, candidate.multipliers, len(conditions.dataset.classes), recipe, side)
    curve: list[float] = []
    given_up = False

    def see(row: dict[str, Any]) -> None:
        nonlocal given_up
        curve.append(row["val_top1"])
        given_up = report(len(curve), curve[-1]) or given_up

    def watch(event: Event) -> None:
        if isinstance(event, Epoch):
            see(event.row)
        observer(event)

    for row in kept_rows(run):
        see(row)
    job = Job(
        dataset=conditions.dataset,
        plan=make_plan(recipe, conditions.dataset, prepared, conditions.device, conditions.workers),
        folder=run,
        observer=watch,
        stop=lambda: given_up or stop(),
    )
    try:
        if not given_up:
            with aside():
                train_network(network, job)
    except StoppedError:
        if not given_up:
            raise
    if not curve:
        raise FailureError("the training ended without a validation result; its data have no validation images")
    return curve[-1], {"seconds": sum(row["seconds"] for row in run.read_metrics())}


def try_conditions(conditions: Conditions) -> tuple[str, ...]:
    """Find out whether candidates can be trained at all, before a study is made; what is done otherwise than asked.

    Raises:
        RequestError: the device is not there or cannot do the recipe, or the baseline of a factory cannot be trained.
    """
    baseline, recipe, dataset = conditions.baseline, conditions.recipe, conditions.dataset
    side = baseline.resolution_at(1.0)
    prepared = Preprocessing(resolution=side, crop_fraction=1.0)
    plan = make_plan(recipe, dataset, prepared, conditions.device, conditions.workers)
    if isinstance(baseline, FactoryBaseline):
        build_scaled(baseline, Multipliers(1.0, 1.0, 1.0), len(dataset.classes), recipe, side)
    return plan.notes


def build_scaled(baseline: Baseline, by: Multipliers, classes: int, recipe: Recipe, side: int) -> nn.Module:
    """The module of a scaled baseline for that many classes.

    A factory gets ``num_classes`` if it takes one; else what it builds must have as many outputs.

    Raises:
        RequestError: it has not.
    """
    if isinstance(baseline, ArchitectureBaseline):
        arch: Architecture = baseline.realised(by)
        rates = {"dropout": recipe.dropout, "drop_path": recipe.drop_path}
        return build(replace(arch, classes=classes, **{k: v for k, v in rates.items() if v is not None}))  # type: ignore[arg-type]
    assert isinstance(baseline, FactoryBaseline)
    built = baseline.build(by, **({"num_classes": classes} if baseline.takes_classes else {}))
    for mode, images in (("evaluation", 1), ("training", 2)):  # some give more in training, or fail there alone
        _check_outputs(baseline.name, copy.deepcopy(built).train(mode == "training"), images, side, classes, mode)
    if not any(parameter.requires_grad for parameter in built.parameters()):
        raise RequestError(f"a network of {baseline.name} has no parameter that could be trained")
    return built


def _check_outputs(name: str, network: nn.Module, images: int, side: int, classes: int, mode: str) -> None:
    try:
        with torch.no_grad(), aside():
            outputs = network(torch.zeros(images, 3, side, side))
    except (Exception, SystemExit) as error:  # whatever somebody else's module does
        raise RequestError(
            f"a network of {name} cannot take images of {side} x {side} in {mode}: {foreign(error)}"
        ) from error
    got = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if got != (images, classes):
        raise RequestError(
            f"a network of {name} gives {got} for {images} image{'s' * (images > 1)} in {mode}, not a tensor "
            f"({images}, {classes}), the data's classes; let the factory take num_classes, or return that many outputs"
        )
