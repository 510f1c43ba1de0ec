"""What timm needs to load a network of ours: its own name for it, its layout of weights, its ``config.json``.

The keys are those that timm 1.0 writes and reads (``timm/models/_hub.py``, aa4b585).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.preprocessing import Preprocessing
from compoundnet.weights import published
from compoundnet.zoo.comparators import AnyNetwork

__all__ = ["timm_config", "timm_name"]


def timm_name(arch: AnyNetwork) -> str | None:
    """What timm calls ``arch``; None where it is not a network that timm has weights for.

    Classes, rates and resolution may be other ones than the published network's; nothing else, or timm would
    build another network.

    >>> timm_name(zoo.architecture("tf_efficientnet_l2_475"))
    'tf_efficientnet_l2'
    """
    if not isinstance(arch, Architecture) or arch.name not in zoo.list_architectures():
        return None
    records = published(arch.name)
    home = zoo.architecture(arch.name)
    own = {name: getattr(arch, name) for name in ("classes", "dropout", "drop_path", "resolution")}
    if not records or replace(home, **own) != arch:
        return None
    owner, _, repository = records[0].repository.partition("/")
    return repository.partition(".")[0] if owner == "timm" else None


def timm_config(
    name: str, arch: Architecture, state: Mapping[str, Tensor], prepared: Preprocessing, labels: Sequence[str]
) -> dict[str, Any]:
    """``config.json`` as timm reads it; ``state`` is in timm's layout, stem first and classifier last."""
    names = list(state)
    sides = [prepared.resolution, prepared.resolution]
    return {
        "architecture": name,
        "num_classes": arch.classes,
        "num_features": arch.features,
        "label_names": list(labels),
        "pretrained_cfg": {
            "num_classes": arch.classes,
            "input_size": [arch.in_channels, *sides],
            "fixed_input_size": False,
            "interpolation": prepared.interpolation,
            "crop_pct": prepared.crop_fraction,
            "crop_mode": prepared.crop,
            "mean": list(prepared.mean),
            "std": list(prepared.std),
            "first_conv": names[0].removesuffix(".weight"),
            "classifier": names[-1].removesuffix(".bias"),
        },
    }
