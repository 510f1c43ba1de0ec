"""The exponential moving average of a network: weights and norm statistics, with TensorFlow's ramp."""

import copy

import torch
from torch import Tensor, nn

__all__ = ["Ema"]


class Ema:
    """A second network that follows the first: ``average += (1 - d) * (current - average)``.

    d = min(decay, (1 + t) / (10 + t)) with t the updates so far, so that short trainings are not
    averaged with their initialisation (``tf.train.ExponentialMovingAverage`` with ``num_updates``).
    Counters are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, updates: int) -> None:
        """Take in the network after its optimiser step number ``updates`` (from 0)."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        averages: list[Tensor] = []
        currents: list[Tensor] = []
        for average, current in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if average.is_floating_point():
                averages.append(average)
                currents.append(current)
            else:
                average.copy_(current)
        torch._foreach_lerp_(averages, currents, 1 - decay)
