"""Every layout with its adapter, as a table: which names it has for our modules, and how its networks pad."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.weights import keras, lukemelas, rename, resnet, tensorflow, timm, torchvision
from compoundnet.weights.conventions import TENSORFLOW, TORCH, Convention, check_convention
from compoundnet.weights.layout import LAYOUTS, check, expected_shapes, looks_like, stored_variant
from compoundnet.weights.rename import Modules

__all__ = ["from_ours", "to_ours"]


@dataclass(frozen=True, slots=True)
class _Adapter:
    modules: Callable[[Architecture], Modules]
    convention: Callable[[Architecture], Convention]


def _like_tensorflow(arch: Architecture) -> Convention:
    return TENSORFLOW


def _like_torch(arch: Architecture) -> Convention:
    return TORCH


_ADAPTERS = {
    "torchvision": _Adapter(torchvision.modules, torchvision.convention),
    "lukemelas": _Adapter(lukemelas.modules, _like_tensorflow),
    "keras": _Adapter(keras.modules, _like_tensorflow),
    "keras by class": _Adapter(keras.modules_by_class, _like_tensorflow),
    "tensorflow": _Adapter(tensorflow.modules, _like_tensorflow),
    "resnet": _Adapter(resnet.modules, _like_torch),
    "resnet, deep stem": _Adapter(resnet.modules, _like_torch),
}


_OWN_KERAS = "; the weights of a model of compoundnet.keras come by from_keras(model, arch)"


def to_ours(
    state: Mapping[str, Tensor], arch: Architecture, layout: str, source: str, *, told: bool = False
) -> dict[str, Tensor]:
    """A state dict of a key of ``LAYOUTS`` under our names, checked against ``arch`` but for classes and in_channels.

    ``told``: the file said how its network pads and normalises; else it does as the layout's networks do.

    Raises:
        RequestError: the weights of another network, or of one that pads or normalises otherwise; ``source`` is named.
    """
    stored = stored_variant(arch, state, LAYOUTS[layout])
    if layout == "compoundnet":
        check(state, expected_shapes(stored), arch.name, source)
        return dict(state)
    if layout == "timm":
        return timm.to_ours(state, stored, source)
    adapter = _ADAPTERS[layout]
    try:
        modules = list(adapter.modules(stored))
    except RequestError as error:  # another family
        like = looks_like(state, arch.name, LAYOUTS[layout].classifier)
        raise RequestError(f"{source} does not fit {arch.name}: {error}{like}") from error
    ours = rename.to_ours(state, stored, modules, source)
    if not told:
        hint = _OWN_KERAS if layout.startswith("keras") else ""
        check_convention(arch, adapter.convention(arch), source, hint)
    return ours


def from_ours(state: Mapping[str, Tensor], arch: Architecture, layout: str, source: str) -> dict[str, Tensor]:
    """Our state dict under the names of a key of ``LAYOUTS``; the reverse of :func:`to_ours`, with the same errors."""
    stored = stored_variant(arch, state, LAYOUTS["compoundnet"])
    if layout == "compoundnet":
        check(state, expected_shapes(stored), arch.name, source)
        return dict(state)
    if layout == "timm":
        return timm.from_ours(state, stored, source)
    adapter = _ADAPTERS["resnet" if layout == "torchvision" and resnet.is_resnet(arch) else layout]
    modules = list(adapter.modules(stored))
    check_convention(arch, adapter.convention(arch), f"{layout}'s layout")
    return rename.from_ours(state, stored, modules, source)
