"""The run folder: what a training leaves, and all that evaluate, predict, export and serve need.

``architecture.json``, ``model.safetensors``, ``run.json`` (labels, preprocessing, recipe, versions, data
fingerprint, seed), ``metrics.jsonl``, ``checkpoint/``, ``tensorboard/``, ``report.html``. Nothing in it
is a pickle.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from compoundnet.errors import RequestError, foreign
from compoundnet.files import write_atomically
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo.comparators import AnyNetwork, read_network

if TYPE_CHECKING:
    from torch import Tensor

    from compoundnet.nn.comparators import AnyModule

__all__ = ["Run", "RunFolder", "load", "using_device"]

FORMAT = 1
_SHOWN = 200  # characters of an error from elsewhere: torch lists every tensor, a line each


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of a run, and reading and writing its files."""

    path: Path

    @property
    def architecture_file(self) -> Path:
        """The architecture, or the comparator, as JSON."""
        return self.path / "architecture.json"

    @property
    def weights_file(self) -> Path:
        """The trained weights; there once the training is done."""
        return self.path / "model.safetensors"

    @property
    def record_file(self) -> Path:
        """Everything else that is known of the training."""
        return self.path / "run.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line, one line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoint_folder(self) -> Path:
        """What a resume needs."""
        return self.path / "checkpoint"

    @property
    def report_file(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    @property
    def tensorboard_folder(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training here, inside. The lock goes with the process, however it ends.

        Raises:
            RequestError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise RequestError(f"another process is training in {str(self.path)!r}; wait, or stop it") from error
        finally:
            os.close(handle)

    def read_record(self) -> dict[str, Any]:
        """``run.json``. RequestError: no run there, or not one that this version can read."""
        try:
            record = json.loads(self.record_file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RequestError(f"{str(self.path)!r} is not a run: it has no run.json") from error
        except (OSError, ValueError, RecursionError) as error:
            raise RequestError(f"cannot read {self.record_file}: {error}") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise RequestError(f"{self.record_file} is not of format {FORMAT}; it was written by another version")
        for key, kind in (("request", dict), ("data", dict), ("labels", list)):
            if not isinstance(record.get(key, kind()), kind):
                raise RequestError(f"{self.record_file} is damaged: {key} is {record[key]!r:.40}; bring back a copy")
        return record

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``run.json``, whole or not at all."""
        write_atomically(self.record_file, json.dumps({"format": FORMAT, **record}, indent=2) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.jsonl``, without a last one that a kill cut short. RequestError: it is damaged."""
        if not self.metrics_file.exists():
            return []
        try:
            whole = [line for line in self.metrics_file.read_text(encoding="utf-8").split("\n")[:-1] if line]
            rows = [json.loads(line) for line in whole]
        except (OSError, ValueError, RecursionError) as error:
            raise RequestError(
                f"cannot read {self.metrics_file}: {error}; remove the run, or bring back a copy"
            ) from error
        if not all(isinstance(row, dict) and {"phase", "val_top1"} <= row.keys() for row in rows):
            raise RequestError(f"{self.metrics_file} is damaged: a line is no row of metrics; bring back a copy")
        return rows

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace ``metrics.jsonl``, whole or not at all."""
        write_atomically(self.metrics_file, "".join(json.dumps(row) + "\n" for row in rows))

    def write_weights(self, state: Mapping[str, "Tensor"], classes: tuple[str, ...], prepared: Preprocessing) -> None:
        """Write ``model.safetensors``, whole or not at all; labels and preprocessing travel in its metadata."""
        from safetensors.torch import save

        metadata = {
            "format": "pt",
            "compoundnet.preprocessing": json.dumps(prepared.to_json()),
            "compoundnet.labels": json.dumps(list(classes)),
        }
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        write_atomically(self.weights_file, _ordered(save(tensors, metadata)))


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A trained network and what is needed to use it."""

    model: "AnyModule"
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    architecture: AnyNetwork
    record: Mapping[str, Any]


def _ordered(content: bytes) -> bytes:
    """The same safetensors file with its metadata in a fixed order, so that equal runs are equal byte by byte.

    The library writes them in an order that changes from call to call. The file is 8 bytes with the
    header's size, little-endian, the header as JSON, padded to 8 bytes, and the tensors.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def load(path: str | Path, device: str = "cpu") -> Run:
    """The trained run in folder ``path``, its network in evaluation mode on ``device``.

    Raises:
        RequestError: no run there, one whose training has not ended, damaged files, or no such device.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from compoundnet.nn.comparators import build_network

    folder = RunFolder(Path(path))
    record = folder.read_record()
    if not folder.weights_file.exists():
        raise RequestError(
            f"run {str(path)!r} has no model yet: its training has not ended; the same train command goes on"
        )
    try:
        arch = read_network(folder.architecture_file.read_text(encoding="utf-8"))
        labels, prepared = tuple(record["labels"]), Preprocessing.from_json(record["preprocessing"])
        state = load_file(folder.weights_file)
        network = build_network(arch)
        network.load_state_dict(state)
        if len(labels) != arch.classes or not all(isinstance(label, str) for label in labels):
            raise ValueError(f"{len(labels)} labels for {arch.classes} classes")
        broken = [name for name, t in state.items() if t.is_floating_point() and not t.isfinite().all()]
        if broken:
            raise ValueError(f"{broken[0]} holds NaN or infinity")
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise RequestError(f"run {str(path)!r} is damaged: {shorten(str(error), _SHOWN)}") from error
    with using_device(device):
        return Run(network.eval().to(device), labels, prepared, arch, record)


@contextmanager
def using_device(device: str) -> Iterator[None]:
    """Inside, torch's errors are those of a device that cannot be used: a RequestError in its name."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        raise RequestError(f"device {device!r} cannot be used ({foreign(error)}); try cpu") from error
