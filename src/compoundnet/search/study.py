"""A study as a request: what is asked for, as JSON that every worker reads, and what follows from it.

All that a worker needs is in the request, so that any machine which has the same images may join.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from compoundnet.architecture import Architecture
from compoundnet.baselines import FactoryBaseline, open_baseline
from compoundnet.checks import check_choice, check_number, check_whole
from compoundnet.data import Dataset, open_dataset, subset
from compoundnet.errors import RequestError
from compoundnet.run import RunFolder
from compoundnet.scaling import Multipliers
from compoundnet.scaling.baseline import ArchitectureBaseline, Baseline
from compoundnet.scaling.compound import Rule, find
from compoundnet.search.answers.surface import next_points
from compoundnet.search.engine.halving import gives_up
from compoundnet.search.engine.storage import Study
from compoundnet.search.engine.worker import Ended, Event, work
from compoundnet.search.evaluate import Setting, build_scaled, train_candidate
from compoundnet.search.plan import Plan, plan_axes, plan_coefficients
from compoundnet.search.trials import Candidate, Outcome
from compoundnet.train.progress import Advance, Observer
from compoundnet.train.recipe import Recipe

__all__ = ["Request", "Work", "carry_out", "prepare", "read_data", "request_for", "wanted"]

_POOL = 4  # networks that a model chooses from, for one that is trained

Kind = Literal["coefficients", "axes"]
Method = Literal["grid", "model"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a study is asked for.

    Attributes:
        kind: the search of alpha, beta, gamma, or the comparison of axes.
        baseline: ``{"architecture": {...}}`` or ``{"factory": "package.module:name", "resolution": 224}``.
        data: where the images were; a worker elsewhere may name another place with the same images.
        fingerprint: of the images that are used.
        train_images: how many of them are trained on; None: all.
        val_images: how many of them judge; None: all.
        recipe: of every training; its seed is the first.
        seeds: trainings of each network, from as many seeds.
        phis: of coefficients: cost factors 2^phi.
        networks: of coefficients: how many distinct ones are tried at each phi.
        tolerance: of coefficients: how far realised MACs may lie from 2^phi times the baseline's, as a share.
        method: of coefficients: ``grid`` spreads the networks evenly; ``model`` begins with a third of them, and then
            takes from a pool four times as large the one that promises most.
        factors: of axes: cost factors.
        rules: of axes: published rules by name, or shares [depth, width, resolution] by any name.
        min_epochs: before which no trial is given up; 0: none is.
        reduction: of successive halving: how many arrive at a rung for one that goes on.

    Raises:
        RequestError: a number that cannot be.
    """

    kind: Kind
    baseline: Mapping[str, Any]
    data: str
    fingerprint: str
    train_images: int | None
    val_images: int | None
    recipe: Mapping[str, Any]
    seeds: int = 3
    phis: tuple[float, ...] = (1.0,)
    networks: int = 15
    tolerance: float = 0.05
    method: Method = "grid"
    factors: tuple[float, ...] = (2.0, 4.0)
    rules: Mapping[str, Any] | None = None
    min_epochs: int = 0
    reduction: int = 3

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("coefficients", "axes"))
        check_choice("method", self.method, ("grid", "model"))
        for name, least in (("seeds", 1), ("networks", 3), ("min_epochs", 0), ("reduction", 2)):
            check_whole(name, getattr(self, name), least=least)
        check_number("tolerance", self.tolerance, lambda x: 0 < x <= 0.5, "lie in (0, 0.5], such as 0.05")
        for name, fits, right in (
            ("phis", lambda x: 0 < x <= 10, "lie in (0, 10]"),
            ("factors", lambda x: 1 < x <= 1000, "lie in (1, 1000]"),
        ):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise RequestError(f"{name} is {list(values)}; it must be one or more different numbers")
            for value in values:
                check_number(name, value, fits, right)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        record = {name: getattr(self, name) for name in self.__slots__}
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Request":
        """What :meth:`to_json` gave. RequestError: it did not."""
        try:
            return cls(**{**record, "phis": tuple(record["phis"]), "factors": tuple(record["factors"])})
        except (TypeError, KeyError) as error:
            raise RequestError(
                f"the study's request cannot be read ({error}); it was written by another version"
            ) from error


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Work:
    """A request made ready on this machine: what to train, and how."""

    request: Request
    plan: Plan
    setting: Setting


def request_for(
    kind: Kind,
    baseline: str | Architecture,
    data: str,
    recipe: Recipe,
    *,
    dataset: Dataset,
    resolution: int | None = None,
    **more: Any,
) -> Request:
    """The request for a study of ``baseline`` (a name, a file, a factory) on ``dataset``, read from ``data``.

    Raises:
        RequestError: a baseline, recipe or number that cannot be.
    """
    if recipe.resolution is not None:
        raise RequestError(f"recipe resolution is {recipe.resolution}; the networks of a study train at their own")
    opened = open_baseline(baseline, resolution)
    described: dict[str, Any]
    if isinstance(opened, FactoryBaseline):
        described = {"factory": opened.name, "resolution": opened.resolution}
    else:
        assert isinstance(opened, ArchitectureBaseline)
        described = {"architecture": json.loads(opened.architecture.to_json())}
    return Request(
        kind=kind,
        baseline=described,
        data=data if ":" in data else str(Path(data).resolve()) if Path(data).exists() else data,
        fingerprint=dataset.fingerprint,
        recipe=recipe.to_json(),
        **more,
    )


