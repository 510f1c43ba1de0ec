"""From a name or a file to a state dict with its preprocessing, and from there into a network."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from compoundnet import zoo
from compoundnet.architecture import Architecture, Norm
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing
from compoundnet.weights import hub, keras, registry
from compoundnet.weights.adapters import to_ours
from compoundnet.weights.conventions import Convention, check_convention
from compoundnet.weights.files import Recorded, Stored, network_beside, read_convention, read_record
from compoundnet.weights.layout import CLASSIFIER, check, detect
from compoundnet.weights.opening import is_file, open_weights, path_of

__all__ = ["Applied", "Weights", "adapt_input", "apply_weights", "read_architecture_weights"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Weights:
    """A state dict under our names, floats as float32, with what is recorded of it.

    ``preprocessing`` is None where neither the registry nor the file says: the caller must ask, not guess.
    ``labels`` are the class names, if recorded; ``source`` the file or hub id; ``sha256`` that of the file.
    """

    state: Mapping[str, Tensor]
    preprocessing: Preprocessing | None
    labels: tuple[str, ...] | None
    source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What :func:`apply_weights` did not load as it was: names left as initialised, and names adapted."""

    fresh: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()


def read_architecture_weights(source: str | Path, arch: Architecture) -> Weights:
    """:func:`compoundnet.weights.read_weights` for an architecture."""
    path, text, known = _locate(source, arch)
    stored, sha256 = open_weights(path)
    written = _convention(path, stored, text)
    state = to_ours(stored.tensors, arch, detect(stored.tensors, text), text, told=written is not None)
    if written:
        check_convention(arch, written, text)
    recorded = Recorded(known.preprocessing) if known else read_record(path, stored.texts)
    return Weights(
        state=state,
        preprocessing=recorded.preprocessing or _derived(stored, arch, text),
        labels=recorded.labels,
        source=text,
        sha256=sha256,
    )


def apply_weights(model: nn.Module, weights: Weights, *, strict: bool = False) -> Applied:
    """Load ``weights`` into ``model`` (of :func:`compoundnet.nn.build`), in place.

    Where the classifier has other rows, or the weights have none, the model's own is left as it was
    initialised; where the input has other channels, the stem is adapted by :func:`adapt_input`.
    ``strict``: neither is allowed, as for a trained run. A model without a classifier takes none.

    Returns:
        What was not loaded as it was.

    Raises:
        RequestError: any other difference, or these two if ``strict``; the model is then unchanged.
    """
    own = model.state_dict()
    state = {name: tensor for name, tensor in weights.state.items() if name in own or name not in CLASSIFIER}
    fresh: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()
    if CLASSIFIER[0] in own and not _same_rows(own, state):
        fresh = CLASSIFIER
    stem = next(iter(own))
    if stem in state and own[stem].ndim == state[stem].ndim == 4 and own[stem].shape[1] != state[stem].shape[1]:
        adapted = (stem,)
    if strict and (fresh or adapted):
        raise RequestError(f"{weights.source} does not fit {_name(model)} exactly: {_differences(own, state)}")
    state = {name: tensor for name, tensor in state.items() if name not in fresh}
    for name in adapted:
        state[name] = adapt_input(state[name], own[name].shape[1])
    check(state, {n: t.shape for n, t in own.items() if n not in fresh}, _name(model), weights.source)
    model.load_state_dict(state, strict=False)
    return Applied(fresh, adapted)


def adapt_input(weight: Tensor, in_channels: int) -> Tensor:
    """The kernel (O, I, k, k) of a first convolution for other input channels: (O, in_channels, k, k).

    To one channel: the sum over the old ones, so that grey photographs give the same as grey RGB. To n: the
    old ones in turn, scaled by I / n so that the sum keeps its size. timm aa4b585
    ``timm/models/_manipulate.py`` ``adapt_input_conv``.
    """
    old = weight.shape[1]
    if in_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, math.ceil(in_channels / old), 1, 1)[:, :in_channels]
    return repeated * (old / in_channels)


def _locate(source: str | Path, arch: Architecture) -> tuple[Path, str, registry.Record | None]:
    """The file, its name for people, and its published record if it has one. A tag comes before a path."""
    path, text = path_of(source), os.fspath(source)
    if isinstance(source, str) and (text == registry.BEST or registry.matching(arch.name, text)):
        return _published(registry.find(arch.name, text))
    if isinstance(source, Path) or is_file(text):
        return path, str(path), None
    if hub.is_repository(text):
        return _from_hub(text, arch)
    return _published(registry.find(arch.name, text))  # which says what there is


def _convention(path: Path, stored: Stored, source: str) -> Convention | None:
    """How the file's network pads and normalises, if the file says, or timm's record beside it."""
    if written := read_convention(stored.texts, source):
        return Convention(written[0], Norm(eps=written[1]))
    name = network_beside(path)
    if name is None or name not in zoo.list_architectures():
        return None
    home = zoo.architecture(name)
    return Convention(home.padding, home.norm)


def _published(record: registry.Record) -> tuple[Path, str, registry.Record]:
    return hub.fetch(record.repository, record.file), record.repository, record


def _from_hub(repository: str, arch: Architecture) -> tuple[Path, str, registry.Record | None]:
    record = registry.by_repository(repository)
    if record is None:
        return hub.fetch(repository), repository, None
    home = zoo.architecture(record.architecture)
    if (home.padding, home.norm.eps) != (arch.padding, arch.norm.eps):  # shapes agree, the answers would not
        raise RequestError(f"{repository} needs the padding and norm of {home.name}; {arch.name} has other ones")
    return _published(record)


def _derived(stored: Stored, arch: Architecture, source: str) -> Preprocessing | None:
    """By the numbers of a normalisation that the file holds, if it holds one of three channels."""
    normal = stored.normalization
    if normal is None or (len(normal.mean), len(normal.variance)) != (3, 3):
        return None
    try:
        return keras.preprocessing(normal.mean, normal.variance, arch)
    except RequestError as error:
        raise RequestError(f"{source}: of its normalisation, {error}") from error


def _same_rows(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    return all(name in state and len(own[name]) == len(state[name]) for name in CLASSIFIER)


def _differences(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    names = (next(iter(own)), *CLASSIFIER)
    pairs = ((name, own[name].shape, state[name].shape if name in state else None) for name in names if name in own)
    return ", ".join(
        f"{name} is {'absent' if theirs is None else tuple(theirs)}, not {tuple(mine)}"
        for name, mine, theirs in pairs
        if theirs != mine
    )


def _name(model: nn.Module) -> str:
    arch = getattr(model, "architecture", None)
    return arch.name if isinstance(arch, Architecture) else type(model).__name__
