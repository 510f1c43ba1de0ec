"""Fetching from the Hugging Face hub: cached, checked by size and SHA-256, clear when it cannot be reached."""

import re
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

from compoundnet.errors import RequestError

__all__ = ["fetch", "is_repository", "sha256_of"]

_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]*\w[\w.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Expected:
    """What the hub, or else the name under which its cache keeps the file, says that the file is."""

    size_bytes: int | None = None
    sha256: str | None = None


def is_repository(text: str) -> bool:
    """Whether a text may be the ``owner/name`` of a repository, and not a path such as ``./name``."""
    return _REPOSITORY.fullmatch(text) is not None


def fetch(repository: str, file: str = "model.safetensors") -> Path:
    """The local path of one file of a hub repository, downloaded unless the cache has it, and verified.

    A large file's etag on the hub is its SHA-256, and the cache keeps the file under that name, so that it
    is verified offline too. A damaged file is downloaded once more. ``HF_HOME`` moves the cache.

    Raises:
        RequestError: no such repository or file, no network and nothing cached, or damaged even so.
    """
    expected, unreachable = _ask_hub(repository, file)
    path = _download(repository, file, unreachable)
    problem = _damage(path, expected)
    if problem and not unreachable:
        path = _download(repository, file, unreachable, again=True)
        problem = _damage(path, expected)
    if problem:
        why = "the hub cannot be reached to replace it" if unreachable else "downloading it again did not help"
        raise RequestError(f"{path} ({repository}) is damaged: {problem}; {why}; delete it, or give a file of your own")
    return path


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _ask_hub(repository: str, file: str) -> tuple[_Expected, str]:
    """What the file should be, and why the hub could not be asked ("" if it could)."""
    try:
        told = huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repository, file))
    except (RepositoryNotFoundError, EntryNotFoundError, GatedRepoError) as error:
        raise RequestError(f"the hub has no file {file} in {repository!r} that may be read: {_line(error)}") from error
    except Exception as error:  # the hub's HTTP library, and with it its errors, changes between versions
        return _Expected(), _line(error) or type(error).__name__
    return _Expected(told.size, told.etag if _SHA256.fullmatch(told.etag or "") else None), ""


def _download(repository: str, file: str, unreachable: str, again: bool = False) -> Path:
    try:
        # Local only, or an absent network would be retried for 20 seconds before the cache is looked at.
        path = huggingface_hub.hf_hub_download(
            repository, file, local_files_only=bool(unreachable), force_download=again
        )
    except EntryNotFoundError as error:
        raise RequestError(
            f"cannot fetch {file} of {repository!r}: it is not in the cache and the hub cannot be reached "
            f"({unreachable or _line(error)}); connect, or give a local .safetensors file instead"
        ) from error
    except Exception as error:  # as above: no network any more, no space, no permission
        reason = _line(error) or type(error).__name__
        raise RequestError(f"cannot fetch {file} of {repository!r}: {reason}; or give a local file instead") from error
    return Path(path)


def _damage(path: Path, expected: _Expected) -> str:
    """What is wrong with the file, "" if nothing."""
    size_bytes, name = path.stat().st_size, path.resolve().name
    if expected.size_bytes is not None and size_bytes != expected.size_bytes:
        return f"{size_bytes} bytes instead of {expected.size_bytes}"
    sha256 = expected.sha256 or (name if _SHA256.fullmatch(name) else None)
    if sha256 and (found := sha256_of(path)) != sha256:
        return f"its SHA-256 is {found[:12]}..., it should be {sha256[:12]}..."
    return ""


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
