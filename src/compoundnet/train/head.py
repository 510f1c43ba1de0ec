"""The first phase: a linear classifier on the frozen network's features.

Features are computed once and kept in the run's checkpoint folder in chunks, so that a stop costs one
chunk at most. The classifier is trained on standardised features, which makes one step size and one
decay fit all networks, and then folded back into the network's own.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet.data import Split, seed_for
from compoundnet.errors import StoppedError
from compoundnet.evaluate.inference import outputs
from compoundnet.nn import folded
from compoundnet.nn.comparators import AnyModule
from compoundnet.train.checkpoint import read_checkpoint, write_checkpoint
from compoundnet.train.job import Job
from compoundnet.train.progress import Epoch
from compoundnet.train.schedule import cosine

__all__ = ["train_classifier"]

_CHUNK = 1024  # images whose features are kept at a time
_BATCH = 64  # rows of a step: the classifier alone is too small to be slow


class _Features(NamedTuple):
    """Pooled features (n, num_features) float32 and labels (n,) int64."""

    x: Tensor
    y: Tensor


def train_classifier(network: AnyModule, job: Job) -> float | None:
    """Train the classifier of ``network`` on its frozen features; the validation accuracy it reaches, if there is one.

    Writes the epochs' rows to metrics.jsonl. What was done before a stop is not done again.
    """
    done = job.folder.checkpoint_folder / "head.safetensors"
    if (stored := read_checkpoint(done)) is None:
        train = _features(network, job, job.dataset.train, "training")
        val = _features(network, job, job.dataset.val, "validation") if len(job.dataset.val) else None
        rows = []
        for row in _epochs(network, train, val, job):
            rows.append(row)
            job.observer(Epoch(row))
            if job.stop():
                raise StoppedError("stopped while training the classifier")
        later = [row for row in job.folder.read_metrics() if row["phase"] != "head"]  # there if `done` was removed
        job.folder.write_metrics([*rows, *later])
        stored = network.get_classifier().state_dict(), {"val_top1": rows[-1]["val_top1"]}
        write_checkpoint(done, *stored)
    network.get_classifier().load_state_dict(stored[0])
    reached: float | None = stored[1]["val_top1"]
    return reached


def _features(network: AnyModule, job: Job, split: Split, name: str) -> _Features:
    """Features of every image as evaluation sees it, from the chunks on disk as far as they are there."""
    plan = job.plan
    fast = folded(network).to(memory_format=torch.channels_last)
    fast.reset_classifier(0)
    found = []
    for start in range(0, len(split), _CHUNK):
        part = Split(files=split.files[start : start + _CHUNK], labels=split.labels[start : start + _CHUNK])
        file = job.folder.checkpoint_folder / f"{name}-features-{start}-{start + len(part)}.safetensors"
        if (stored := read_checkpoint(file)) is None:
            x = outputs(
                fast, part, plan.preprocessing, batch_size=plan.batch_size, device=plan.device, workers=plan.workers,
                progress=job.progress(f"computing features of {name} images", start, len(split)),
            )  # fmt: skip
            write_checkpoint(file, {"x": x}, {})
        else:
            x = stored[0]["x"]
        found.append(x)
    return _Features(torch.cat(found), torch.tensor(split.labels))


def _epochs(network: AnyModule, train: _Features, val: _Features | None, job: Job) -> Iterator[dict[str, Any]]:
    """Train the classifier, with a row of metrics after each epoch; at the end it is in ``network``.

    Multinomial logistic regression by AdamW from zero weights; seeded by the recipe alone.
    """
    recipe, weights = job.plan.recipe, job.plan.loss_weights()
    mean, deviation = train.x.mean(0), train.x.std(0, correction=0)
    deviation = deviation.clamp_min(1e-3 * float(deviation.mean()) + 1e-12)  # for a channel that never moves
    z, z_val = (train.x - mean) / deviation, None if val is None else (val.x - mean) / deviation
    head = nn.Linear(z.shape[1], len(job.plan.classes))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=recipe.head_weight_decay)
    steps = -(-len(z) // _BATCH)
    for epoch in range(recipe.head_epochs):
        order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed_for(recipe.seed, "head", epoch)))
        total, rate = 0.0, 0.0
        for step, rows in enumerate(torch.split(order, _BATCH)):
            rate = recipe.head_learning_rate * cosine(epoch * steps + step, recipe.head_epochs * steps)
            optimizer.param_groups[0]["lr"] = rate
            loss = F.cross_entropy(head(z[rows]), train.y[rows], weight=None if weights is None else weights.cpu())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
        row: dict[str, Any] = {"kind": "epoch", "phase": "head", "epoch": epoch, "lr": rate}
        yield row | {"train_loss": total / len(z)} | _judged(head, z_val, val)
    classifier = network.get_classifier()
    with torch.no_grad():
        weight = head.weight / deviation
        state = {"weight": weight, "bias": head.bias - weight @ mean}
    classifier.load_state_dict(state)


@torch.no_grad()
def _judged(head: nn.Module, z_val: Tensor | None, val: _Features | None) -> dict[str, float | None]:
    if z_val is None or val is None:
        return {"val_loss": None, "val_top1": None}
    logits = head(z_val)
    right = (logits.argmax(1) == val.y).double().mean()
    return {"val_loss": float(F.cross_entropy(logits, val.y)), "val_top1": float(right)}
