"""One cost for either kind of network: a comparator's is what torch's own counter and the makers say."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import measure
from compoundnet import cost as of_architectures
from compoundnet import zoo
from compoundnet.costs import cost
from compoundnet.errors import RequestError
from compoundnet.nn.comparators import build_comparator
from compoundnet.nn.counting import saved_bytes
from compoundnet.zoo.comparators import COMPARATORS, AmoebaNetD, Comparator

# 10^9 multiply-adds as the makers give them: torchvision 0.29 ``_ops``; for timm's two the papers' (Chollet 2016,
# Zoph et al. 2017: 8.4 and 23.8); ZFNet's by the layers of its figure 3.
GMACS = {
    "alexnet": 0.714, "vgg16": 15.47, "vgg16_bn": 15.47, "vgg19": 19.632, "vgg19_bn": 19.632, "googlenet": 1.498,
    "densenet121": 2.834, "densenet169": 3.36, "densenet201": 4.291, "xception": 8.4, "nasnetalarge": 23.8,
    "zfnet": 1.168,
}  # fmt: skip
DIGITS = {"xception": 1, "nasnetalarge": 1}
LARGE = {
    "nasnetalarge",
    *(name for name in COMPARATORS if name.startswith("amoebanet") and name > "amoebanet_d_18_208"),
}


def observed(network: nn.Module, x: Tensor) -> tuple[int, int]:
    """Half of what torch's counter counts, and the elements that convolutions and linear layers write."""
    written: list[int] = []
    for module in network.modules():
        if isinstance(module, measure.COUNTED):
            module.register_forward_hook(lambda _, __, y: written.append(y.numel()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return counter.get_total_flops() // 2, sum(written)


@pytest.fixture(autouse=True, scope="module")
def on_meta() -> Iterator[None]:
    with torch.device("meta"):
        yield


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in COMPARATORS])
def test_cost_is_what_the_network_does(name: str) -> None:
    comparator, network = COMPARATORS[name], build_comparator(COMPARATORS[name])
    counted = cost(comparator)
    macs, written = observed(network.eval(), torch.empty(1, 3, comparator.resolution, comparator.resolution))
    assert counted.params == sum(p.numel() for p in network.parameters())
    assert (counted.macs, counted.activations) == (macs, written)
    state = [*network.parameters(), *network.buffers()]
    assert counted.weights_bytes == sum(t.numel() * t.element_size() for t in state)
    assert counted.inference_bytes > counted.weights_bytes + 4 * 3 * comparator.resolution**2


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "nasnetalarge")) for n in GMACS])
def test_macs_are_the_published_ones(name: str) -> None:
    assert round(cost(COMPARATORS[name]).macs / 1e9, DIGITS.get(name, 3)) == GMACS[name]


def test_training_memory_is_what_autograd_keeps() -> None:
    comparator = replace(COMPARATORS["densenet121"], resolution=64)
    with torch.device("cpu"):
        network = build_comparator(comparator).train()
        two, three = (saved_bytes(network, torch.randn(n, 3, 64, 64)) for n in (2, 3))
    assert cost(comparator).training_bytes_per_image == three - two


def test_classes_and_channels_count() -> None:
    base = Comparator(name="mine", maker=AmoebaNetD(layers=3, filters=32), resolution=32)
    more, grey = replace(base, classes=1001), replace(base, in_channels=1)
    assert cost(more).params - cost(base).params == 16 * 32 + 1  # the last cell's channels, and a bias
    assert cost(base).params - cost(grey).params == 2 * 9 * 8


def test_architectures_cost_what_they_cost() -> None:
    arch = zoo.architecture("efficientnet_b0")
    assert cost(arch) == of_architectures(arch)
    depths = np.array([1.0, 1.5])
    several = cost(arch, depth=depths)
    assert several.macs.tolist() == of_architectures(arch, depth=depths).macs.tolist()


@pytest.mark.parametrize("axes", [{"depth": 2.0}, {"width": np.array([1.0, 2.0])}, {"resolution": 0.5}])
def test_a_comparator_is_not_scaled(axes: dict[str, float]) -> None:
    with pytest.raises(RequestError, match=r"'alexnet' is a comparator, .* no stages to scale"):
        cost(COMPARATORS["alexnet"], **axes)


def test_what_is_no_network() -> None:
    with pytest.raises(RequestError, match="'alexnet' is no Architecture"):
        cost("alexnet")  # type: ignore[arg-type]
