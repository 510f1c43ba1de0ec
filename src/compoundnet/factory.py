"""A network by name, with or without weights. (Not ``create.py``: the module would hide the function.)"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn import FeatureExtractor, Network
from compoundnet.nn.comparators import build_network
from compoundnet.weights import apply_weights, read_weights
from compoundnet.zoo import AnyNetwork, Comparator

__all__ = ["create"]


def create(
    architecture: str | Path | AnyNetwork,
    weights: str | Path | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    drop_rate: float | None = None,
    drop_path_rate: float | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> torch.nn.Module:
    """The network of a zoo name, a JSON file or a value of either kind: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        architecture: what to build; a comparator such as ``"alexnet"`` has no stochastic depth and no pyramid.
        weights: a file, ``"imagenet"`` (the best published), a tag such as ``"ns"``, or None for fresh ones.
        num_classes: None: the architecture's, which must be the weights'; other than the weights': a fresh classifier;
            0: pooled features.
        in_channels: None: the architecture's; other than the weights': the stem's kernels are adapted.
        drop_rate: dropout before the classifier; None: the architecture's.
        drop_path_rate: stochastic depth; None: the architecture's.
        features_only: the feature pyramid instead, a list of maps (see :class:`compoundnet.nn.FeatureExtractor`).
        out_indices: which maps.

    Raises:
        RequestError: no such network, weights that do not fit, or a setting that makes no network.
    """
    num_classes, in_channels = _whole(num_classes), _whole(in_channels)
    if isinstance(out_indices, str) or not isinstance(out_indices, (Sequence, type(None))):
        raise RequestError(f"out_indices is {out_indices!r:.60}; it must be a list of whole numbers, such as (1, 2, 3)")
    if out_indices is not None and not features_only:
        raise RequestError(
            f"out_indices is {list(out_indices)}; it chooses among feature maps and needs features_only=True"
        )
    base = zoo.network(architecture) if isinstance(architecture, (str, Path)) else architecture
    if not isinstance(base, (Architecture, Comparator)):
        raise RequestError(f"network is {base!r:.60}; give a name, a JSON file or an Architecture")
    if isinstance(base, Comparator):
        _refuse({"features_only": features_only or None, "drop_path_rate": drop_path_rate}, base)
    changes = {
        "classes": num_classes or None,
        "in_channels": in_channels,
        "dropout": drop_rate,
        "drop_path": drop_path_rate,
    }
    arch = replace(base, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
    network = build_network(arch)
    if weights is not None:
        given = read_weights(weights, arch)
        rows = len(given.state.get("classifier.weight", ()))
        if num_classes is None and rows and rows != arch.classes:
            background = "; class 0 may be the background" if rows == arch.classes + 1 else ""
            raise RequestError(
                f"{given.source} has a classifier of {rows} classes, {arch.name} of {arch.classes}{background}: give "
                f"num_classes={rows} to keep it, or num_classes={arch.classes} for a fresh one"
            )
        apply_weights(network, given)
    if num_classes == 0:
        network.reset_classifier(0)
    return FeatureExtractor(network, out_indices) if features_only and isinstance(network, Network) else network


def _whole(value: Any) -> Any:
    """NumPy's whole numbers as Python's; what else there is, the checks of the network's fields will name."""
    return value if isinstance(value, bool) or not isinstance(value, Integral) else int(value)


def _refuse(settings: Mapping[str, object], comparator: Comparator) -> None:
    """RequestError for settings that are given and mean nothing to a comparator."""
    given = [f"{name}={value}" for name, value in settings.items() if value is not None]
    if given:
        raise RequestError(
            f"{comparator.name} is a comparator, built as it was published: leave {' and '.join(given)} out, "
            "or take an architecture such as efficientnet_b0"
        )
