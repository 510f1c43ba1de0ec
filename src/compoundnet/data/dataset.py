"""DATA to three splits of labelled images, checked, with what a person should know about them."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compoundnet.data.decode import BadImageError
from compoundnet.data.forms import Entry, Listing, read_listing
from compoundnet.data.scan import Scan, scan
from compoundnet.data.split import assign_splits, check_fractions
from compoundnet.errors import RequestError, unknown

__all__ = ["BadImage", "Dataset", "Split", "labelled_images", "open_dataset"]

_SPLITS = ("train", "val", "test")
_SKEW = 4  # largest to smallest class, from which on a note is due
_SHOWN = 3  # examples in a note


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Image files with the index of each one's class, in a fixed order."""

    files: tuple[Path, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadImage:
    """An image that was left out, and why."""

    file: Path
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """What a training needs to know of its data.

    ``name`` repeats what the user asked for; ``classes`` are sorted and a label is an index into them.
    ``fingerprint`` is the SHA-256 over (split, class, content) of every image, whatever their order
    and place. ``bad`` are the images left out, ``notes`` what a person should know.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    fingerprint: str
    bad: tuple[BadImage, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    file: Path
    label: str
    split: str | None
    sha256: str


def open_dataset(
    data: str | Path,
    *,
    val_fraction: float = 0.15,
    test_fraction: float = 0.15,
    on_bad: Literal["skip", "fail"] = "skip",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read DATA in any of its forms, check every image, and split what is not split yet.

    Without a split the images are divided by a hash of their content within each class, so that
    duplicates stay together; ``train/`` and ``test/`` without ``val/`` give validation images from
    train. ``on_bad="fail"`` makes the first image that cannot be decoded fatal. ``progress`` gets
    (images checked, images in all).

    Raises:
        RequestError: no such data, nothing in it, an empty class, fewer than two classes, a test class
            that is not in train, or too few images to split. BadImageError as asked.
    """
    check_fractions(val_fraction, test_fraction)
    if on_bad not in ("skip", "fail"):
        raise unknown("on_bad", str(on_bad), ("skip", "fail"))
    listing = read_listing(data)
    _check_classes(data, listing)
    seen = scan([e.file for e in listing.entries], name=str(Path(data).absolute()), progress=progress)
    images, bad = _sound(listing.entries, seen)
    if bad and on_bad == "fail":
        rest = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise BadImageError(bad[0].file, bad[0].reason + rest)
    _check_sound(data, listing.entries, images, bad)
    given = {e.split for e in listing.entries} - {None}
    divided, split_notes = _divided(images, given, val_fraction, test_fraction)
    classes = tuple(sorted({i.label for i in divided}))
    for name in given:
        if not any(i.split == name for i in divided):
            raise RequestError(f"{str(data)!r} has a {name} split without a readable image; mend it, or remove it")
    parts = {name: _split([i for i in divided if i.split == name], classes) for name in _SPLITS}
    return Dataset(
        name=str(data),
        classes=classes,
        fingerprint=_fingerprint(divided),
        bad=tuple(bad),
        notes=(*listing.notes, *seen.notes, *split_notes, *_ignored(listing), *_bad_note(bad), *_remarks(divided)),
        **parts,
    )


def labelled_images(
    data: str | Path, classes: Sequence[str], *, on_bad: Callable[[BadImage], None] | None = None
) -> Split:
    """All images of DATA, or its test split if it is split (val if there is no test), labelled by ``classes``.

    Every label of DATA must be among ``classes``; not every class needs images. An image that cannot
    be decoded is left out and given to ``on_bad``; without ``on_bad`` it is fatal.

    Raises:
        RequestError: a label that is not among ``classes`` (both are listed), or no images. BadImageError.
    """
    entries = read_listing(data).entries
    given = {e.split for e in entries}
    if given != {None}:
        chosen = next((s for s in ("test", "val") if s in given), None)
        if chosen is None:
            raise RequestError(
                f"{str(data)!r} has only train images; give a folder of class folders, or one with test/"
            )
        entries = [e for e in entries if e.split == chosen]
    labels = sorted({e.label for e in entries})
    if strange := [label for label in labels if label not in classes]:
        raise RequestError(
            f"{str(data)!r} has classes that the run does not know: {', '.join(strange)}; "
            f"data: {', '.join(labels)}; run: {', '.join(classes)}"
        )
    images, bad = _sound(entries, scan([e.file for e in entries], name=str(Path(data).absolute())))
    for image in bad:
        if on_bad is None:
            raise BadImageError(image.file, image.reason)
        on_bad(image)
    if not images:
        raise RequestError(f"{str(data)!r} has no readable image for {', '.join(classes)}")
    return _split(images, classes)


def _check_classes(data: str | Path, listing: Listing) -> None:
    if listing.empty:
        names = ", ".join(str(f) for f in listing.empty[:_SHOWN])
        raise RequestError(f"class folder without images: {names}; add images or remove the folder")
    split_given = any(e.split for e in listing.entries)
    train = {e.label for e in listing.entries if e.split in (None, "train")}
    if not train:
        raise RequestError(f"{str(data)!r} has no train images; add train/ with a folder for each class")
    for split in ("val", "test") if split_given else ():
        if strange := sorted({e.label for e in listing.entries if e.split == split} - train):
            raise RequestError(
                f"{split} has classes that train lacks: {', '.join(strange)}; train has {', '.join(sorted(train))}"
            )
    if len(train) < 2:
        raise RequestError(
            f"{str(data)!r} has one class only, {train.pop()!r}; there must be at least two to tell apart"
        )


def _sound(entries: Iterable[Entry], seen: Scan) -> tuple[list[_Image], list[BadImage]]:
    """The images that can be decoded, and the others; each in the order of the entries."""
    images, bad = [], {}
    for entry in entries:
        found = seen.files[entry.file]
        if found.reason is None:
            images.append(_Image(file=entry.file, label=entry.label, split=entry.split, sha256=found.sha256))
        else:
            bad[entry.file] = BadImage(file=entry.file, reason=found.reason)
    return images, list(bad.values())


def _check_sound(data: str | Path, entries: list[Entry], images: list[_Image], bad: list[BadImage]) -> None:
    left = {i.label for i in images if i.split in (None, "train")}
    for label in sorted({e.label for e in entries if e.split in (None, "train")} - left):
        files = {e.file for e in entries if e.label == label}
        first = next(b for b in bad if b.file in files)
        raise RequestError(f"class {label!r} of {str(data)!r} has no readable image; {first.file}: {first.reason}")


def _divided(
    images: list[_Image], given: set[str | None], val_fraction: float, test_fraction: float
) -> tuple[list[_Image], list[str]]:
    """Every image with a split: its own, or one by content where ``given`` lacks val and test."""
    notes = []
    if "val" in given:
        if "test" not in given:
            notes.append("there is no test split; accuracy on val is what the training was steered by")
        return images, notes
    if "test" in given:
        test_fraction = 0.0
    train = [i for i in images if i.split in (None, "train")]
    sides = assign_splits(((i.label, i.sha256) for i in train), val_fraction=val_fraction, test_fraction=test_fraction)
    if "test" in given:
        notes.append(f"val was taken from train: {val_fraction:.0%} of each class, by content")
    divided = [
        i
        if i.split not in (None, "train")
        else _Image(file=i.file, label=i.label, split=sides[i.sha256], sha256=i.sha256)
        for i in images
    ]
    return divided, notes


def _split(images: Iterable[_Image], classes: Sequence[str]) -> Split:
    """In the order of content, so that a training does not depend on what files are called."""
    index = {label: i for i, label in enumerate(classes)}
    ordered = sorted(images, key=lambda i: (i.sha256, i.label, i.file))
    return Split(files=tuple(i.file for i in ordered), labels=tuple(index[i.label] for i in ordered))


def _fingerprint(images: Iterable[_Image]) -> str:
    lines = sorted(f"{i.split}\0{i.label}\0{i.sha256}\n" for i in images)
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _remarks(images: list[_Image]) -> list[str]:
    """Notes on duplicates, contradictory labels, overlap and skew."""
    by_content: dict[str, list[_Image]] = defaultdict(list)
    for image in images:
        by_content[image.sha256].append(image)
    groups = [group for group in by_content.values() if len(group) > 1]
    notes = []
    if same := [g for g in groups if len({i.split for i in g}) == 1]:
        notes.append(
            f"{sum(map(len, same))} images are copies of one another ({len(same)} different); kept, each on one side"
        )
    for group in [g for g in groups if len({i.label for i in g}) > 1][:_SHOWN]:
        notes.append("same content, different labels: " + ", ".join(f"{i.file} ({i.label})" for i in group))
    for a, b in (("train", "test"), ("train", "val"), ("val", "test")):
        if shared := [g for g in groups if {a, b} <= {i.split for i in g}]:
            example = next(i.file for i in shared[0] if i.split == b)
            notes.append(f"{len(shared)} different images of {b} are also in {a} (as given), such as {example}")
    counts = Counter(i.label for i in images if i.split == "train").most_common()
    (most, n_most), (least, n_least) = counts[0], counts[-1]
    if n_most >= _SKEW * n_least:
        notes.append(f"classes are skewed: {most} has {n_most} train images, {least} {n_least}")
    return notes


def _ignored(listing: Listing) -> list[str]:
    if not listing.others:
        return []
    names = sorted({f.name for f in listing.others})
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return [f"files that are not images were ignored: {len(listing.others)} ({shown})"]


def _bad_note(bad: list[BadImage]) -> list[str]:
    return [f"images that cannot be decoded were left out: {len(bad)}"] if bad else []
