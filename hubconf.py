"""Every network by its name for ``torch.hub``, from this repository as it is, installed or not.

``torch.hub.load("OWNER/REPOSITORY", "efficientnet_b0", weights="imagenet", num_classes=2)``; ``torch.hub.list`` says
what there is. ``create`` takes a JSON file or an Architecture, too.
"""

import sys as _sys
from collections.abc import Callable as _Callable
from pathlib import Path as _Path
from typing import Any as _Any

# torch.hub puts only the repository's root on the path, and only for this import. What is imported later is found
# through the package, which knows its own folder by then.
_sys.path.insert(0, str(_Path(__file__).resolve().parent / "src"))
try:
    from compoundnet.zoo import list_networks as _list_networks
finally:
    del _sys.path[0]

dependencies = ["torch", "numpy", "safetensors", "huggingface_hub"]


def create(architecture: _Any, weights: _Any = None, **settings: _Any) -> _Any:
    """The network of a name, a JSON file or an Architecture: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        architecture: what to build.
        weights: ``"imagenet"`` (the best published), a tag such as ``"ns"``, a file, or None for fresh ones.
        settings: ``num_classes``, ``in_channels``, ``drop_rate``, ``drop_path_rate``, ``features_only``,
            ``out_indices``.
    """
    from compoundnet.factory import create as build

    return build(architecture, weights, **settings)


def _entry(name: str) -> _Callable[..., _Any]:
    def entry(weights: _Any = None, **settings: _Any) -> _Any:
        return create(name, weights, **settings)

    entry.__name__ = entry.__qualname__ = name
    entry.__doc__ = f"{name}: (N, in_channels, H, W) -> (N, num_classes); weights and settings as of create."
    return entry


globals().update({name: _entry(name) for name in _list_networks()})
