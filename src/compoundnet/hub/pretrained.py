"""From a folder, or a repository of the Hugging Face hub, to a network with its labels and preprocessing."""

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from compoundnet.architecture import Architecture
from compoundnet.cost import cost
from compoundnet.errors import RequestError, foreign
from compoundnet.nn.comparators import build_network
from compoundnet.run import Run, RunFolder, using_device
from compoundnet.weights import Weights, apply_weights, read_weights
from compoundnet.weights.files import PICKLES
from compoundnet.weights.hub import is_repository
from compoundnet.weights.opening import path_of
from compoundnet.zoo.comparators import AnyNetwork, read_network

__all__ = ["FILES", "from_pretrained"]

FILES = ("README.md", "architecture.json", "config.json", "model.safetensors", "run.json")
"""All that a published folder may hold; nothing else is downloaded, so nothing that could run."""


def from_pretrained(
    source: str | Path, *, revision: str | None = None, token: str | None = None, device: str = "cpu"
) -> Run:
    """The trained network in a folder or in a hub repository, in evaluation mode on ``device``.

    Args:
        source: a folder that :func:`~compoundnet.hub.save_pretrained` wrote, a run folder, or ``owner/name`` on the
            hub. A folder comes before a repository of the same name.
        revision: branch, tag or commit of the repository; None: its main branch.
        token: for what is not public; None: that of ``hf auth login`` or of ``HF_TOKEN``.
        device: such as cpu or cuda.

    Raises:
        RequestError: no such folder or repository, files that are missing, damaged or pickles, or no such device.
    """
    folder = path_of(source)
    if folder.is_dir():
        if revision is not None:
            raise RequestError(f"revision is {revision!r}, but {str(source)!r} is a folder, which has only one")
    else:
        folder = _downloaded(str(source), revision, token)
    arch = _architecture(folder, str(source))
    weights = _weights(folder, arch, str(source))
    labels, prepared = weights.labels, weights.preprocessing
    if labels is None or prepared is None:
        raise RequestError(
            f"{str(source)!r} is no published network: the metadata of its model.safetensors lacks labels or "
            f"preprocessing; for its weights alone: create({arch.name!r}, weights=...)"
        )
    if len(labels) != arch.classes:
        raise RequestError(f"{str(source)!r} is damaged: {len(labels)} labels for {arch.classes} classes")
    files = RunFolder(folder)
    record = files.read_record() if files.record_file.exists() else {}
    network = build_network(arch)
    apply_weights(network, weights, strict=True)
    with using_device(device):
        return Run(network.eval().to(device), labels, prepared, arch, record)


def _downloaded(source: str, revision: str | None, token: str | None) -> Path:
    """The repository's files in the hub's cache, all of one commit; without a network those of the last time."""
    if not is_repository(source):
        raise RequestError(f"no folder {source!r}; give one that holds a trained network, or owner/name on the hub")
    try:
        return Path(
            huggingface_hub.snapshot_download(source, revision=revision, token=token, allow_patterns=list(FILES))
        )
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        at = "" if revision is None else f" at revision {revision!r}"
        raise RequestError(
            f"there is no folder {source!r}, and the hub has no such repository{at} that may be read; "
            "give owner/name, and for a private one log in with: hf auth login"
        ) from error
    except LocalEntryNotFoundError as error:
        raise RequestError(
            f"cannot fetch {source!r}: it is not in the cache and the hub cannot be reached; "
            "connect, or give a local folder"
        ) from error
    except Exception as error:  # the hub's HTTP library, and with it its errors, changes between versions
        raise RequestError(f"cannot fetch {source!r} from the hub: {foreign(error)}; or give a local folder") from error


def _architecture(folder: Path, source: str) -> AnyNetwork:
    file = RunFolder(folder).architecture_file
    try:
        return read_network(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RequestError(
            f"{source!r} is no published network: it has no architecture.json; "
            f"for weights alone: create(NAME, weights={source!r})"
        ) from error
    except (OSError, ValueError) as error:
        raise RequestError(f"{source!r} is damaged: architecture.json: {error}") from error


def _weights(folder: Path, arch: AnyNetwork, source: str) -> Weights:
    """Checked name by name against ``arch`` on the meta device, before anything of its size is built."""
    file = RunFolder(folder).weights_file
    if not file.exists():
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in PICKLES)
        why = f"; {pickles[0]} is a pickle, which can run code and is never loaded" if pickles else ""
        raise RequestError(f"{source!r} has no model.safetensors{why}")
    size_bytes = file.stat().st_size
    if isinstance(arch, Architecture) and 0 < size_bytes < cost(arch).params:  # a byte each is the least
        raise RequestError(
            f"{source!r} is damaged: model.safetensors is too small for what architecture.json describes"
        )
    return read_weights(file, arch)
