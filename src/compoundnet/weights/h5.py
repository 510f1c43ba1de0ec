"""Reading HDF5 files that may be anything: numbers come out, and nothing else is followed, unpacked or run.

A file can point to other files, claim arrays of any size, or contain itself. What Keras writes does none of it.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from compoundnet.errors import RequestError

__all__ = ["Contents", "h5py", "largest_bytes", "read_arrays"]

_DEEPEST = 16  # groups inside groups; Keras nests about 4 a model
_MOST = 100_000  # groups and arrays; EfficientNet-L2 with its optimizer has 6,000
_FLOOR_BYTES = 64 * 2**20
_EXPANSION = 16  # trained weights compress by a tenth


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """Arrays by path, the ``name`` that a group says of itself by path, and texts that the file says of itself."""

    arrays: Mapping[str, NDArray[Any]]
    names: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def h5py(what: str) -> Any:
    """The package h5py; RequestError names the extra that brings it. ``what`` needs it."""
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError as error:
        raise RequestError(f"{what} needs h5py, which is not installed: pip install 'compoundnet[keras]'") from error


def largest_bytes(size_bytes: int) -> int:
    """How much a file of ``size_bytes`` may unpack to; more is no weights, but a trap for memory."""
    return max(_FLOOR_BYTES, _EXPANSION * size_bytes)


def read_arrays(file: Path | BinaryIO, source: str, size_bytes: int, wanted: Callable[[str], bool]) -> Contents:
    """The arrays whose path is ``wanted``, of a file of ``size_bytes``; ``source`` is named to people.

    Raises:
        RequestError: no HDF5 file or a truncated one, links, arrays kept in other files, objects instead of
            numbers, or a claim of far more numbers than are there.
    """
    library = h5py(f"reading {source}")
    try:
        with library.File(file, "r") as stored:
            return _Reader(library, source, largest_bytes(size_bytes)).contents(stored, wanted)
    except RequestError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise RequestError(f"{source} is not an HDF5 file, or it is truncated: {_line(error)}") from error


@dataclass(slots=True)
class _Reader:
    """One reading: what is still allowed goes down as it goes on."""

    library: Any
    source: str
    bytes_left: int
    left: int = _MOST

    def contents(self, stored: Any, wanted: Callable[[str], bool]) -> Contents:
        arrays, names = {}, {}
        for path, item in self._walk(stored, "", 0):
            if isinstance(item, self.library.Dataset):
                if wanted(path):
                    arrays[path] = self._read(path, item)
            elif "name" in item.attrs:
                names[path] = str(item.attrs["name"])
        texts = {key: str(stored.attrs[key]) for key in stored.attrs if key.startswith("compoundnet.")}
        return Contents(arrays=arrays, names=names, texts=texts)

    def _walk(self, group: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
        for name in group:
            place = f"{path}/{name}" if path else name
            self.left -= 1
            if depth > _DEEPEST or self.left < 0:
                raise self._refused(place, "more groups than any network has, or one inside itself")
            link = group.get(name, getlink=True)
            if not isinstance(link, self.library.HardLink):
                raise self._refused(place, f"a link ({type(link).__name__}) instead of numbers")
            item = group[name]
            yield place, item
            if isinstance(item, self.library.Group):
                yield from self._walk(item, place, depth + 1)

    def _read(self, path: str, item: Any) -> NDArray[Any]:
        if item.external or item.is_virtual:
            raise self._refused(path, "numbers that are kept in another file")
        if item.dtype.kind not in "fiu" or item.shape is None:
            raise self._refused(path, f"{item.dtype} instead of numbers")
        # A chunk is unpacked whole, even where it is larger than the array.
        counts = (math.prod(item.shape), math.prod(item.chunks or ()))
        self.bytes_left -= max(counts) * item.dtype.itemsize
        if self.bytes_left < 0:
            raise self._refused(path, "claims of far more numbers than the file holds")
        array: NDArray[Any] = item[()]
        # Of any width and order of bytes to what torch takes.
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def _refused(self, path: str, why: str) -> RequestError:
        return RequestError(f"{self.source} is refused: at {path[:80]!r} it has {why}; nothing of it was loaded")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
