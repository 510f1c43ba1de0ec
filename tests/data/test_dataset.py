"""DATA in all its forms to checked splits, and every way in which it can be wrong."""

import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compoundnet.data import BadImage, BadImageError, labelled_images, open_dataset
from compoundnet.errors import RequestError
from conftest import SHARED, needs_shared


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(folder))
    return folder


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)).save(path)


def pictures(folder: Path, counts: dict[str, int], form: str = "{label}/{i}.png", first: int = 0) -> Path:
    """``counts`` of labels; the content depends on the label's place and i alone, never on the form."""
    for place, (label, n) in enumerate(sorted(counts.items())):
        for i in range(first, first + n):
            picture(folder / form.format(label=label, i=i), 1000 * place + i)
    return folder


def sizes(data) -> tuple[int, int, int]:
    return len(data.train), len(data.val), len(data.test)


COUNTS = {"cat": 10, "dog": 8}


def as_folder(folder):
    return pictures(folder / "d", COUNTS)


def as_nested(folder):
    pictures(folder / "d" / "wrapper" / "inner", COUNTS, "{label}/more/{i}.png")
    return folder / "d"


def as_flat(folder):
    return pictures(folder / "d", COUNTS, "{label}.{i}.png")


def as_flat_train(folder):
    return pictures(folder / "d", COUNTS, "train/{label}_{i}.png")


def as_train_only(folder):
    return pictures(folder / "d", COUNTS, "Training/{label}/{i}.png")


def as_csv(folder):
    pictures(folder / "d", COUNTS)
    rows = [f"{label}/{i}.png,{label},x" for label, n in COUNTS.items() for i in range(n)]
    (folder / "d" / "all.csv").write_text("\n".join(["\ufeffFilename,Class,comment", *rows]), encoding="utf-8")
    return folder / "d" / "all.csv"


def as_tsv(folder):
    path = as_csv(folder)
    table = path.read_text(encoding="utf-8").replace(",", "\t")
    path.with_suffix(".tsv").write_text(table, encoding="utf-8")
    return path.with_suffix(".tsv")


def as_zip(folder):
    as_folder(folder)
    (folder / "d" / "cat" / ".DS_Store").touch()
    return Path(shutil.make_archive(str(folder / "a"), "zip", folder, "d"))


def as_flat_tar_gz(folder):
    as_flat(folder)
    return Path(shutil.make_archive(str(folder / "a"), "gztar", folder / "d"))


def as_csv_in_tar(folder):
    as_csv(folder)
    for i, file in enumerate(sorted((folder / "d").rglob("*.png"))):
        file.rename(folder / "d" / f"{i}.png")
    rows = [f"{i}.png,{'cat' if i < 10 else 'dog'},x" for i in range(18)]
    (folder / "d" / "all.csv").write_text("\n".join(["file,label,comment", *rows]))
    return Path(shutil.make_archive(str(folder / "a"), "tar", folder, "d"))


