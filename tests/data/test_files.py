"""What counts as an image file, and where files are kept."""

import os
from pathlib import Path

import pytest

from compoundnet.data import cache_root, image_files
from compoundnet.data.files import visible, walk_images
from compoundnet.errors import RequestError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_image_files_takes_files_and_folders_in_the_order_asked(tmp_path):
    touch(tmp_path, "b/2.JPG", "b/c/1.webp", "b/.hidden.jpg", "b/notes.txt", "a.odd", "Thumbs.db", "b/.git/x.png")
    found = image_files([tmp_path / "b", str(tmp_path / "a.odd"), tmp_path / "b" / "2.JPG"])
    assert found == [tmp_path / "b/2.JPG", tmp_path / "b/c/1.webp", tmp_path / "a.odd"]
    assert image_files(tmp_path / "b") == found[:2]


def test_image_files_that_are_not_there(tmp_path):
    touch(tmp_path, "b/notes.txt")
    with pytest.raises(RequestError, match=r"no such image file or folder: '.*gone'"):
        image_files([tmp_path / "gone"])
    with pytest.raises(RequestError, match=r"folder '.*b' holds no image files \(\.jpg, "):
        image_files(tmp_path / "b")
    with pytest.raises(RequestError, match="no image was named"):
        image_files([])


def test_links_are_followed_and_circles_end(tmp_path):
    touch(tmp_path, "a/1.png", "far/2.png", "a/3.txt")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "a" / "circle").symlink_to(tmp_path / "a")
    images, others = walk_images(tmp_path / "a")
    assert [p.name for p in images] == ["1.png", "2.png"]
    assert [p.name for p in others] == ["3.txt"]


def test_unreadable_folder(tmp_path, monkeypatch):
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(RequestError, match=r"cannot read folder '.*': Permission denied"):
        visible(tmp_path)


def test_cache_root(monkeypatch):
    monkeypatch.setenv("COMPOUNDNET_CACHE", "/somewhere")
    assert cache_root() == Path("/somewhere")
    monkeypatch.delenv("COMPOUNDNET_CACHE")
    monkeypatch.setenv("HOME", "/nowhere")
    assert cache_root() == Path("/nowhere/.cache/compoundnet")
