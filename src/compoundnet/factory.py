"""A network by name, with or without weights. (Not ``create.py``: the module would hide the function.)"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn import FeatureExtractor, Network, build
from compoundnet.weights import apply_weights, read_weights

__all__ = ["create"]


def create(
    architecture: str | Path | Architecture,
    weights: str | Path | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    drop_rate: float | None = None,
    drop_path_rate: float | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> torch.nn.Module:
    """The network of a zoo name, a JSON file or an Architecture: (N, in_channels, H, W) -> (N, num_classes).

    Args:
        architecture: what to build.
        weights: a file, ``"imagenet"`` (the best published), a tag such as ``"ns"``, or None for fresh ones.
        num_classes: None: the architecture's; other than the weights': a fresh classifier; 0: pooled features.
        in_channels: None: the architecture's; other than the weights': the stem's kernels are adapted.
        drop_rate: dropout before the classifier; None: the architecture's.
        drop_path_rate: stochastic depth; None: the architecture's.
        features_only: the feature pyramid instead, a list of maps (see :class:`compoundnet.nn.FeatureExtractor`).
        out_indices: which maps.

    Raises:
        RequestError: no such network, weights that do not fit, or a setting that makes no network.
    """
    if out_indices is not None and not features_only:
        raise RequestError(
            f"out_indices is {list(out_indices)}; it chooses among feature maps and needs features_only=True"
        )
    base = architecture if isinstance(architecture, Architecture) else zoo.architecture(architecture)
    changes = {
        "classes": num_classes or None,
        "in_channels": in_channels,
        "dropout": drop_rate,
        "drop_path": drop_path_rate,
    }
    arch = replace(base, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
    network: Network = build(arch)
    if weights is not None:
        apply_weights(network, read_weights(weights, arch))
    if num_classes == 0:
        network.reset_classifier(0)
    return FeatureExtractor(network, out_indices) if features_only else network
