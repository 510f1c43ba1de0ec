"""A network in rows and in JSON: its stages, their shapes and what they cost."""

from collections.abc import Callable
from typing import Any

from compoundnet.architecture import Architecture, Stage
from compoundnet.cost import Cost, Layer, cost, layers
from compoundnet.zoo.comparators import AnyNetwork, Comparator

__all__ = ["describe", "stage_rows"]


def describe(network: AnyNetwork, price: Cost | None = None) -> dict[str, Any]:
    """Everything about a network that a program may ask for, as plain JSON values.

    ``price`` is its cost, which only a comparator's caller has to give; a comparator has no stages.
    """
    if price is None:
        assert isinstance(network, Architecture)
        price = cost(network)
    return {
        "name": network.name,
        "resolution": network.resolution,
        "params": price.params,
        "macs": price.macs,
        "activations": price.activations,
        "memory": {
            "weights_bytes": price.weights_bytes,
            "inference_bytes": price.inference_bytes,
            "training_bytes_per_image": price.training_bytes_per_image,
        },
        "stages": [] if isinstance(network, Comparator) else stage_rows(network),
    }


def stage_rows(arch: Architecture) -> list[dict[str, Any]]:
    """One row for the stem, its pooling, each stage, the head and the classifier: what it is, its output, its cost.

    Keys: ``name block kernel expansion se channels repeats stride side params macs``; None where it does not apply.
    What a network does not have has no row.
    """
    parts: dict[str, list[Layer]] = {}
    for layer in layers(arch):
        parts.setdefault(layer.name if layer.stage is None else str(layer.stage), []).append(layer)
    return [_stage_row(arch, name, part) for name, part in parts.items()]


def _stage_row(arch: Architecture, name: str, part: list[Layer]) -> dict[str, Any]:
    last = part[-1]
    return {
        **dict.fromkeys(("kernel", "expansion", "se", "repeats", "stride")),
        **(_END_ROWS[last.kind](last) if last.stage is None else _described(arch.stages[last.stage])),
        "name": name if last.stage is None else f"stage {last.stage + 1}",
        "channels": last.channels,
        "side": last.side,
        "params": sum(layer.params * layer.copies for layer in part),
        "macs": sum(layer.macs * layer.copies for layer in part),
    }


_END_ROWS: dict[str, Callable[[Layer], dict[str, Any]]] = {
    "conv": lambda layer: {"block": "convolution", "kernel": layer.kernel, "stride": layer.stride},
    "pool": lambda layer: {"block": "max-pooling", "kernel": layer.kernel, "stride": layer.stride},
    "linear": lambda _: {"block": "linear"},
}


def _described(stage: Stage) -> dict[str, Any]:
    block = stage.block
    return {
        "block": type(block).__name__,
        "kernel": block.kernel,
        "expansion": getattr(block, "expansion", None),
        "se": getattr(block, "se_ratio", None) or None,
        "repeats": stage.repeats,
        "stride": stage.stride,
    }