def read_data(data: str, train_images: int | None, val_images: int | None, observer: Observer) -> Dataset:
    """The images of a study. RequestError: there are none to judge by."""
    whole = open_dataset(data, progress=lambda done, total: observer(Advance("reading images", done, total)))
    part = subset(whole, train=train_images, val=val_images)
    if not len(part.val):
        raise RequestError(f"{data!r} has no validation images; candidates are judged by them")
    return part


def prepare(request: Request, dataset: Dataset, device: str | None = None, workers: int | None = None) -> Work:
    """Everything that follows from a request; the same on every machine.

    Raises:
        RequestError: other images than the request's, or a baseline that cannot be scaled as asked.
    """
    if dataset.fingerprint != request.fingerprint:
        raise RequestError(f"{dataset.name} holds other images than the study was made with; name the same ones")
    baseline = _baseline(request.baseline, len(dataset.classes))
    seeds = range(request.recipe["seed"], request.recipe["seed"] + request.seeds)
    if request.kind == "coefficients":
        pool = request.networks * (_POOL if request.method == "model" else 1)
        plan = plan_coefficients(baseline, request.phis, pool, seeds, request.tolerance)
    else:
        rules = {name: _rule(name, shares) for name, shares in (request.rules or {}).items()}
        plan = plan_axes(baseline, rules, request.factors, seeds)
    setting = Setting(
        baseline=baseline,
        dataset=dataset,
        recipe=Recipe.from_json(request.recipe),
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
        workers=workers,
    )
    if isinstance(baseline, FactoryBaseline):  # before anything is written: whether its networks can be trained at all
        one = Multipliers(1.0, 1.0, 1.0)
        build_scaled(baseline, one, len(dataset.classes), setting.recipe, baseline.resolution_at(1.0))
    return Work(request=request, plan=plan, setting=setting)


def carry_out(
    study: Study, todo: Work, *, stop: Callable[[], bool], observer: Observer, told: Callable[[Event], None]
) -> tuple[Outcome, ...]:
    """Train what the study still lacks, with any other workers; all its outcomes.

    ``observer`` is told of the steps of each training, ``told`` of trials.

    Raises:
        StoppedError: ``stop`` said so.
    """
    request = todo.request
    give_up = None
    if request.min_epochs:
        give_up = partial(gives_up, min_epochs=request.min_epochs, factor=request.reduction)

    def watch(event: Event) -> None:
        if isinstance(event, Ended):  # its result is stored: the checkpoint is needed no more
            folder = RunFolder(study.trial_folder(event.outcome.candidate))
            shutil.rmtree(folder.checkpoint_folder, ignore_errors=True)
        told(event)

    return work(
        study,
        partial(wanted, todo),
        lambda candidate, folder, report: train_candidate(
            todo.setting, candidate, folder, report, observer=observer, stop=stop
        ),
        gives_up=give_up,
        stop=stop,
        observer=watch,
    )


def wanted(todo: Work, outcomes: Sequence[Outcome]) -> Sequence[Candidate]:
    """The candidates that the study should have, given what has ended; a pure function."""
    everything, request = todo.plan.candidates, todo.request
    if request.kind == "axes" or request.method == "grid":
        return everything
    ended = {outcome.candidate.key for outcome in outcomes}
    begun = {(o.candidate.group, o.candidate.network) for o in outcomes} | _first(todo)
    missing = [c for c in everything if (c.group, c.network) in begun and c.key not in ended]
    if missing or len(begun) >= request.networks * len(request.phis):
        return missing
    return next_points(outcomes, everything, 1)


def _first(todo: Work) -> set[tuple[str, str]]:
    """The networks of each phi that a model begins with."""
    names: dict[str, list[str]] = {}
    for candidate in todo.plan.candidates:
        group = names.setdefault(candidate.group, [])
        if candidate.network not in group:
            group.append(candidate.network)
    few = -(-todo.request.networks // 3)
    return {(group, name) for group, found in names.items() for name in found[:few]}


def _rule(name: str, shares: Sequence[float] | None) -> Rule:
    return find(name) if shares is None else Rule(**dict(zip(("depth", "width", "resolution"), shares, strict=True)))


def _baseline(described: Mapping[str, Any], classes: int) -> Baseline:
    """As described, with the data's classes, so that costs are those of the networks that are trained."""
    if "factory" in described:
        return open_baseline(described["factory"], described["resolution"])
    arch = Architecture.from_json(json.dumps(described["architecture"]))
    return ArchitectureBaseline(replace(arch, classes=classes))