FORMS = [
    *(as_folder, as_nested, as_flat, as_flat_train, as_train_only, as_csv, as_tsv),
    *(as_zip, as_flat_tar_gz, as_csv_in_tar),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_data_set(tmp_path, form):
    data = open_dataset(form(tmp_path))
    assert data.classes == ("cat", "dog")
    assert sizes(data) == (6 + 4, 2 + 2, 2 + 2)
    assert data.fingerprint == open_dataset(as_folder(tmp_path / "reference")).fingerprint
    assert data.bad == ()
    assert data.name.startswith(str(tmp_path))


def test_split_sizes_and_labels(tmp_path):
    data = open_dataset(as_folder(tmp_path), val_fraction=0.1, test_fraction=0.3)
    assert sizes(data) == (6 + 4, 1 + 1, 3 + 3)
    for split in (data.train, data.val, data.test):
        assert [data.classes[label] for label in split.labels] == [f.parent.name for f in split.files]


def split_folder(folder: Path, names=("train", "val", "test"), counts=COUNTS) -> Path:
    for i, name in enumerate(names):
        pictures(folder / name, counts, first=100 * i)
    return folder


@pytest.mark.parametrize(
    ("names", "expected", "note"),
    [
        (("train", "val", "test"), (18, 18, 18), None),
        (("training", "Validation", "testing"), (18, 18, 18), None),
        (("train", "test"), (14, 4, 18), "val was taken from train: 15% of each class"),
        (("train", "valid"), (18, 18, 0), "there is no test split"),
        (("train",), (10, 4, 4), None),
    ],
)
def test_given_splits_are_kept_and_missing_ones_taken_from_train(tmp_path, names, expected, note):
    data = open_dataset(split_folder(tmp_path, names))
    assert sizes(data) == expected
    assert [n for n in data.notes if note and n.startswith(note)] or (note is None and data.notes == ())
    if len(names) == 3:
        assert {f.relative_to(tmp_path).parts[0] for f in data.val.files} == {names[1]}


def test_csv_with_splits(tmp_path):
    split_folder(tmp_path)
    rows = [f"{f.relative_to(tmp_path)};{f.parent.name};{f.parts[-3]}" for f in sorted(tmp_path.rglob("*.png"))]
    (tmp_path / "x.csv").write_text("path; label; split\n" + "\n".join(rows))
    data = open_dataset(tmp_path / "x.csv")
    assert sizes(data) == (18, 18, 18)
    assert data.fingerprint == open_dataset(tmp_path).fingerprint


def test_classes_may_be_called_like_splits(tmp_path):
    data = open_dataset(pictures(tmp_path, {"train": 9, "plane": 9}))
    assert data.classes == ("plane", "train")


def test_unlabelled_test_images_are_left_out_and_noted(tmp_path):
    """As in Kaggle's Dogs vs. Cats: test/1.jpg has no label."""
    pictures(tmp_path, COUNTS, "train/{label}.{i}.png")
    for i in range(3):
        picture(tmp_path / "test" / f"{i}.png", i)
    data = open_dataset(tmp_path)
    assert sizes(data)[2] > 0
    assert "test: 3 images without a label in the name left out, such as '0.png'" in data.notes


def test_fingerprint_sees_content_class_and_split_but_not_place(tmp_path):
    base = open_dataset(split_folder(tmp_path / "a")).fingerprint
    shutil.copytree(tmp_path / "a", tmp_path / "moved")
    (tmp_path / "moved/train/cat/0.png").rename(tmp_path / "moved/train/cat/zzz.png")
    assert open_dataset(tmp_path / "moved").fingerprint == base
    (tmp_path / "moved/train/cat/zzz.png").rename(tmp_path / "moved/val/cat/zzz.png")
    assert open_dataset(tmp_path / "moved").fingerprint != base
    picture(tmp_path / "a/train/cat/0.png", 77)
    assert open_dataset(tmp_path / "a").fingerprint != base


def test_bad_images_are_named_or_fatal(tmp_path):
    as_folder(tmp_path)
    for name in ("3.png", "4.png"):
        whole = (tmp_path / "d/cat" / name).read_bytes()
        (tmp_path / "d/cat" / name).write_bytes(whole[: len(whole) // 2])
    for _ in range(2):  # read, and remembered
        data = open_dataset(tmp_path / "d")
        assert [b.file.name for b in data.bad] == ["3.png", "4.png"]
        assert "cut short" in data.bad[0].reason
        assert sum(sizes(data)) == 16
        assert "images that cannot be decoded were left out: 2" in data.notes
    with pytest.raises(BadImageError, match=r"cat/3\.png: is cut short.* \(and 1 more\)"):
        open_dataset(tmp_path / "d", on_bad="fail")
    with pytest.raises(RequestError, match="unknown on_bad 'skp'; did you mean 'skip'"):
        open_dataset(tmp_path / "d", on_bad="skp")


def test_duplicates_and_contradictions_are_told_and_never_cross(tmp_path):
    as_folder(tmp_path)
    for i in range(5):
        shutil.copy(tmp_path / f"d/cat/{i}.png", tmp_path / f"d/cat/copy{i}.png")
    shutil.copy(tmp_path / "d/cat/9.png", tmp_path / "d/dog/really-a-cat.png")
    data = open_dataset(tmp_path / "d")
    contents = [{f.read_bytes() for f in s.files} for s in (data.train, data.val, data.test)]
    assert not (contents[0] & contents[1] or contents[0] & contents[2] or contents[1] & contents[2])
    assert "12 images are copies of one another (6 different); kept, each on one side" in data.notes
    contradiction = next(n for n in data.notes if n.startswith("same content, different labels"))
    assert "cat/9.png (cat)" in contradiction
    assert "dog/really-a-cat.png (dog)" in contradiction


def test_train_images_in_a_given_test_are_kept_and_counted(tmp_path):
    split_folder(tmp_path)
    for i in range(2):
        shutil.copy(tmp_path / f"train/cat/{i}.png", tmp_path / "test/cat")
    data = open_dataset(tmp_path)
    assert sizes(data) == (18, 18, 20)
    assert any(n.startswith("2 different images of test are also in train (as given), such as") for n in data.notes)


def test_skew_strays_and_other_files_are_noted(tmp_path):
    pictures(tmp_path, {"cat": 30, "dog": 6})
    picture(tmp_path / "stray.png", 1)
    for name in ("README.txt", "cat/Thumbs.db", "dog/.DS_Store", "cat/._0.png"):
        (tmp_path / name).touch()
    notes = open_dataset(tmp_path).notes
    assert "1 image outside the class folders left out, such as 'stray.png'" in notes
    assert "files that are not images were ignored: 4 (.DS_Store, ._0.png, README.txt, ...)" in notes
    assert "classes are skewed: cat has 20 train images, dog 4" in notes


def test_progress_counts_to_the_end_and_the_second_scan_is_remembered(tmp_path):
    as_folder(tmp_path)
    calls = []
    open_dataset(tmp_path / "d", progress=lambda *now: calls.append(now))
    assert calls == [(i, 18) for i in range(1, 19)]
    picture(tmp_path / "d/cat/new.png", 99)
    calls.clear()
    open_dataset(tmp_path / "d", progress=lambda *now: calls.append(now))
    assert calls == [(19, 19)]


def one_class(folder):
    return pictures(folder, {"cat": 9})


def empty_class(folder):
    pictures(folder, COUNTS)
    (folder / "bird").mkdir()
    return folder


def nothing(folder):
    (folder / "README.txt").touch()
    return folder


def stray_archive(folder):
    (folder / "train.zip").touch()
    return folder


def strange_test_class(folder):
    pictures(folder / "train", COUNTS)
    pictures(folder / "test", {"cat": 1, "bird": 1}, first=50)
    return folder


def only_test(folder):
    return split_folder(folder, ("test",))


def too_few(folder):
    return pictures(folder, {"cat": 9, "dog": 2})


def all_bad(folder):
    pictures(folder, COUNTS)
    for i in range(8):
        (folder / f"dog/{i}.png").write_bytes(b"no")
    return folder


def plain_file(folder):
    (folder / "x.bin").write_bytes(b"hello")
    return folder / "x.bin"


def truncated_zip(folder):
    path = as_zip(folder)
    path.write_bytes(path.read_bytes()[:-60])
    return path


def table(text):
    def write(folder):
        pictures(folder, COUNTS)
        (folder / "x.csv").write_text(text)
        return folder / "x.csv"

    return write


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "gone", r"no such data: '.*gone'; give a folder with train/ .*or one of: digits"),
        (nothing, r"found no labelled images in '.*'; give a folder"),
        (stray_archive, r"found no labelled images in .*; perhaps you meant '.*train\.zip'"),
        (one_class, "has one class only, 'cat'; there must be at least two"),
        (empty_class, r"class folder without images: .*bird; add images or remove the folder"),
        (strange_test_class, "test has classes that train lacks: bird; train has cat, dog"),
        (only_test, "has no train images; add train/"),
        (too_few, "class 'dog' has 2 distinct images; .*at least 3"),
        (all_bad, r"class 'dog' of '.*' has no readable image; .*0\.png: is not an image"),
        (plain_file, "is neither a folder, a CSV file nor a whole zip or tar; give a folder"),
        (truncated_zip, "is neither a folder, a CSV file nor a whole zip or tar"),
        (table("name,label\n1,2\n"), r"has columns name, label; it needs one named file or path or filename or image"),
        (table("file,tag\n1,2\n"), r"has columns file, tag; it needs one named label or class"),
        (table(""), "has columns ; it needs one named file"),
        (table("file,label\n"), "found no labelled images"),
        (table("file,label\ncat/0.png,cat\ncat/77.png,cat\n"), r"x\.csv, line 3: no such file: '.*77\.png'"),
        (table("file,label\ncat/0.png,\n"), r"x\.csv, line 2: no label for 'cat/0\.png'"),
        (table("file,label,split\ncat/0.png,cat,holdout\n"), r"line 2: unknown split 'holdout'; known: train"),
        (table("file,label,split\ncat/0.png,cat,train\ncat/1.png,cat,\n"), r"line 3: unknown split ''"),
    ],
)
def test_what_cannot_be_a_data_set_is_said_in_one_line(tmp_path, make, message):
    with pytest.raises(RequestError, match=message) as caught:
        open_dataset(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_fractions_are_checked_first(tmp_path):
    with pytest.raises(RequestError, match="val_fraction is 2"):
        open_dataset(tmp_path / "gone", val_fraction=2)


def test_csv_that_is_not_text(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(RequestError, match="is not a UTF-8 text file"):
        open_dataset(tmp_path / "x.csv")


def test_a_manifest_in_an_archive_cannot_name_files_outside(tmp_path):
    picture(tmp_path / "secret.png", 1)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        (tmp_path / "x.csv").write_text(f"file,label\n{tmp_path / 'secret.png'},cat\n")
        tar.add(tmp_path / "x.csv", "x.csv")
    with pytest.raises(RequestError, match=r"secret\.png' lies outside the archive"):
        open_dataset(tmp_path / "a.tar")


def test_unreadable_archive(tmp_path, monkeypatch):
    path = as_zip(tmp_path)

    def denied(_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zipfile, "is_zipfile", denied)
    with pytest.raises(RequestError, match=r"cannot read '.*a\.zip': Permission denied"):
        open_dataset(path)


def test_a_folder_comes_before_a_built_in_set_of_its_name(tmp_path, monkeypatch):
    pictures(tmp_path / "digits", COUNTS)
    monkeypatch.chdir(tmp_path)
    data = open_dataset("digits")
    assert data.classes == ("cat", "dog")
    assert "took the folder ./digits, not the built-in set of that name" in data.notes


def test_labelled_images_takes_all_or_test(tmp_path):
    plain = labelled_images(as_folder(tmp_path), ["bird", "dog", "cat"])
    assert len(plain) == 18
    assert {f.parent.name: label for f, label in zip(plain.files, plain.labels, strict=True)} == {"cat": 2, "dog": 1}
    for names, chosen in ((("train", "test"), "test"), (("train", "val"), "val"), (("test",), "test")):
        folder = split_folder(tmp_path / chosen / str(len(names)), names)
        split = labelled_images(folder, ["cat", "dog"])
        assert {f.relative_to(folder).parts[0] for f in split.files} == {chosen}


def test_labelled_images_errors(tmp_path):
    with pytest.raises(RequestError, match="does not know: dog; data: cat, dog; run: cat, hen"):
        labelled_images(as_folder(tmp_path), ["cat", "hen"])
    with pytest.raises(RequestError, match="has only train images"):
        labelled_images(split_folder(tmp_path / "t", ("train",)), ["cat", "dog"])
    (tmp_path / "d/cat/3.png").write_bytes(b"no")
    with pytest.raises(BadImageError, match=r"3\.png: is not an image"):
        labelled_images(tmp_path / "d", ["cat", "dog"])
    bad: list[BadImage] = []
    assert len(labelled_images(tmp_path / "d", ["cat", "dog"], on_bad=bad.append)) == 17
    assert [b.file.name for b in bad] == ["3.png"]
    for file in (tmp_path / "d").rglob("*.png"):
        file.write_bytes(b"no")
    with pytest.raises(RequestError, match="has no readable image"):
        labelled_images(tmp_path / "d", ["cat", "dog"], on_bad=bad.append)


@needs_shared("data/awkward", "data/cats_dogs")
def test_awkward_files_in_a_training_folder(tmp_path):
    shared = SHARED / "data"
    for kind in ("cat", "dog"):
        for file in sorted((shared / "cats_dogs/train" / kind).iterdir())[:6]:
            (tmp_path / kind).mkdir(exist_ok=True)
            shutil.copy(file, tmp_path / kind)
    for file in (shared / "awkward").iterdir():
        shutil.copy(file, tmp_path / "cat")
    data = open_dataset(tmp_path)
    assert {b.file.name for b in data.bad} == {
        *("broken_data_stream.png", "broken.png", "decompression_bomb.gif", "bomb_40000x40000.png"),
        *("png_decompression_dos.png", "ultrahdr.jpg"),
    }
    assert sum(sizes(data)) == 12 + 14


def test_the_order_is_that_of_content_whatever_files_are_called(tmp_path):
    data = open_dataset(as_folder(tmp_path))
    contents = [file.read_bytes() for file in data.train.files]
    for file in list((tmp_path / "d").glob("*/*.png")):
        file.rename(file.with_name(f"{99 - int(file.stem)}.png"))
    assert [file.read_bytes() for file in open_dataset(tmp_path / "d").train.files] == contents
