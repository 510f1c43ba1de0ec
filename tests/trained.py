"""A trained run without a training: random weights, but statistics in its norms."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from compoundnet.nn.comparators import build_network
from compoundnet.preprocessing import Preprocessing
from compoundnet.run import Run
from compoundnet.zoo import AnyNetwork
from tiny import ARCH, CLASSES

__all__ = ["trained_run"]


def trained_run(
    arch: AnyNetwork | None = None,
    *,
    labels: tuple[str, ...] = CLASSES,
    record: Mapping[str, Any] | None = None,
    seed: int = 0,
    **preprocessing: Any,
) -> Run:
    """Of ``arch`` (None: the tiny one) for ``labels``."""
    arch = replace(ARCH if arch is None else arch, classes=len(labels))
    torch.manual_seed(seed)
    network = build_network(arch).train()
    with torch.no_grad():
        network(torch.rand(4, 3, 32, 32))
    prepared = Preprocessing(**{"resolution": arch.resolution, "crop_fraction": 0.9, **preprocessing})
    return Run(network.eval(), labels, prepared, arch, dict(record or {}))
