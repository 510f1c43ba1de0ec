"""What follows from a request on any machine: the networks to train, and their trainings until none is missing."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from compoundnet.architecture import Architecture
from compoundnet.baselines import open_baseline
from compoundnet.data import Dataset, Split, open_dataset, subset
from compoundnet.errors import FailureError, RequestError
from compoundnet.run import RunFolder
from compoundnet.scaling.baseline import ArchitectureBaseline, Baseline
from compoundnet.search.engine.halving import gives_up
from compoundnet.search.engine.storage import Study
from compoundnet.search.engine.worker import Ended, TrialEvent, work
from compoundnet.search.evaluate import Conditions, train_candidate, try_conditions
from compoundnet.search.plan import StudyPlan, check_tags, plan_axes, plan_coefficients
from compoundnet.search.propose import next_points
from compoundnet.search.request import Kind, Request
from compoundnet.search.trials import Candidate, Outcome
from compoundnet.train.progress import Note, Observer, counting, silent
from compoundnet.train.recipe import Recipe

__all__ = ["Prepared", "carry_out", "prepare", "read_data", "wanted"]

_POOL = 4  # networks that a model chooses from, for one that is trained


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prepared:
    """A request made ready on this machine: what to train, and how."""

    request: Request
    plan: StudyPlan
    conditions: Conditions


def read_data(data: str, train_images: int | None, val_images: int | None, observer: Observer) -> Dataset:
    """The images of a study.

    Raises:
        RequestError: none to learn from or to judge by, all of one class, or a class without any to learn from.
    """
    whole = open_dataset(data, progress=counting(observer, "reading images"))
    part = subset(whole, train=train_images, val=val_images)
    present = set(part.train.labels)
    if lacking := [name for i, name in enumerate(part.classes) if i not in present]:
        raise RequestError(f"{data!r} has no images of {', '.join(lacking)} for training; add some, or leave it out")
    _check_classes(data, "training", part.train)
    _check_classes(data, "validation", part.val)
    return part


def prepare(
    request: Request,
    dataset: Dataset,
    device: str | None = None,
    workers: int | None = None,
    observer: Observer = silent,
) -> Prepared:
    """Everything that follows from a request; the same on every machine. Nothing is written.

    Raises:
        RequestError: other images than the request's, a baseline that cannot be scaled or trained as asked, or a
            device that is not there.
    """
    if dataset.fingerprint != request.fingerprint:
        raise RequestError(f"{dataset.name} holds other images than the study was made with; name the same ones")
    baseline = _baseline(request, len(dataset.classes), observer)
    conditions = Conditions(
        baseline=baseline,
        dataset=dataset,
        recipe=Recipe.from_json(request.recipe),
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
        workers=workers,
    )
    notes = try_conditions(conditions)
    first = conditions.recipe.seed
    plan = _PLANS[request.kind](request, baseline, range(first, first + request.seeds))
    cautions = (baseline.caution,) if baseline.caution else ()
    return Prepared(request=request, plan=replace(plan, notes=(*notes, *plan.notes, *cautions)), conditions=conditions)


def carry_out(
    study: Study, todo: Prepared, *, stop: Callable[[], bool], observer: Observer, told: Callable[[TrialEvent], None]
) -> tuple[Outcome, ...]:
    """Train what the study still lacks, with any other workers; all its outcomes.

    ``observer`` is told of the steps of each training, ``told`` of trials.

    Raises:
        FailureError: every training failed.
        RequestError: a trial's record is damaged.
        StoppedError: ``stop`` said so.
    """
    request = todo.request
    give_up = None
    if request.min_epochs:
        give_up = partial(
            gives_up,
            min_epochs=request.min_epochs,
            factor=request.reduction,
            epochs=todo.conditions.recipe.epochs,
        )

    def watch(event: TrialEvent) -> None:
        if isinstance(event, Ended):  # its result is stored: the checkpoint is needed no more
            folder = RunFolder(study.trial_folder(event.outcome.candidate))
            shutil.rmtree(folder.checkpoint_folder, ignore_errors=True)
        told(event)

    outcomes = work(
        study,
        partial(wanted, todo),
        partial(train_candidate, todo.conditions, observer=observer, stop=stop),
        gives_up=give_up,
        stop=stop,
        observer=watch,
    )
    if all(outcome.state == "failed" for outcome in outcomes):
        raise FailureError(f"all {len(outcomes)} trainings failed; the first: {outcomes[0].info.get('error')}")
    return outcomes


def wanted(todo: Prepared, outcomes: Sequence[Outcome]) -> Sequence[Candidate]:
    """The candidates that the study should have, given what has ended; a pure function.

    Raises:
        RequestError: an outcome's tags are damaged.
    """
    for outcome in outcomes:
        check_tags(outcome.candidate)
    everything, request = todo.plan.candidates, todo.request
    if request.method == "grid":
        return everything
    ended = {outcome.candidate.key for outcome in outcomes}
    begun = {(o.candidate.group, o.candidate.network) for o in outcomes} | _first(todo)
    missing = [c for c in everything if (c.group, c.network) in begun and c.key not in ended]
    if missing or len(begun) >= request.networks * len(request.phis):
        return missing
    return next_points(outcomes, everything, 1)


def _first(todo: Prepared) -> set[tuple[str, str]]:
    """The networks of each phi that a model begins with."""
    names: dict[str, list[str]] = {}
    for candidate in todo.plan.candidates:
        group = names.setdefault(candidate.group, [])
        if candidate.network not in group:
            group.append(candidate.network)
    few = -(-todo.request.networks // 3)
    return {(group, name) for group, found in names.items() for name in found[:few]}


def _plan_coefficients(request: Request, baseline: Baseline, seeds: Sequence[int]) -> StudyPlan:
    pool = request.networks * (_POOL if request.method == "model" else 1)
    return plan_coefficients(baseline, request.phis, pool, seeds, request.tolerance)


def _plan_axes(request: Request, baseline: Baseline, seeds: Sequence[int]) -> StudyPlan:
    return plan_axes(baseline, request.named_rules(), request.factors, seeds, request.bases)


_PLANS: Mapping[Kind, Callable[[Request, Baseline, Sequence[int]], StudyPlan]] = {
    "coefficients": _plan_coefficients,
    "axes": _plan_axes,
}


def _baseline(request: Request, classes: int, observer: Observer) -> Baseline:
    """As described, with the data's classes, so that costs are those of the networks that are trained."""
    described: Mapping[str, Any] = request.baseline
    if "factory" in described:
        return open_baseline(
            described["factory"], described["resolution"], scales=request.scales, tell=lambda text: observer(Note(text))
        )
    arch = Architecture.from_json(json.dumps(described["architecture"]))
    return ArchitectureBaseline(replace(arch, classes=classes))


def _check_classes(data: str, part: str, split: Split) -> None:
    if len(set(split.labels)) < 2:
        what = "images of one class only" if len(split) else "no images"
        raise RequestError(
            f"{data!r} has {what} for {part}; candidates are compared by how well they tell classes apart"
        )
