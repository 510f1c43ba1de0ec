"""The forms DATA may take, all read to one: labelled files, with or without a split."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from compoundnet.data.archive import is_archive, unpacked
from compoundnet.data.builtin import BUILT_IN, built_in
from compoundnet.data.files import is_hidden, is_image, visible, walk_images
from compoundnet.errors import RequestError
from compoundnet.units import counted

__all__ = ["Entry", "Listing", "read_listing"]

FORMS = (
    "a folder with train/ and test/ of class folders, a folder of class folders, a flat folder (cat.0.jpg, dog.1.jpg), "
    f"a CSV file with columns file and label, a zip or tar of these, or one of: {', '.join(BUILT_IN)}"
)

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_FILE_COLUMNS = ("file", "path", "filename", "image")
_LABEL_COLUMNS = ("label", "class")
_FLAT_NAME = re.compile(r"(?P<label>.*[^\W\d_].*?)[._-]\d+")  # cat.0, dog_12, american_bulldog-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One labelled file; ``split`` is train, val, test, or None where the data has no split."""

    file: Path
    label: str
    split: str | None = None


@dataclass(kw_only=True, slots=True)
class Listing:
    """All labelled files of some DATA, before any is opened. ``empty`` names class folders without images."""

    entries: list[Entry] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_listing(data: str | Path) -> Listing:
    """The labelled files of ``data``, in any of the forms, in a fixed order.

    A path that exists comes before a built-in set of the same name.

    Raises:
        RequestError: no such data, or nothing in it that has this form; the message lists the forms.
    """
    path = Path(data)
    if not path.exists():
        if str(data) in BUILT_IN:
            return _folder(_unwrap(built_in(str(data))))
        raise RequestError(f"no such data: {str(data)!r}; give {FORMS}")
    if path.is_dir():
        listing = _folder(_unwrap(path))
    elif path.suffix.lower() in (".csv", ".tsv"):
        listing = _manifest(path)
    elif _readable(path, is_archive):
        listing = _folder(_unwrap(unpacked(path)), archived=True)
    else:
        raise RequestError(f"{str(data)!r} is neither a folder, a CSV file nor a whole zip or tar; give {FORMS}")
    if str(data) in BUILT_IN:
        listing.notes.append(f"took the folder ./{data}, not the built-in set of that name")
    if not listing.entries and not listing.empty:
        raise RequestError(_nothing_in(path, listing))
    listing.entries.sort(key=lambda entry: (entry.file, entry.label))
    return listing


def _readable(path: Path, question: Callable[[Path], bool]) -> bool:
    try:
        return question(path)
    except OSError as error:
        raise RequestError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def _nothing_in(path: Path, listing: Listing) -> str:
    archives = [f for f in listing.others if f.suffix.lower() in (".zip", ".tar", ".gz", ".tgz")]
    tables = [f for f in listing.others if f.suffix.lower() in (".csv", ".tsv")]
    hint = f"; perhaps you meant {str((archives or tables)[0])!r}" if archives or tables else ""
    return f"found no labelled images in {str(path)!r}{hint}; give {FORMS}"


def _unwrap(folder: Path) -> Path:
    """Down through folders that hold nothing but one folder of data, as archives often have them."""
    folders, files = visible(folder)
    if len(folders) != 1 or folders[0].name.lower() in _SPLITS or any(map(is_image, files)) or _tables(files):
        return folder
    inner_folders, inner_files = visible(folders[0])
    if inner_folders or _tables(inner_files) or _flat_labels(inner_files):
        return _unwrap(folders[0])
    return folder


def _folder(folder: Path, *, archived: bool = False) -> Listing:
    """A folder in whichever of its forms: splits, class folders, flat names, a manifest beside its images."""
    folders, files = visible(folder)
    splits = {f: _SPLITS[f.name.lower()] for f in folders if f.name.lower() in _SPLITS}
    if splits and (len(splits) == len(folders) or any(map(_holds_classes, splits))):
        return _split_folders(splits, [f for f in folders if f not in splits], files)
    if not folders or not any(walk_images(f)[0] for f in folders):
        if _flat_labels(files):
            return _flat(files, None)
        if len(tables := _tables(files)) == 1:
            return _manifest(tables[0], within=folder if archived else None)
    return _class_folders(folders, files, None)


def _holds_classes(folder: Path) -> bool:
    folders, files = visible(folder)
    return bool(folders) or bool(_flat_labels(files))


