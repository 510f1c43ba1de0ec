"""Unpack a zip or tar once, into the cache: nothing outside its folder, nothing half-written, no bombs."""

import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from compoundnet.data.files import built_once, is_hidden, short_hash
from compoundnet.errors import RequestError

__all__ = ["MAX_RATIO", "MIN_SUSPECT_BYTES", "is_archive", "unpacked"]

MAX_RATIO = 200
"""An archive may grow this many times when unpacked; photographs hardly grow at all."""
MIN_SUSPECT_BYTES = 1 << 30
"""Below this much unpacked content the ratio is not looked at."""

_SPARE_BYTES = 64 << 20  # left free on the disk
_MEMBER_BYTES = 512  # what even an empty member costs, so that their number is limited too
_CHUNK_BYTES = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    tarfile.TarError,
    BadGzipFile,
    zlib.error,
    LZMAError,
    EOFError,
    NotImplementedError,  # a compression this Python does not know
    RuntimeError,  # an encrypted member
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Member:
    name: str
    kind: str  # "file", "folder", or what it is instead
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether the file is a zip or a (compressed) tar, by its content."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def unpacked(path: Path) -> Path:
    """The folder in the cache with the archive's content; unpacked only if it is new or has changed.

    Raises:
        RequestError: a damaged or encrypted archive; a member that would land outside, or is a link or
            a device; one that grows beyond ``MAX_RATIO`` or the free disk space. Nothing is left behind.
    """
    status = path.stat()
    key = short_hash(path.resolve(), status.st_size, status.st_mtime_ns)
    return built_once("archives", f"{path.name.split('.')[0]}-{key}", lambda folder: _unpack(path, folder))


def _unpack(path: Path, folder: Path) -> None:
    limit_bytes, message = _limit(path, folder)
    written = 0
    try:
        with ExitStack() as stack:
            for member in _members(path, stack):
                target = _target(path, folder, member)
                written += _MEMBER_BYTES
                if target is not None:
                    written += _write(member, target, limit_bytes - written, message)
                if written > limit_bytes:
                    raise RequestError(message)
    except _DAMAGED as error:
        raise RequestError(
            f"cannot unpack {str(path)!r}: {error or type(error).__name__}; is the archive whole?"
        ) from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise RequestError(f"cannot unpack {str(path)!r}: {error.filename} is both a file and a folder") from error


def _members(path: Path, stack: ExitStack) -> Iterator[_Member]:
    if zipfile.is_zipfile(path):
        archive = stack.enter_context(zipfile.ZipFile(path))
        for info in archive.infolist():
            yield _Member(name=info.filename, kind=_zip_kind(info), open=partial(archive.open, info))
    else:
        tar = stack.enter_context(tarfile.open(path))  # noqa: SIM115 - the stack closes it
        for entry in tar:
            yield _Member(name=entry.name, kind=_tar_kind(entry), open=partial(tar.extractfile, entry))


def _zip_kind(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link"
    return "folder" if info.is_dir() else "file"


def _tar_kind(entry: tarfile.TarInfo) -> str:
    kinds = ((entry.isdir(), "folder"), (entry.isreg(), "file"), (entry.issym() or entry.islnk(), "a link"))
    return next((kind for holds, kind in kinds if holds), "a device")


def _target(path: Path, folder: Path, member: _Member) -> Path | None:
    """Where a member goes; None for folders and hidden files; RequestError for what must not be."""
    name = PurePosixPath(member.name.replace("\\", "/"))  # some Windows tools write backslashes
    if name.is_absolute() or ".." in name.parts or re.match("[A-Za-z]:", str(name)) or "\0" in member.name:
        raise RequestError(f"{str(path)!r} is not safe to unpack: member {member.name!r} would land outside its folder")
    if member.kind not in ("file", "folder"):
        raise RequestError(f"{str(path)!r} is not safe to unpack: member {member.name!r} is {member.kind}")
    if member.kind == "folder" or any(map(is_hidden, name.parts)):
        return None
    return folder / name


def _write(member: _Member, target: Path, room_bytes: int, too_large: str) -> int:
    """Write one member; its size. What the archive says of sizes is not trusted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    source = member.open()
    assert source is not None  # only folders and special files have none
    with source, target.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > room_bytes:
                raise RequestError(too_large)
            file.write(chunk)
    return written


def _limit(path: Path, folder: Path) -> tuple[int, str]:
    """How many bytes may be written, and what to say if there are more."""
    packed, free = path.stat().st_size, shutil.disk_usage(folder).free
    grown = max(MIN_SUSPECT_BYTES, packed * MAX_RATIO)
    if grown <= free - _SPARE_BYTES:
        return (
            grown,
            f"{str(path)!r} ({packed:,} bytes) unpacks to more than {grown:,}: refused as a decompression bomb",
        )
    room = f"{str(folder.parent)!r} has {free:,} bytes free; set COMPOUNDNET_CACHE to a folder with room"
    return free - _SPARE_BYTES, f"cannot unpack {str(path)!r}: it does not fit on the disk, {room}"
