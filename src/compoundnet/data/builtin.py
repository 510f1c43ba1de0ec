"""Data sets by name: scikit-learn's digits offline, others fetched once by torchvision or torch.hub."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from compoundnet.data.archive import unpacked
from compoundnet.data.files import built_once, cache_root
from compoundnet.errors import RequestError

__all__ = ["BUILT_IN", "built_in"]

# Microsoft's own copy of Asirra, https://www.microsoft.com/en-us/download/details.aspx?id=54765
_CATS_VS_DOGS_URL = (
    "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip"
)
_CATS_VS_DOGS_SHA256 = "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9"


def built_in(name: str) -> Path:
    """The folder of a built-in set, made or fetched if it is not in the cache.

    Raises:
        RequestError: the set cannot be fetched (says what was tried and what works instead).
    """
    return BUILT_IN[name]()


def _digits() -> Path:
    """1,797 handwritten digits of 8 x 8 pixels, UCI via scikit-learn, as grey PNG files in class folders."""
    return built_once("sets", "digits", _write_digits)


def _write_digits(folder: Path) -> None:
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for i, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        file = folder / str(label) / f"{i:04d}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.rint(pixels * (255 / 16)).astype(np.uint8)).save(file)


def _cifar10() -> Path:
    return built_once("sets", "cifar10", _write_cifar10)


def _write_cifar10(folder: Path) -> None:
    from torchvision.datasets import CIFAR10

    for split, train in (("train", True), ("test", False)):
        source: Any = _fetched("cifar10", partial(CIFAR10, _downloads(), train=train, download=True))
        for i, (image, label) in enumerate(source):
            file = folder / split / source.classes[label] / f"{i:05d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            image.save(file)


def _oxford_pets() -> Path:
    return built_once("sets", "oxford_pets", _write_oxford_pets)


def _write_oxford_pets(folder: Path) -> None:
    """A manifest of the images where torchvision keeps them; its own train and test halves."""
    from torchvision.datasets import OxfordIIITPet

    rows = []
    for split, theirs in (("train", "trainval"), ("test", "test")):
        source: Any = _fetched("oxford_pets", partial(OxfordIIITPet, _downloads(), split=theirs, download=True))
        rows += [
            (str(Path(f).resolve()), source.classes[label], split)
            for f, label in zip(source._images, source._labels, strict=True)
        ]
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label", "split"), *rows])


def _cats_vs_dogs() -> Path:
    from torch.hub import download_url_to_file

    file = _downloads() / _CATS_VS_DOGS_URL.rpartition("/")[2]
    if not file.exists():
        fetch = partial(download_url_to_file, hash_prefix=_CATS_VS_DOGS_SHA256, progress=False)
        _fetched("cats_vs_dogs", partial(fetch, _CATS_VS_DOGS_URL, str(file)))
    return unpacked(file)


def _downloads() -> Path:
    folder = cache_root() / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _fetched(name: str, fetch: Callable[[], Any]) -> Any:
    try:
        return fetch()
    except (OSError, RuntimeError) as error:  # torchvision and torch.hub: URLError, or RuntimeError for a bad hash
        raise RequestError(
            f"cannot fetch {name!r}: {error}; fetch it where there is a network and give the zip, tar or folder "
            "instead of the name, or use 'digits', which needs none"
        ) from error


BUILT_IN: dict[str, Callable[[], Path]] = {
    "digits": _digits,
    "cifar10": _cifar10,
    "oxford_pets": _oxford_pets,
    "cats_vs_dogs": _cats_vs_dogs,
}
"""What makes or fetches each set, by name; each gives a folder."""
