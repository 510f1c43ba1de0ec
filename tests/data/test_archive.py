"""Archives: unpacked once, nothing outside, nothing half-written."""

import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from compoundnet.data import archive, files
from compoundnet.data.archive import is_archive, unpacked
from compoundnet.errors import RequestError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_zip(path: Path, members: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def make_tar(path: Path, members: dict[str, bytes], mode="w", special: tarfile.TarInfo | None = None) -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
        if special is not None:
            file.addfile(special)
    return path


def left_behind(cache: Path) -> list[Path]:
    return [p for p in cache.rglob("*") if p.is_file() or p.name.startswith(".partial")] if cache.exists() else []


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


MEMBERS = {"a/1.png": b"one", "b/2.png": b"two"}


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_unpacked_once_until_it_changes(tmp_path, make):
    path = make(tmp_path / "x.bin", {**MEMBERS, "__MACOSX/a/._1.png": b"", "a/.DS_Store": b"x", ".git/x": b""})
    assert is_archive(path)
    folder = unpacked(path)
    assert tree(folder) == MEMBERS
    (folder / "mark").touch()
    assert unpacked(path) == folder
    assert (folder / "mark").exists()
    os.utime(path, ns=(1, 1))
    assert unpacked(path) != folder


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_compressed_tars(tmp_path, mode):
    assert tree(unpacked(make_tar(tmp_path / "x.tar", MEMBERS, mode))) == MEMBERS


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/tmp/evil.png", "..\\evil.png", "C:\\evil.png", "c:/evil"]
)
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_nothing_lands_outside(tmp_path, cache, make, name):
    path = make(tmp_path / "x.bin", {"a/1.png": b"one", name: b"evil"})
    with pytest.raises(RequestError, match=r"x\.bin.* is not safe to unpack: member .*evil.* would land outside"):
        unpacked(path)
    assert left_behind(cache) == []
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_links_and_devices_in_a_tar(tmp_path, cache, kind, what):
    special = tarfile.TarInfo("a/odd")
    special.type, special.linkname = kind, "/etc"
    path = make_tar(tmp_path / "x.tar", MEMBERS, special=special)
    with pytest.raises(RequestError, match=f"member 'a/odd' is {what}"):
        unpacked(path)
    assert left_behind(cache) == []


def test_link_in_a_zip(tmp_path, cache):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo("a/odd")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(RequestError, match="member 'a/odd' is a link"):
        unpacked(path)
    assert left_behind(cache) == []


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_by_what_comes_out(tmp_path, cache, kind, monkeypatch):
    monkeypatch.setattr(archive, "MIN_SUSPECT_BYTES", 1 << 20)
    zeros = {"a/0.png": bytes(4 << 20)}
    if kind == "zip":
        path = make_zip(tmp_path / "x.zip", zeros, compression=zipfile.ZIP_DEFLATED)
    else:
        path = make_tar(tmp_path / "x.tar.gz", zeros, "w:gz")
    with pytest.raises(RequestError, match="refused as a decompression bomb"):
        unpacked(path)
    assert left_behind(cache) == []


def test_many_empty_members_count_too(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MIN_SUSPECT_BYTES", 1 << 16)
    monkeypatch.setattr(archive, "MAX_RATIO", 1)
    path = make_tar(tmp_path / "x.tar.gz", {f"{i}.png": b"" for i in range(1000)}, "w:gz")
    with pytest.raises(RequestError, match="decompression bomb"):
        unpacked(path)


def test_no_room_is_seen_before_the_disk_is_full(tmp_path, cache, monkeypatch):
    path = make_zip(tmp_path / "x.zip", {"a/1.png": bytes(1000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, (64 << 20) + 100))
    with pytest.raises(RequestError, match=r"does not fit on the disk.*COMPOUNDNET_CACHE"):
        unpacked(path)
    assert left_behind(cache) == []


def test_a_disk_that_fills_leaves_nothing_half_written(tmp_path, cache, monkeypatch):
    path = make_zip(tmp_path / "x.zip", MEMBERS)
    real = Path.open

    def full(self, mode="r", *rest, **options):
        if self.name == "2.png" and "x" in mode:
            raise OSError(28, "No space left on device", str(self))
        return real(self, mode, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(
            RequestError, match="No space left on device; free some space there, or set COMPOUNDNET_CACHE"
        ):
            unpacked(path)
        assert left_behind(cache) == []
    assert tree(unpacked(path)) == MEMBERS


def test_damaged_archives(tmp_path, cache):
    noise = os.urandom(20_000)
    whole = make_zip(tmp_path / "x.zip", {"a/1.png": noise}).read_bytes()
    flipped = tmp_path / "flipped.zip"
    flipped.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(make_tar(tmp_path / "x.tar.gz", {"a/1.png": noise}, "w:gz").read_bytes()[:10_000])
    for path in (flipped, cut):
        with pytest.raises(RequestError, match=f"cannot unpack .*{path.name}.*is the archive whole"):
            unpacked(path)
    assert left_behind(cache) == []


def test_encrypted_zip(tmp_path):
    path = make_zip(tmp_path / "x.zip", MEMBERS)
    data = bytearray(path.read_bytes())
    for marker, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # set the flag "encrypted" of every member
        at = data.find(marker)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(marker, at + 1)
    path.write_bytes(data)
    with pytest.raises(RequestError, match=r"cannot unpack .*encrypted"):
        unpacked(path)


def test_a_name_that_is_file_and_folder(tmp_path):
    path = make_tar(tmp_path / "x.tar", {"a": b"file", "a/1.png": b"in it"})
    with pytest.raises(RequestError, match="both a file and a folder"):
        unpacked(path)


def test_another_process_was_faster(tmp_path, cache):
    def build(folder: Path) -> None:
        other = cache / "kind" / "key"
        other.mkdir()
        (other / "theirs").touch()
        (folder / "ours").touch()

    assert [p.name for p in files.built_once("kind", "key", build).iterdir()] == ["theirs"]
    assert [p.name for p in (cache / "kind").iterdir()] == ["key"]


def test_old_leftovers_are_swept(cache):
    old, young = cache / "kind" / ".partial-old", cache / "kind" / ".partial-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    files.built_once("kind", "key", lambda folder: None)
    assert not old.exists()
    assert young.exists()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RequestError, match=r"cannot write to the cache .*set COMPOUNDNET_CACHE"):
        files.built_once("kind", "key", lambda folder: None)
