"""A whole training: data, weights, network, both phases, evaluation, report, in one resumable call."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from compoundnet import zoo
from compoundnet.checks import check_outside
from compoundnet.data import Dataset, open_dataset
from compoundnet.errors import FailureError, RequestError, StoppedError
from compoundnet.files import write_atomically
from compoundnet.nn.comparators import AnyModule, build_network
from compoundnet.preprocessing import Preprocessing
from compoundnet.run import RunFolder
from compoundnet.train.finish import finish
from compoundnet.train.head import train_classifier
from compoundnet.train.job import RunJob
from compoundnet.train.loop import train_network
from compoundnet.train.plan import make_plan
from compoundnet.train.progress import Advance, Event, Note, Observer, silent, tensorboard
from compoundnet.train.recipe import RECIPES, Recipe
from compoundnet.train.record import changes_since, make_record, matching_record
from compoundnet.weights import Weights, apply_weights, read_weights
from compoundnet.zoo import AnyNetwork, Comparator

__all__ = ["train"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def train(
    architecture: AnyNetwork | str,
    data: str | Path | Dataset,
    output: str | Path,
    *,
    weights: str | Path | None = None,
    recipe: Recipe | None = None,
    device: str | None = None,
    workers: int | None = None,
    on_bad: Literal["skip", "fail"] = "skip",
    observer: Observer = silent,
    stop: Callable[[], bool] = lambda: False,
) -> RunFolder:
    """Train ``architecture`` on ``data`` and leave everything in the run folder ``output``.

    ``data`` may be opened already. Without a recipe: ``finetune`` from weights, ``scratch`` without.
    If ``output`` holds the same training, unfinished, it goes on from its checkpoint, bit for bit;
    finished, nothing is done.
    ``stop`` is asked at every step.

    Raises:
        RequestError: bad data, weights or recipe, or a folder that holds something else; nothing is overwritten.
        FailureError: the training went wrong (a loss that is no number, a full disk).
        StoppedError: ``stop`` said so; the same call goes on.
    """
    dataset = data if isinstance(data, Dataset) else _read(data, output, on_bad, observer, stop)
    base = zoo.network(architecture) if isinstance(architecture, str) else architecture
    recipe = recipe or RECIPES["scratch" if weights is None else "finetune"]
    arch = _fitted(base, dataset, recipe)
    initial = None if weights is None else read_weights(weights, arch)
    prepared, origin = _preprocessing(base, initial)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    job = RunJob(
        architecture=replace(arch, resolution=prepared.resolution),
        weights=initial,
        dataset=dataset,
        plan=make_plan(recipe, dataset, prepared, device, workers),
        folder=RunFolder(Path(output)),
        observer=observer,
        stop=stop,
    )
    record = matching_record(job)
    if record.get("status") == "finished" and job.folder.weights_file.exists():
        observer(Note(f"{output} holds this training, finished; see {job.folder.report_file}"))
        return job.folder
    for bad in dataset.bad:
        observer(Note(f"skipped {bad.file}: {bad.reason}"))
    for text in (*dataset.notes, *origin, *_ignored(base, recipe), *job.plan.notes, *changes_since(record)):
        observer(Note(text))
    try:
        _carry_out(job, new="status" not in record)
    except OSError as error:
        told = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        remedy = "make room and repeat" if error.errno in _NO_ROOM else "mend it and repeat"
        raise FailureError(f"run {output} failed: {told}; {remedy} the same command, it goes on") from error
    return job.folder


def _read(
    data: str | Path, output: str | Path, on_bad: Literal["skip", "fail"], observer: Observer, stop: Callable[[], bool]
) -> Dataset:
    check_outside("run", output, data)

    def reading(done: int, total: int) -> None:
        observer(Advance("reading images", done, total))
        if stop():
            raise StoppedError("stopped while reading images")

    return open_dataset(data, on_bad=on_bad, progress=reading)


def _fitted(base: AnyNetwork, dataset: Dataset, recipe: Recipe) -> AnyNetwork:
    """The network for the data's classes, with the recipe's rates."""
    if base.in_channels != 3:
        raise RequestError(f"{base.name} takes {base.in_channels} channels; images are read as 3 (RGB)")
    dropout = base.dropout if recipe.dropout is None else recipe.dropout
    fitted = replace(base, classes=len(dataset.classes), dropout=dropout)
    if isinstance(fitted, Comparator):
        if recipe.resolution is not None:
            fitted.check_side("recipe resolution", recipe.resolution)
        return fitted
    return replace(fitted, drop_path=fitted.drop_path if recipe.drop_path is None else recipe.drop_path)


def _ignored(network: AnyNetwork, recipe: Recipe) -> list[str]:
    """A note on a setting that means nothing to the network."""
    if not isinstance(network, Comparator) or not recipe.drop_path:
        return []
    return [f"{network.name} has no stochastic depth: the recipe's drop_path of {recipe.drop_path:g} is not used"]


def _preprocessing(base: AnyNetwork, weights: Weights | None) -> tuple[Preprocessing, list[str]]:
    """That of the weights; where they record none, that of the published network, with a note that says so."""
    if weights is None:
        return zoo.preprocessing(base), []
    if weights.preprocessing is not None:
        return _sized(weights.preprocessing, base), []
    prepared = zoo.preprocessing(base)
    return prepared, [
        f"{weights.source} does not record its preprocessing; taking what {base.name} was published with: "
        f"{prepared.resolution} px, mean {prepared.mean}, std {prepared.std}"
    ]


def _sized(prepared: Preprocessing, base: AnyNetwork) -> Preprocessing:
    """At the record's resolution for a published network; at its own for one that was scaled or changed."""
    known = base.name in zoo.list_networks() and zoo.network(base.name).resolution == base.resolution
    return prepared if known else replace(prepared, resolution=base.resolution)


