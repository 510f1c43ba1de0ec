"""Sets by name: digits for real, the others with a stand-in for the download."""

import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from compoundnet.data import builtin, decode_image, open_dataset
from compoundnet.errors import RequestError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8))


def test_digits():
    data = open_dataset("digits")
    assert data.classes == tuple("0123456789")
    assert (len(data.train), len(data.val), len(data.test)) == (1247, 275, 275)  # 1797 in all
    assert data.bad == ()
    images = [decode_image(file) for file in data.train.files[:20]]
    assert {image.size for image in images} == {(8, 8)}
    assert max(np.asarray(image).max() for image in images) == 255  # 16 sixteenths
    assert open_dataset("digits") == data


def test_cifar10_becomes_class_folders(cache, monkeypatch):
    import torchvision.datasets

    class Fake(list):
        classes = ("frog", "ship")

        def __init__(self, root, train, download):
            assert download
            assert Path(root) == cache / "downloads"
            super().__init__((noise(2 * i + train), i % 2) for i in range(8))

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Fake)
    data = open_dataset("cifar10")
    assert data.classes == ("frog", "ship")
    assert (len(data.train), len(data.val), len(data.test)) == (6, 2, 8)


def test_oxford_pets_become_a_manifest(cache, monkeypatch, tmp_path):
    import torchvision.datasets

    def fake(root, split, download):
        files = [tmp_path / f"{split}_{i}.jpg" for i in range(8)]
        for i, file in enumerate(files):
            noise(i + 100 * (split == "test")).save(file)
        return SimpleNamespace(_images=files, _labels=[i % 2 for i in range(8)], classes=["Abyssinian", "Boxer"])

    monkeypatch.setattr(torchvision.datasets, "OxfordIIITPet", fake)
    data = open_dataset("oxford_pets")
    assert data.classes == ("Abyssinian", "Boxer")
    assert (len(data.train), len(data.val), len(data.test)) == (6, 2, 8)


def test_cats_vs_dogs_is_microsofts_zip(cache, monkeypatch, tmp_path):
    def fake(url, dst, hash_prefix, progress):
        assert url.startswith("https://download.microsoft.com/")
        assert len(hash_prefix) == 64
        with zipfile.ZipFile(dst, "w") as file:
            for i in range(8):
                noise(i).save(tmp_path / "x.png")
                file.write(tmp_path / "x.png", f"PetImages/{('Cat', 'Dog')[i % 2]}/{i}.jpg")
            file.writestr("PetImages/Cat/666.jpg", b"")  # as in the original
            file.writestr("readme[1].txt", b"x")

    monkeypatch.setattr("torch.hub.download_url_to_file", fake)
    data = open_dataset("cats_vs_dogs")
    assert data.classes == ("Cat", "Dog")
    assert [b.reason for b in data.bad] == ["is empty (0 bytes)"]


@pytest.mark.parametrize("name", ["cifar10", "oxford_pets", "cats_vs_dogs"])
def test_offline_says_what_works_instead(cache, monkeypatch, name):
    import torchvision.datasets

    def offline(*_: object, **__: object) -> None:
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")

    for where in (
        "torchvision.datasets.CIFAR10",
        "torchvision.datasets.OxfordIIITPet",
        "torch.hub.download_url_to_file",
    ):
        monkeypatch.setattr(where, offline)
    with pytest.raises(RequestError, match=rf"cannot fetch '{name}': .*name resolution.*give the zip, tar or folder"):
        open_dataset(name)
    assert not [p for p in cache.rglob("*") if p.is_file() or p.name.startswith(".partial")]
    assert torchvision.datasets


def test_every_built_in_name_is_listed_where_data_is_not_found():
    with pytest.raises(RequestError, match="digits, cifar10, oxford_pets, cats_vs_dogs"):
        open_dataset("no_such_set")
    assert set(builtin.BUILT_IN) == {"digits", "cifar10", "oxford_pets", "cats_vs_dogs"}


def test_importing_and_opening_data_need_no_torch():
    code = (
        "import sys, compoundnet.data as d; d.open_dataset; d.Augmentation(); d.Batch; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_names_of_the_package():
    import compoundnet.data as package

    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        package.nope  # noqa: B018
