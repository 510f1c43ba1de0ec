"""From one layout's names to ours and back, by a table of modules. The tensors are shared, not copied."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from compoundnet.architecture import Architecture
from compoundnet.weights.layout import CLASSIFIER, check, expected_shapes

__all__ = ["Modules", "from_ours", "to_ours"]

Modules = Iterable[tuple[str, str]]
"""Every module of ours that has tensors, with the same one's name in the other layout."""


def to_ours(
    state: Mapping[str, Tensor], arch: Architecture, modules: Modules, source: str = "state"
) -> dict[str, Tensor]:
    """A state dict of another layout under our names.

    Raises:
        RequestError: names or shapes are not exactly those of ``arch`` (batch counts may be absent, and so
            may the whole classifier); ``source`` is named.
    """
    shapes = expected_shapes(arch)
    theirs_of = _names(modules, shapes)
    expected = {theirs: shapes[ours] for ours, theirs in theirs_of.items()}
    classifier = (theirs_of[CLASSIFIER[0]], theirs_of[CLASSIFIER[1]])
    check(state, expected, arch.name, source, classifier)
    ours_of = {theirs: ours for ours, theirs in theirs_of.items()}
    return {ours_of[name]: tensor for name, tensor in state.items()}


def from_ours(
    state: Mapping[str, Tensor], arch: Architecture, modules: Modules, source: str = "state"
) -> dict[str, Tensor]:
    """Our state dict under another layout's names; the reverse of :func:`to_ours`, with the same errors."""
    shapes = expected_shapes(arch)
    check(state, shapes, arch.name, source)
    names = _names(modules, shapes)
    return {names[name]: tensor for name, tensor in state.items()}


def _names(modules: Modules, shapes: Mapping[str, torch.Size]) -> dict[str, str]:
    """Every tensor's name in our layout -> its name in theirs."""
    table = dict(modules)
    split = (name.rpartition(".") for name in shapes)
    return {f"{module}.{tensor}": f"{table[module]}.{tensor}" for module, _, tensor in split}
