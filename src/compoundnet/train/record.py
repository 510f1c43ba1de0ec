"""What ``run.json`` says: the request that must be the same for a training to go on, and what became of it."""

import json
import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from compoundnet.data import Dataset, Split
from compoundnet.errors import RequestError
from compoundnet.run import RunFolder
from compoundnet.train.job import RunJob

__all__ = ["changes_since", "make_record", "matching_record", "splits"]

_PACKAGES = ("compoundnet", "torch", "torchvision", "numpy", "pillow")


def make_record(job: RunJob, status: str, **more: Any) -> dict[str, Any]:
    """The content of ``run.json`` with the training's ``status`` and ``more``."""
    plan = job.plan
    return {
        "status": status,
        "labels": list(plan.classes),
        "preprocessing": plan.preprocessing.to_json(),
        "recipe": plan.recipe.to_json(),
        "seed": plan.recipe.seed,
        "request": _request(job),
        "weights": None if job.weights is None else job.weights.source,
        "data": _data(job.dataset),
        "versions": _versions(),
        "threads": torch.get_num_threads(),
        **more,
    }


def matching_record(job: RunJob) -> dict[str, Any]:
    """The record in the job's folder if it is of the same request; an empty one for a new folder.

    Raises:
        RequestError: the folder holds something else, or another training.
    """
    folder = job.folder
    if not folder.record_file.exists():
        if _is_taken(folder):
            raise RequestError(f"{str(folder.path)!r} exists and is not a run; give a new or empty folder")
        return {}
    record = folder.read_record()
    then, now = record.get("request", {}), _request(job)
    differing = [_difference(key, then, now) for key in now if then.get(key) != now[key]]
    if differing:
        raise RequestError(
            f"{str(folder.path)!r} holds another training: {', '.join(differing)}; "
            "give another folder, or repeat its own request to go on"
        )
    return record


def changes_since(record: Mapping[str, Any]) -> list[str]:
    """Notes on what has changed since ``record`` was written and can change the last bits of a resumed training."""
    now = {**_versions(), "threads": torch.get_num_threads()}
    then = {**record.get("versions", {}), "threads": record.get("threads")} if record else now
    changed = [f"{name} was {then.get(name)}, is {now[name]}" for name in now if then.get(name) != now[name]]
    return [f"going on, but not to the last bit: {', '.join(changed)}"] if changed else []


def splits(dataset: Dataset) -> dict[str, Split]:
    """The splits by the names that people see."""
    return {"train": dataset.train, "validation": dataset.val, "test": dataset.test}


def _request(job: RunJob) -> dict[str, Any]:
    weights = job.weights
    request = {
        "architecture": json.loads(job.architecture.to_json()),
        "recipe": job.plan.recipe.to_json(),
        "weights": None if weights is None else weights.sha256,
        "preprocessing": job.plan.preprocessing.to_json(),
        "classes": list(job.plan.classes),
        "data": job.dataset.fingerprint,
        "device": torch.device(job.plan.device).type,
    }
    plain: dict[str, Any] = json.loads(json.dumps(request))  # tuples become lists, as in the file it is compared with
    return plain


def _is_taken(folder: RunFolder) -> bool:
    """A file, or a folder with anything in it but what a kill before the first record leaves."""
    if not folder.path.is_dir():
        return folder.path.exists()
    return any(not entry.name.startswith(".partial-") for entry in folder.path.iterdir())


def _difference(key: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Which part of ``key`` differs, as short as it can be said."""
    a, b = then.get(key), now.get(key)
    if isinstance(a, dict) and isinstance(b, dict):
        return ", ".join(_difference(k, a, b) for k in b if a.get(k) != b[k])
    if isinstance(a, list) or key in ("data", "weights"):
        return f"{key} differs"
    return f"{key} was {a!r}, now {b!r}"


def _data(dataset: Dataset) -> dict[str, Any]:
    counts = {}
    for name, split in splits(dataset).items():
        by_label = Counter(split.labels)
        counts[name] = {label: by_label[i] for i, label in enumerate(dataset.classes)}
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "counts": counts,
        "bad": [{"file": str(bad.file), "reason": bad.reason} for bad in dataset.bad],
        "notes": list(dataset.notes),
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
