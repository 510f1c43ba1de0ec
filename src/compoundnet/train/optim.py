"""The optimiser of a phase: which parameters, in which groups, at which rates."""

from typing import Any

import torch
from torch import nn

from compoundnet.train.recipe import Recipe

__all__ = ["build_optimizer", "set_rate"]


def build_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, SGD with Nesterov momentum, or RMSProp over all parameters.

    RMSProp is torch's, with the paper's decay 0.9 and epsilon 1e-3; TensorFlow's has epsilon inside the root.

    Norms and biases (one-dimensional) do not decay; all but the classifier learn at ``backbone_factor``
    of the rate. Group ``peak`` is what :func:`set_rate` scales.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        key = (name.startswith("classifier."), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    settings: list[dict[str, Any]] = []
    for (is_classifier, decays), parameters in groups.items():
        peak = recipe.learning_rate * (1.0 if is_classifier else recipe.backbone_factor)
        decay = recipe.weight_decay if decays else 0.0
        settings.append({"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay})
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(settings)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(settings, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    return torch.optim.RMSprop(settings, alpha=0.9, eps=1e-3, momentum=recipe.momentum)


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Every group's rate is ``factor`` of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
