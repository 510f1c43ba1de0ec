"""The scan's memory: an index that may be lost, damaged or unwritable without harm."""

import os

import pytest
from PIL import Image

from compoundnet.data import BadImageError, decode_image
from compoundnet.data import scan as scanning
from compoundnet.data.scan import scan


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(path)
    return paths


@pytest.fixture
def examined(monkeypatch):
    seen = []
    real = scanning._examine
    monkeypatch.setattr(scanning, "_examine", lambda file: (seen.append(file), real(file))[1])
    return seen


def test_only_what_is_new_or_changed_is_read(files, examined):
    first = scan(files, name="x")
    assert scan(files, name="x").files == first.files
    assert sorted(examined) == files
    examined.clear()
    os.utime(files[1], ns=(5, 5))
    assert scan(files, name="x").files == first.files
    assert examined == [files[1]]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"reader": 1}', '{"files": {}}', "null"])
def test_a_damaged_index_is_made_anew(files, examined, cache, text):
    first = scan(files, name="x")
    (index,) = (cache / "scans").iterdir()
    good = index.read_text()
    index.write_text(text)
    examined.clear()
    assert scan(files, name="x") == first
    assert len(examined) == 3
    assert index.read_text() == good


def test_an_index_by_another_pillow_is_not_believed(files, examined, cache):
    scan(files, name="x")
    (index,) = (cache / "scans").iterdir()
    index.write_text(index.read_text().replace("Pillow", "Pillow 0.1"))
    examined.clear()
    scan(files, name="x")
    assert len(examined) == 3


def test_a_full_disk_costs_only_the_memory(files, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scanning, "write_atomically", full)
    found = scan(files, name="x")
    assert len(found.files) == 3
    assert found.notes[0].endswith("scans': No space left on device")


def test_a_file_that_is_gone_is_named_and_not_remembered(files, tmp_path):
    gone = tmp_path / "gone.png"
    assert scan([*files, gone], name="x").files[gone].reason == "cannot be read: No such file or directory"
    Image.new("RGB", (4, 4)).save(gone)
    assert scan([*files, gone], name="x").files[gone].reason is None


def test_a_pipe_is_named_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (record,) = scan([tmp_path / "pipe.png"], name="pipes").files.values()
    assert record.reason == "cannot be read: not a regular file"
    with pytest.raises(BadImageError, match="not a regular file"):
        decode_image(tmp_path / "pipe.png")
