"""The second phase: the whole network, step by step, from wherever it was stopped.

Nothing random is carried from step to step: order and pixels depend on (seed, epoch, image); dropout,
stochastic depth and mixing on (seed, step). So a checkpoint is weights, moments and a few counters,
and a training that was killed goes on bit for bit as if it never had been.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet.data import Batch, mix, normalize, seed_for
from compoundnet.errors import FailureError, RequestError, StoppedError
from compoundnet.evaluate.inference import outputs
from compoundnet.run import RunFolder
from compoundnet.train.checkpoint import (
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    under,
    write_checkpoint,
)
from compoundnet.train.ema import Ema
from compoundnet.train.job import Job
from compoundnet.train.norms import freeze_norms, reestimate_norms
from compoundnet.train.optim import build_optimizer, set_rate
from compoundnet.train.plan import Plan, training_batches
from compoundnet.train.progress import Advance, Epoch, Step
from compoundnet.train.schedule import rate_factor

__all__ = ["check_logits", "kept_rows", "train_network"]

_SAVE_EVERY_S = 60.0
_REMEDY = "lower the learning rate, set clip_norm, or use float32"
_CHECK_EVERY = 50  # steps between looks at the loss, each of which waits for the device


@dataclass(slots=True)
class _Position:
    """How far the training is; with the tensors, all that a checkpoint holds."""

    epoch: int = 0  # ended ones
    step: int = 0  # optimiser steps in all
    rows: int = 0  # of metrics.jsonl
    best: list[float] = field(default_factory=list)  # accuracy and minus the loss
    stale: int = 0  # epochs since


class _Training:
    """The objects that a step changes."""

    def __init__(self, network: nn.Module, plan: Plan, rows: int) -> None:
        self.network = network.to(plan.device).to(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(self.network, plan.recipe)
        self.ema = Ema(self.network, plan.recipe.ema_decay) if plan.recipe.ema_decay else None
        self.scaler = torch.amp.GradScaler(plan.device, enabled=plan.dtype == torch.float16)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=plan.device)  # over the epoch's images
        self.at = _Position(rows=rows)

    @property
    def result(self) -> nn.Module:
        """The network that is evaluated and kept."""
        return self.ema.network if self.ema else self.network

    def tensors(self) -> dict[str, Tensor]:
        parts = {"network": self.network.state_dict(), "optimizer": optimizer_tensors(self.optimizer, self.network)}
        if self.ema:
            parts["ema"] = self.ema.network.state_dict()
        named = {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}
        return {**named, "loss_sum": self.loss_sum}

    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self.network.load_state_dict(under("network", tensors))
        restore_optimizer(self.optimizer, self.network, under("optimizer", tensors))
        if self.ema:
            self.ema.network.load_state_dict(under("ema", tensors))
        self.scaler.load_state_dict(state["scaler"])
        self.loss_sum.copy_(tensors["loss_sum"])
        self.at = _Position(**state["position"])


def train_network(network: nn.Module, job: Job) -> None:
    """Train all of ``network`` and leave the best weights in it.

    Goes on from the checkpoint in the job's folder if there is one.

    Raises:
        StoppedError: the job's ``stop`` said so; the checkpoint is written.
        FailureError: the loss is no number any more.
    """
    plan, folder = job.plan, job.folder
    last, best = (folder.checkpoint_folder / name for name in ("last.safetensors", "best.safetensors"))
    training = _Training(network, plan, rows=sum(row["phase"] == "head" for row in folder.read_metrics()))
    if stored := read_checkpoint(last):
        try:
            training.restore(*stored)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            told = str(error).splitlines()[0]
            raise RequestError(f"checkpoint {last} is of something else ({told}); remove it to train anew") from error
        folder.write_metrics(folder.read_metrics()[: training.at.rows])

    def save() -> None:
        state = {"position": asdict(training.at), "scaler": training.scaler.state_dict()}
        write_checkpoint(last, training.tensors(), state)

    while training.at.epoch < plan.recipe.epochs and not _exhausted(training.at, plan):
        began = time.monotonic()
        images = _train_epoch(training, job, save)
        try:
            row = _end_epoch(training, job, images, time.monotonic() - began)
        except StoppedError:
            save()
            raise
        if not training.at.stale:
            write_checkpoint(best, training.result.state_dict(), {"epoch": training.at.epoch - 1})
        rows = [*folder.read_metrics()[: training.at.rows], row]
        folder.write_metrics(rows)
        training.at.rows = len(rows)
        save()
        job.observer(Epoch(row))
    found = read_checkpoint(best)
    network.load_state_dict(found[0] if found else training.result.state_dict())


def kept_rows(folder: RunFolder) -> list[dict[str, Any]]:
    """The rows of metrics that the checkpoint in ``folder`` stands by: what a training that goes on will not repeat."""
    stored = read_checkpoint(folder.checkpoint_folder / "last.safetensors")
    return [] if stored is None else folder.read_metrics()[: stored[1]["position"]["rows"]]


def _exhausted(at: _Position, plan: Plan) -> bool:
    return 0 < plan.recipe.patience <= at.stale


def _train_epoch(training: _Training, job: Job, save: Callable[[], None]) -> int:
    """The rest of the epoch from where ``training`` is; the images it took."""
    at, plan, recipe = training.at, job.plan, job.plan.recipe
    training.network.train()
    if recipe.norm == "frozen":
        freeze_norms(training.network)
    first = at.step - at.epoch * plan.steps_per_epoch
    saved, images = time.monotonic(), 0
    for group in _groups(job, at.epoch, first):
        set_rate(training.optimizer, rate_factor(at.step, plan.steps_per_epoch, recipe.epochs, recipe))
        _step(training, group, plan)
        at.step += 1
        images += sum(len(batch.labels) for batch in group)
        if at.step % _CHECK_EVERY == 0:
            _check_loss(training)
        done = (at.step - at.epoch * plan.steps_per_epoch) * plan.accumulate * plan.batch_size
        total = plan.steps_per_epoch * plan.accumulate * plan.batch_size
        job.observer(Advance(f"epoch {at.epoch + 1}/{recipe.epochs}", done, total))
        job.observer(Step(at.step))
        if job.stop():
            save()
            raise StoppedError(f"stopped after step {at.step} and saved")
        if time.monotonic() - saved >= _SAVE_EVERY_S:
            save()
            saved = time.monotonic()
    _check_loss(training)
    return images


def _groups(job: Job, epoch: int, first: int) -> Iterator[list[Batch]]:
    """The batches of each optimiser step from step ``first`` of the epoch on."""
    plan = job.plan
    source = training_batches(plan, job.dataset.train, epoch, start=first * plan.accumulate)
    for _ in range(first, plan.steps_per_epoch):
        yield [next(source) for _ in range(plan.accumulate)]


def _step(training: _Training, group: list[Batch], plan: Plan) -> None:
    """One optimiser step over the batches of ``group``."""
    recipe, device = plan.recipe, torch.device(plan.device)
    torch.manual_seed(seed_for(recipe.seed, "step", training.at.step))
    training.optimizer.zero_grad()
    for batch in group:
        images = normalize(batch.images.to(device, non_blocking=True), plan.preprocessing)
        images, targets = mix(
            images, batch.labels.to(device), classes=len(plan.classes), augmentation=recipe.augmentation
        )
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, plan.dtype, enabled=plan.dtype != torch.float32):
            logits = training.network(images)
        loss = F.cross_entropy(
            logits.float(), targets, weight=plan.loss_weights(), label_smoothing=recipe.label_smoothing
        )
        training.scaler.scale(loss / len(group)).backward()  # type: ignore[no-untyped-call]
        training.loss_sum += loss.detach().double() * len(batch.labels)
    if recipe.clip_norm:
        training.scaler.unscale_(training.optimizer)
        nn.utils.clip_grad_norm_(training.network.parameters(), recipe.clip_norm)
    training.scaler.step(training.optimizer)
    training.scaler.update()
    if training.ema:
        training.ema.update(training.network, training.at.step)


def _end_epoch(training: _Training, job: Job, images: int, seconds: float) -> dict[str, Any]:
    """Evaluate, count the epoch and note whether it was the best; its row of metrics.

    ``images`` were trained on in ``seconds``: all of the epoch's, or those since it was gone on with.
    """
    at, plan, recipe, dataset = training.at, job.plan, job.plan.recipe, job.dataset
    seen = plan.steps_per_epoch * plan.accumulate * plan.batch_size
    row: dict[str, Any] = {
        "kind": "epoch",
        "phase": "all",
        "epoch": at.rows,
        "step": at.step,
        "lr": recipe.learning_rate * rate_factor(at.step - 1, plan.steps_per_epoch, recipe.epochs, recipe),
        "train_loss": float(training.loss_sum) / seen,
        "val_loss": None,
        "val_top1": None,
        "images_per_s": images / max(1e-9, seconds),
        "seconds": seconds,
    }
    if recipe.norm == "precise":
        reestimate_norms(training.result, dataset.train, plan, at.epoch)
    if len(dataset.val):
        training.result.eval()
        logits = outputs(
            training.result, dataset.val, plan.preprocessing,
            batch_size=plan.batch_size, device=plan.device, workers=plan.workers,
            progress=job.progress("evaluating validation images"),
        )  # fmt: skip
        check_logits(logits)
        labels = torch.tensor(dataset.val.labels)
        row["val_loss"] = float(F.cross_entropy(logits, labels))
        row["val_top1"] = float((logits.argmax(1) == labels).double().mean())
    score = [row["val_top1"], -row["val_loss"]] if len(dataset.val) else [float(at.epoch), 0.0]
    better = score > at.best
    at.best, at.stale = (score, 0) if better else (at.best, at.stale + 1)
    at.epoch += 1
    training.loss_sum.zero_()
    return row


def check_logits(logits: Tensor) -> None:
    """FailureError unless every logit is a finite number."""
    if not torch.isfinite(logits).all():
        raise FailureError(f"the network has diverged: its outputs are not numbers any more; {_REMEDY}")


def _check_loss(training: _Training) -> None:
    if not torch.isfinite(training.loss_sum):
        raise FailureError(f"the loss is not a number any more at step {training.at.step}; {_REMEDY}")
