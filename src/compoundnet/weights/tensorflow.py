"""The adapter to the original code's checkpoints (tensorflow/tpu 7dc921f, google/automl 6a54c87), read by TensorFlow.

Their names are scopes: ``efficientnet-b0/blocks_3/conv2d_1/kernel``. Blocks are numbered from 0 over the whole
network, convolutions and norms of a block in the order in which it makes them. Training keeps a moving average of
every variable beside it (``/ExponentialMovingAverage``), by which the published accuracies were measured: where it is
there, it is read.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.weights.axes import to_torch
from compoundnet.weights.files import Stored, number
from compoundnet.weights.layout import few
from compoundnet.weights.parts import Place, places

__all__ = ["checkpoint_files", "modules", "prefix_of", "read_checkpoint"]

_READER = Path(__file__).with_name("tensorflow_reader.py")
_AVERAGE = "/ExponentialMovingAverage"
# The variables of the network; those of an optimiser end otherwise (.../kernel/RMSProp_1).
_VARIABLE = re.compile(
    r"(?:.+/)?(?P<layer>(?:stem|head|blocks_\d+)/.+)/"
    r"(?P<leaf>kernel|depthwise_kernel|bias|gamma|beta|moving_mean|moving_variance)"
)


def modules(arch: Architecture) -> Iterator[tuple[str, str]]:
    """Every module of ours that has tensors, with its scope inside the model's."""
    yield "stem.conv", "stem/conv2d"
    yield "stem.norm", "stem/tpu_batch_normalization"
    for place in places(arch, "TensorFlow"):
        yield from _block(place)
    yield "head.conv", "head/conv2d"
    yield "head.norm", "head/tpu_batch_normalization"
    yield "classifier", "head/dense"


def prefix_of(path: Path) -> Path | None:
    """What TensorFlow calls the checkpoint of which ``path`` is a file or already the name; None where it is none."""
    if not path.name:
        return None
    name = re.sub(r"\.(?:index|data-\d+-of-\d+)$", "", path.name)
    prefix = path.with_name(name) if name else path
    return prefix if prefix.with_name(f"{prefix.name}.index").is_file() else None


def checkpoint_files(prefix: Path) -> list[Path]:
    """The files of a checkpoint, sorted: its index, and the numbers in one or several."""
    index = prefix.with_name(f"{prefix.name}.index")
    return [
        *sorted(
            p for p in prefix.parent.iterdir() if re.fullmatch(re.escape(prefix.name) + r"\.data-\d+-of-\d+", p.name)
        ),
        index,
    ]


def read_checkpoint(prefix: Path) -> Stored:
    """The network's variables, in torch's order of axes, named by their scope: ``blocks_3/conv2d_1.weight``.

    Raises:
        RequestError: TensorFlow is not installed, the checkpoint is damaged or of other code, or NaN inside.
    """
    arrays = _arrays(prefix)
    tensors: dict[str, Tensor] = {}
    for (layer, leaf), variable in _variables(arrays):
        name, tensor = to_torch(layer, leaf, arrays[variable])
        if name in tensors:
            raise RequestError(f"{prefix} holds more than one network: {layer}/{leaf} is there twice")
        tensors[name] = number(tensor, name, str(prefix))
    return Stored(tensors, {})


def _variables(names: Iterable[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """Layer and leaf, and the variable to read: the average where there is one."""
    names = set(names)
    for name in sorted(names):
        if match := _VARIABLE.fullmatch(name):
            yield (match["layer"], match["leaf"]), name + _AVERAGE * (name + _AVERAGE in names)


def _arrays(prefix: Path) -> Mapping[str, NDArray[Any]]:
    """The network's variables and their averages, by name, as a child process reads them."""
    if find_spec("tensorflow") is None:
        raise RequestError(
            f"reading the TensorFlow checkpoint {prefix} needs tensorflow, which is not installed: "
            "pip install 'compoundnet[tensorflow]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "arrays.npz")
        # -P: beside that program lies a tensorflow.py, this one.
        command = [sys.executable, "-P", str(_READER), str(prefix), f"{_VARIABLE.pattern}({_AVERAGE})?", str(output)]
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}  # or it tells of every instruction of this processor
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1][:200]
            raise RequestError(f"{prefix} is not a TensorFlow checkpoint, or it is truncated: {why}")
        told = json.loads(done.stdout.splitlines()[-1])
        if not told["read"]:
            there = few(told["there"])
            raise RequestError(f"{prefix} is no checkpoint of the original EfficientNet code: it has {there}")
        with np.load(output) as stored:
            return {name: stored[f"arr_{i}"] for i, name in enumerate(told["read"])}


def _block(place: Place) -> Iterator[tuple[str, str]]:
    scope, convolutions, norms = f"blocks_{place.number}", 0, 0
    for part in place.parts:
        ours = f"{place.ours}.{part}"
        if part == "squeeze_excite":
            yield f"{ours}.reduce", f"{scope}/se/conv2d"
            yield f"{ours}.expand", f"{scope}/se/conv2d_1"
            continue
        if part == "depthwise":
            yield f"{ours}.conv", f"{scope}/depthwise_conv2d"
        else:
            yield f"{ours}.conv", f"{scope}/conv2d" + f"_{convolutions}" * (convolutions > 0)
            convolutions += 1
        yield f"{ours}.norm", f"{scope}/tpu_batch_normalization" + f"_{norms}" * (norms > 0)
        norms += 1