def _carry_out(job: RunJob, new: bool) -> None:
    with job.folder.locked():
        for place in (job.folder.path, job.folder.checkpoint_folder):
            for partial in place.glob(".partial-*"):  # a process that was killed while it wrote
                partial.unlink(missing_ok=True)
        if new:
            job.folder.write_record(make_record(job, "training"))
        write_atomically(job.folder.architecture_file, job.architecture.to_json() + "\n")
        with _reproducible(), tensorboard(job.folder, len(job.folder.read_metrics())) as chart:

            def both(event: Event) -> None:
                job.observer(event)
                chart(event)

            _train_and_finish(replace(job, observer=both))


def _train_and_finish(job: RunJob) -> None:
    network = _initial_network(job)
    if not (job.plan.recipe.head_epochs and _head_is_enough(network, job)) and job.plan.recipe.epochs:
        train_network(network, job)
    finish(network, job)


@contextmanager
def _reproducible() -> Iterator[None]:
    """Algorithms that give the same bits every time, inside; the earlier choice and random state are put back."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, before its first use
    state = torch.get_rng_state()
    was, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)
        torch.set_rng_state(state)


def _initial_network(job: RunJob) -> AnyModule:
    torch.manual_seed(job.plan.recipe.seed)
    network = build_network(job.architecture)
    if job.weights is not None:
        apply_weights(network, job.weights)
    placed: AnyModule = network.to(job.plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def _head_is_enough(network: AnyModule, job: RunJob) -> bool:
    """Train the classifier alone; whether a small set needs no more."""
    reached, recipe, images = train_classifier(network, job), job.plan.recipe, len(job.dataset.train)
    if reached is None or reached < recipe.head_is_enough or images >= recipe.small_set:
        return False
    text = (
        f"a small set ({images} training images), and the classifier alone reaches {100 * reached:.1f} % in validation"
    )
    job.observer(Note(f"{text}: the rest of the network stays as it is"))
    return True
