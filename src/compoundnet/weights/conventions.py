"""What no tensor says: how a layout's networks pad, and the epsilon of their norms. Shapes agree, answers would not."""

from dataclasses import replace
from typing import NamedTuple

from compoundnet import zoo
from compoundnet.architecture import Architecture, Norm, Rounding
from compoundnet.errors import RequestError

__all__ = ["TENSORFLOW", "TORCH", "Convention", "check_convention", "same_layers"]


class Convention(NamedTuple):
    """The padding and the norm with which a layout's weights were trained; norm None: not known, so any."""

    padding: str
    norm: Norm | None


TENSORFLOW = Convention("same", Norm(eps=1e-3, momentum=0.01))
"""Of the original code, of Keras and of lukemelas' port. (V2's momentum is 0.1, which only training knows.)"""

TORCH = Convention("symmetric", Norm(eps=1e-5, momentum=0.1))
"""Of ResNets, in torchvision and timm."""


def check_convention(arch: Architecture, convention: Convention, source: str, hint: str = "") -> None:
    """Raise RequestError unless ``arch`` pads and normalises as the weights need; it names the architecture that does.

    The momentum may differ: no answer depends on it.
    """
    eps = convention.norm.eps if convention.norm else arch.norm.eps
    if (arch.padding, arch.norm.eps) == (convention.padding, eps):
        return
    fits = f"{source} needs padding {convention.padding!r} and a norm epsilon of {eps:g}"
    has = f"{arch.name} has {arch.padding!r} and {arch.norm.eps:g}"
    raise RequestError(f"{fits}; {has}: use {_fitting(arch, convention, eps)}{hint}")


def same_layers(one: Architecture, other: Architecture) -> bool:
    """Whether two architectures have the same layers, whatever their padding, norm, rates, classes and resolution."""
    return _bare(one) == _bare(other)


def _bare(arch: Architecture) -> Architecture:
    fields = {"name": "any", "resolution": 1, "in_channels": 1, "classes": 1, "padding": "same", "norm": Norm()}
    return replace(arch, **fields, dropout=0.0, drop_path=0.0, rounding=Rounding())  # type: ignore[arg-type]


def _fitting(arch: Architecture, convention: Convention, eps: float) -> str:
    """The zoo's name for it, else how to make it from ``arch``."""
    for name in zoo.list_architectures():
        known = zoo.architecture(name)
        if (known.padding, known.norm.eps) == (convention.padding, eps) and same_layers(known, arch):
            return name
    changes = [f"padding={convention.padding!r}"] if arch.padding != convention.padding else []
    if convention.norm and arch.norm.eps != eps:
        changes.append(f"norm=Norm(eps={eps:g}, momentum={convention.norm.momentum:g})")
    return f"dataclasses.replace(architecture({arch.name!r}), {', '.join(changes)}), or the same fields in its JSON"
