"""Batch norms in fine-tuning: frozen, or re-estimated precisely over many batches."""

import torch
from torch import nn

from compoundnet.data import Split, normalize
from compoundnet.train.plan import Plan, training_batches

__all__ = ["freeze_norms", "reestimate_norms"]

_BATCHES = 32  # statistics over about a thousand images are as good as over all


def freeze_norms(network: nn.Module) -> None:
    """Batch norms use their stored statistics until the next ``train()``; their weights still learn."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@torch.no_grad()
def reestimate_norms(network: nn.Module, split: Split, plan: Plan, epoch: int) -> None:
    """Replace the moving statistics by true averages over training batches, for the weights as they are.

    "Precise BN" (Wu & Johnson 2021): the moving average lags behind the weights and weighs the last
    batches most. ``network`` is left in evaluation mode.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average of all batches alike
        norm.train()
    source = training_batches(plan, split, epoch)
    for _, batch in zip(range(_BATCHES), source, strict=False):
        images = normalize(batch.images.to(plan.device), plan.preprocessing)
        network(images.contiguous(memory_format=torch.channels_last))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
