"""Which parameters decay, which learn at which rate, and that the optimisers do what they say."""

from typing import Any

import pytest
import torch
from torch import nn

from compoundnet.nn import build
from compoundnet.train import Recipe
from compoundnet.train.optim import build_optimizer, set_rate
from tiny import ARCH


def settings_by_name(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    names = {parameter: name for name, parameter in network.named_parameters()}
    return {names[p]: group for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("kind", ["adamw", "sgd", "rmsprop"])
def test_groups(kind: Any) -> None:
    network = build(ARCH)
    recipe = Recipe(optimizer=kind, learning_rate=0.5, backbone_factor=0.1, weight_decay=0.03)
    found = settings_by_name(network, build_optimizer(network, recipe))
    assert found.keys() == dict(network.named_parameters()).keys()
    for name, parameter in network.named_parameters():
        assert found[name]["weight_decay"] == (0.03 if parameter.ndim > 1 else 0), name
        assert found[name]["lr"] == found[name]["peak"] == pytest.approx(0.5 if "classifier" in name else 0.05), name
    assert found["classifier.bias"]["weight_decay"] == 0
    assert found["stem.norm.weight"]["weight_decay"] == 0


def test_set_rate_scales_every_peak() -> None:
    network = build(ARCH)
    optimizer = build_optimizer(network, Recipe(learning_rate=0.5, backbone_factor=0.1))
    for factor in (0.25, 0.5):
        set_rate(optimizer, factor)
        assert {group["lr"] for group in optimizer.param_groups} == {0.5 * factor, 0.05 * factor}


def trained(recipe: Recipe, gradients: list[float]) -> list[float]:
    """The values that one weight takes, from 1, under these gradients."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    optimizer = build_optimizer(network, recipe)
    values = []
    for gradient in gradients:
        network.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        values.append(network.weight.item())
    return values


def test_sgd_is_nesterov() -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0)
    w, v, expected = 1.0, 0.0, []
    for g in (1.0, -2.0, 0.5):
        v = 0.9 * v + g
        w -= 0.1 * (g + 0.9 * v)
        expected.append(w)
    assert trained(recipe, [1.0, -2.0, 0.5]) == pytest.approx(expected, rel=1e-5)


def test_sgd_without_momentum() -> None:
    recipe = Recipe(optimizer="sgd", learning_rate=0.1, momentum=0, weight_decay=0)
    assert trained(recipe, [1.0, -2.0]) == pytest.approx([0.9, 1.1])


def test_rmsprop() -> None:
    recipe = Recipe(optimizer="rmsprop", learning_rate=0.1, momentum=0.9, weight_decay=0)
    w, v, s, expected = 1.0, 0.0, 0.0, []
    for g in (1.0, -2.0, 0.5):
        s = 0.9 * s + 0.1 * g * g
        v = 0.9 * v + g / (s**0.5 + 1e-3)
        w -= 0.1 * v
        expected.append(w)
    assert trained(recipe, [1.0, -2.0, 0.5]) == pytest.approx(expected, rel=1e-5)


def test_adamw_decays_apart_from_the_gradient() -> None:
    recipe = Recipe(optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    assert trained(recipe, [0.0]) == pytest.approx([1 - 0.1 * 0.5])
    assert trained(recipe, [3.0]) == pytest.approx([1 - 0.1 * 0.5 - 0.1], rel=1e-5)
