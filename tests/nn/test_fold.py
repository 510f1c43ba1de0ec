"""Folding norms into convolutions changes the speed, not the function."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from compoundnet import create, zoo
from compoundnet.nn import Network, build, folded
from compoundnet.nn.layers import ConvNormAct
from conftest import SHARED, needs_shared

REAL = "data/weights/tf_efficientnetv2_b0.safetensors"


def images(count: int, side: int) -> Tensor:
    return torch.randn(count, 3, side, side, dtype=torch.float64)


def settled(name: str, activation: str = "silu") -> Network:
    """Norms with a batch's statistics and scales and shifts of their own, so that every term of the fold counts."""
    torch.manual_seed(0)
    model = build(replace(zoo.architecture(name), activation=activation)).double().eval()  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.train().momentum = 1
    with torch.no_grad():
        model(images(4, 64))
    return model.eval()


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("tf_efficientnet_b0", "silu"),
        ("efficientnet_b0", "relu6"),
        ("tf_efficientnetv2_b0", "hardswish"),
        ("efficientnetv2_s", "relu"),
    ],
)
@torch.no_grad()
def test_a_folded_network_is_equal(name: str, activation: str) -> None:
    model, x = settled(name, activation), images(2, 65)
    before, image = model(x), x.clone()
    fast = folded(model)
    after = fast(x)
    assert before.std() > 0.01
    torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-6)
    assert torch.equal(x, image)  # nothing in place touches the caller's image
    torch.testing.assert_close(fast(x), after, atol=0, rtol=0)  # or its own weights


@needs_shared(REAL)
@torch.no_grad()
def test_a_trained_network_stays_equal_in_single_precision() -> None:
    model = create("tf_efficientnetv2_b0", weights=SHARED / REAL).eval()
    assert isinstance(model, Network)
    x = images(2, 128).float()
    torch.testing.assert_close(folded(model)(x), model(x), atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def model() -> Network:
    return settled("tf_efficientnet_b0")


def test_the_original_is_left_as_it_was(model: Network) -> None:
    model.train()
    state, modules = copy.deepcopy(model.state_dict()), [type(m) for m in model.modules()]
    folded(model)(images(1, 32))
    assert model.training
    assert [type(m) for m in model.modules()] == modules
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not any(getattr(m, "inplace", False) for m in model.modules())


def test_what_is_folded(model: Network) -> None:
    fast = folded(model)
    assert not fast.training
    assert not any(p.requires_grad for p in fast.parameters())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    parts = [m for m in fast.modules() if isinstance(m, ConvNormAct)]
    assert all(part.conv.bias is not None for part in parts)
    assert fast.architecture == model.architecture


def test_folding_twice_is_folding_once(model: Network) -> None:
    once, x = folded(model), images(1, 32)
    torch.testing.assert_close(folded(once)(x), once(x))


def test_the_classifier_may_be_gone(model: Network) -> None:
    fast = folded(model)
    fast.reset_classifier(0)
    assert fast(images(1, 32)).shape == (1, 1280)
