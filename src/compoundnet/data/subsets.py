"""A smaller set of the same classes, for trainings that are to be many and short."""

import hashlib
from dataclasses import replace
from typing import Any

from compoundnet.data.dataset import Dataset, Split
from compoundnet.errors import RequestError

__all__ = ["subset"]


def subset(dataset: Dataset, *, train: int | None = None, val: int | None = None) -> Dataset:
    """``dataset`` with that many training and validation images (None: all), the same share of each class
    and at least one of each that has any.

    Which ones depends on their content alone, and a smaller subset lies inside a larger one. Its
    fingerprint is another one.

    Raises:
        RequestError: fewer images than classes, or more than there are.
    """
    parts: dict[str, Any] = {}
    for name, most in (("train", train), ("val", val)):
        split: Split = getattr(dataset, name)
        if most is None or most == len(split):
            continue
        if not len(dataset.classes) <= most <= len(split):
            raise RequestError(
                f"{most} {name} images of {dataset.name} are asked for; "
                f"it must be at least one a class ({len(dataset.classes)}) and at most all ({len(split)})"
            )
        parts[name] = _first(split, len(dataset.classes), most)
    if not parts:
        return dataset
    sizes = {name: len(part) for name, part in parts.items()}
    text = f"{dataset.fingerprint} {sorted(sizes.items())}"
    told = " and ".join(f"{n} {name}" for name, n in sizes.items())
    return replace(
        dataset,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
        notes=(*dataset.notes, f"a part of the images: {told}"),
        **parts,
    )


def _first(split: Split, classes: int, most: int) -> Split:
    """The first ``most`` images in the order of content, taken from the classes in proportion to their size.

    Image k of a class of n comes at (k + 1/2) / n: the classes fill evenly. The first of each comes before all others.
    """
    sizes = [0] * classes
    for label in split.labels:
        sizes[label] += 1
    seen = [0] * classes
    places = []
    for i, label in enumerate(split.labels):
        places.append((seen[label] > 0, (seen[label] + 0.5) / sizes[label], i))
        seen[label] += 1
    kept = sorted(i for *_, i in sorted(places)[:most])
    return Split(files=tuple(split.files[i] for i in kept), labels=tuple(split.labels[i] for i in kept))