def _split_folders(splits: dict[Path, str], left_out: list[Path], files: list[Path]) -> Listing:
    listing = Listing(others=_outside(files))
    listing.notes += [f"folder {f.name!r} beside the splits was left out" for f in left_out]
    for folder, split in splits.items():
        inner_folders, inner_files = visible(folder)
        part = _class_folders(inner_folders, inner_files, split) if inner_folders else _flat(inner_files, split)
        if split != "train":  # a class without test images is no fault of the training data
            listing.notes += [f"class folder {str(f)!r} holds no images" for f in part.empty]
            part.empty.clear()
        for name in ("entries", "empty", "others", "notes"):
            getattr(listing, name).extend(getattr(part, name))
    return listing


def _class_folders(folders: list[Path], files: list[Path], split: str | None) -> Listing:
    listing = Listing(others=_outside(files))
    loose = [f for f in files if is_image(f)]
    if loose and folders:
        listing.notes.append(
            f"{counted(len(loose), 'image')} outside the class folders left out, such as {loose[0].name!r}"
        )
    for folder in folders:
        images, others = walk_images(folder)
        listing.entries += [Entry(file=image, label=folder.name, split=split) for image in images]
        listing.others += others
        if not images:
            listing.empty.append(folder)
    return listing


def _flat(files: list[Path], split: str | None) -> Listing:
    listing = Listing(others=_outside(files))
    images = [f for f in files if is_image(f)]
    named = [(f, match["label"]) for f in images if (match := _FLAT_NAME.fullmatch(f.stem))]
    listing.entries = [Entry(file=f, label=label, split=split) for f, label in named]
    if len(named) < len(images):
        where = f"{split}: " if split else ""
        unnamed = next(f for f in images if not _FLAT_NAME.fullmatch(f.stem))
        rest = counted(len(images) - len(named), "image")
        listing.notes.append(f"{where}{rest} without a label in the name left out, such as {unnamed.name!r}")
    return listing


def _flat_labels(files: Iterable[Path]) -> set[str]:
    """The labels in names such as cat.0.jpg, if they name at least two classes with files to share."""
    counts = Counter(m["label"] for f in files if is_image(f) and (m := _FLAT_NAME.fullmatch(f.stem)))
    return set(counts) if len(counts) > 1 and max(counts.values()) > 1 else set()


def _outside(files: list[Path]) -> list[Path]:
    return [f for f in files if not is_image(f)]


def _tables(files: Iterable[Path]) -> list[Path]:
    return [f for f in files if f.suffix.lower() in (".csv", ".tsv") and not is_hidden(f.name)]


def _manifest(path: Path, within: Path | None = None) -> Listing:
    """A CSV file: columns file and label, optionally split; paths relative to the CSV file.

    ``within``: files outside this folder are refused (a manifest from an archive is a stranger's).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RequestError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{str(path)!r} is not a UTF-8 text file: {error}") from error
    lines = text.splitlines() or [""]
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    file_column, label_column = (_column(path, columns, names) for names in (_FILE_COLUMNS, _LABEL_COLUMNS))
    rows = [(f"{path}, line {reader.line_num}", row) for row in reader if any(row.values())]
    split_column = columns.get("split")
    if not any(row[split_column] for _, row in rows if split_column):
        split_column = None
    listing = Listing()
    for where, row in rows:
        file = _manifest_file(where, path.parent, row[file_column], within)
        label = (row[label_column] or "").strip()
        if not label:
            raise RequestError(f"{where}: no {label_column} for {row[file_column]!r}")
        split = _manifest_split(where, row[split_column]) if split_column else None
        listing.entries.append(Entry(file=file, label=label, split=split))
    return listing


def _column(path: Path, columns: dict[str, str], names: tuple[str, ...]) -> str:
    found = next((columns[name] for name in names if name in columns), None)
    if found is None:
        raise RequestError(f"{str(path)!r} has columns {', '.join(columns)}; it needs one named {' or '.join(names)}")
    return found


def _manifest_file(where: str, folder: Path, name: str | None, within: Path | None) -> Path:
    file = folder / (name or "").strip()
    if within is not None and not file.resolve().is_relative_to(within.resolve()):
        raise RequestError(f"{where}: {name!r} lies outside the archive")
    if not file.is_file():
        raise RequestError(f"{where}: no such file: {str(file)!r}")
    return file


def _manifest_split(where: str, name: str | None) -> str:
    split = _SPLITS.get((name or "").strip().lower())
    if split is None:
        raise RequestError(f"{where}: unknown split {name!r}; known: {', '.join(_SPLITS)}")
    return split
