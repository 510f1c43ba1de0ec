"""One pass over all files: what each contains, and whether it can be decoded. Remembered between calls."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL

from compoundnet.data.decode import MAX_PIXELS, BadImageError, decode_image
from compoundnet.data.files import cache_root, read_file, short_hash
from compoundnet.files import write_atomically

__all__ = ["Scan", "Scanned", "scan"]

_READER = f"1 Pillow {PIL.__version__} {MAX_PIXELS}"  # an index made by another reader is made anew
_MAX_THREADS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Scanned:
    """SHA-256 of the file's bytes (empty if unreadable), and why it cannot be decoded (None: it can)."""

    sha256: str
    reason: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What was found, file by file, and notes about the scan itself."""

    files: dict[Path, Scanned]
    notes: tuple[str, ...]


def scan(files: Sequence[Path], *, name: str, progress: Callable[[int, int], None] | None = None) -> Scan:
    """Read and decode every file not seen before with the same path, size and time of change.

    ``name`` chooses the index in the cache; ``progress(done, total)`` is called from this thread. JPEG
    files are decoded at an eighth of their size: all their data is read, at less than the whole cost.
    An index that is missing, damaged, or cannot be kept costs time, never correctness.
    """
    index = cache_root() / "scans" / f"{short_hash(name)}.json"
    known = _read_index(index)
    keys = {file: _key(file) for file in files}
    found = {file: record for file, key in keys.items() if (record := known.get(key)) is not None}
    new = [file for file in keys if file not in found]
    for done, (file, record) in enumerate(_examined(new), start=len(found) + 1):
        found[file] = record
        if progress is not None:
            progress(done, len(keys))
    notes = _keep(index, {keys[file]: record for file, record in found.items()}) if new else ()
    return Scan(files=found, notes=notes)


def _examined(files: list[Path]) -> Any:
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        yield from zip(files, pool.map(_examine, files), strict=True)


def _examine(file: Path) -> Scanned:
    try:
        data = read_file(file)
    except OSError as error:
        return Scanned(sha256="", reason=f"cannot be read: {error.strerror or error}")
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        decode_image(data, at_least=1)
    except BadImageError as error:
        return Scanned(sha256=sha256, reason=error.reason)
    return Scanned(sha256=sha256, reason=None)


def _key(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return f"{file} unreadable"  # _examine says why
    return f"{file.absolute()}|{status.st_size}|{status.st_mtime_ns}"


def _read_index(index: Path) -> dict[str, Scanned]:
    try:
        record = json.loads(index.read_text(encoding="utf-8"))
        if record["reader"] != _READER:
            return {}
        return {key: Scanned(sha256=str(sha), reason=reason) for key, (sha, reason) in record["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(index: Path, files: dict[str, Scanned]) -> tuple[str, ...]:
    kept = {key: (record.sha256, record.reason) for key, record in files.items() if record.sha256}
    try:
        write_atomically(index, json.dumps({"reader": _READER, "files": kept}))
    except OSError as error:
        return (f"the scan could not be remembered in {str(index.parent)!r}: {error.strerror or error}",)
    return ()
