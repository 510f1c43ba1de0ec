"""The user's files and the cache folder: what is an image, where things are kept, folders that are never half there."""

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from compoundnet.errors import RequestError

__all__ = [
    "IMAGE_SUFFIXES",
    "built_once",
    "cache_root",
    "image_files",
    "is_hidden",
    "is_image",
    "read_file",
    "short_hash",
    "visible",
    "walk_images",
]

_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".avif"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".ico", ".tga"),
)
IMAGE_SUFFIXES = frozenset(_SUFFIXES)
"""A file in a folder is taken for an image by its suffix, whatever the case; what is inside decides the rest."""

_STALE_S = 24 * 3600  # a partial folder this old was left by a process that was killed


def is_hidden(name: str) -> bool:
    """Dotfiles and what macOS and Windows leave behind: never data."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN")


def is_image(path: Path) -> bool:
    """Whether the name is that of an image file."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.name)


def visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders and files in ``folder``, sorted, without hidden folders; RequestError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            is_folder = {folder / entry.name: entry.is_dir() for entry in entries}
    except OSError as error:
        raise RequestError(f"cannot read folder {str(folder)!r}: {error.strerror or error}") from error
    folders = sorted(path for path, yes in is_folder.items() if yes and not is_hidden(path.name))
    return folders, sorted(path for path, yes in is_folder.items() if not yes)


def walk_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Image files and other files below ``folder``, each sorted; links are followed, each folder once."""
    images: list[Path] = []
    others: list[Path] = []
    waiting, seen = [folder], set()
    while waiting:
        here = waiting.pop()
        if here.resolve() in seen:
            continue
        seen.add(here.resolve())
        folders, files = visible(here)
        waiting += folders
        for file in files:
            (images if is_image(file) else others).append(file)
    return sorted(images), sorted(others)


def image_files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """The files named, and all image files in the folders named; in the order asked, no file twice.

    Raises:
        RequestError: no such file, a folder without images, or nothing asked for.
    """
    wanted = [Path(p) for p in ([paths] if isinstance(paths, (str, Path)) else paths)]
    found: dict[Path, None] = {}
    for path in wanted:
        if path.is_dir():
            images, _ = walk_images(path)
            if not images:
                raise RequestError(f"folder {str(path)!r} holds no image files ({', '.join(_SUFFIXES)})")
            found.update(dict.fromkeys(images))
        elif path.exists():
            found[path] = None
        else:
            raise RequestError(f"no such image file or folder: {str(path)!r}")
    if not found:
        raise RequestError("no image was named; give image files or folders")
    return list(found)


def read_file(path: Path) -> bytes:
    """The bytes of a regular file. OSError for anything else: a pipe would never end, a device never be full."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


def cache_root() -> Path:
    """``$COMPOUNDNET_CACHE``, or ``~/.cache/compoundnet``: unpacked archives, built-in sets, scans. Safe to delete."""
    set_by_user = os.environ.get("COMPOUNDNET_CACHE")
    return Path(set_by_user) if set_by_user else Path.home() / ".cache" / "compoundnet"


def built_once(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The cache folder ``kind/key``, filled by ``build(temporary folder)`` if it is not there yet.

    The folder appears whole or not at all, also when two processes build it at once.

    Raises:
        RequestError: the disk is full or the cache cannot be written; nothing is left behind.
    """
    folder = cache_root() / kind / key
    if folder.is_dir():
        return folder
    with _partial(folder.parent) as partial:
        build(partial)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():  # not another process that was faster
                raise
    return folder


@contextmanager
def _partial(parent: Path) -> Iterator[Path]:
    """A folder that is gone afterwards, unless it was renamed."""
    partial = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        partial = Path(tempfile.mkdtemp(dir=parent, prefix=".partial-"))
        yield partial
    except OSError as error:
        raise RequestError(
            f"cannot write to the cache {str(parent)!r}: {error.strerror or error}; "
            "free some space there, or set COMPOUNDNET_CACHE to a folder with room"
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for old in parent.glob(".partial-*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > _STALE_S:
            shutil.rmtree(old, ignore_errors=True)


def short_hash(*parts: object) -> str:
    """16 hex digits over the texts of ``parts``: the key of a cache entry."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogatepass")).hexdigest()[:16]
