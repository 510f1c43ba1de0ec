"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

import math

from compoundnet.train.recipe import Recipe

__all__ = ["cosine", "rate_factor"]


def cosine(step: float, total: float) -> float:
    """Half a cosine from 1 at step 0 down to 0 at ``total``."""
    return 0.5 * (1 + math.cos(math.pi * step / max(1.0, total)))


def rate_factor(step: int, steps_per_epoch: int, epochs: int, recipe: Recipe) -> float:
    """The share of the peak rate for optimiser step ``step`` (from 0) of a phase of ``epochs``.

    Linear warm-up over ``warmup_epochs`` (at most half the phase), never 0; then half a cosine down to
    0, or a staircase of ``step_decay`` every ``step_epochs`` whose clock starts at step 0, not after
    the warm-up (tensorflow/tpu ``efficientnet/utils.py``).
    """
    total = steps_per_epoch * epochs
    warmup = min(recipe.warmup_epochs * steps_per_epoch, total / 2)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if recipe.schedule == "cosine":
        return cosine(step - warmup, total - warmup)
    if recipe.step_epochs == 0:
        return 1.0
    stairs = math.floor(min(step / (recipe.step_epochs * steps_per_epoch), 1e9))  # of any width
    return float(recipe.step_decay**stairs)
