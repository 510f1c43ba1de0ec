"""Factories of other libraries' networks, and of one's own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compoundnet.baselines import FactoryBaseline, Scaled
from compoundnet.scaling import Multipliers
from compoundnet.scaling.design import design
from factories import chain

calls: list[tuple[float, float, float]] = []


def tv_resnet(depth: float, width: float, resolution: float) -> nn.Module:
    """torchvision's ResNet-18, its stages deeper, its planes wider."""
    from torchvision.models.resnet import BasicBlock, ResNet

    calls.append((depth, width, resolution))

    class Wide(ResNet):
        def _make_layer(self, block: type, planes: int, *args: object, **more: object) -> nn.Sequential:
            made: nn.Sequential = super()._make_layer(block, round(planes * width), *args, **more)
            return made

    net = Wide(BasicBlock, [max(1, round(2 * depth))] * 4, num_classes=10)
    net.fc = nn.Linear(round(512 * width), 10)
    return net


def timm_mobilenet(depth: float, width: float, resolution: float) -> nn.Module:
    """timm's MobileNetV2 by its own multipliers."""
    from timm.models.efficientnet import _gen_mobilenet_v2

    net: nn.Module = _gen_mobilenet_v2("mobilenetv2_100", channel_multiplier=width, depth_multiplier=depth)
    return net


def macs(module: nn.Module, side: int) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.to("meta").eval()(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("factory", [tv_resnet, timm_mobilenet])
@pytest.mark.parametrize("by", [Multipliers(1.0, 1.0, 1.0), Multipliers(2.0, 1.5, 1.25)])
def test_costs_are_those_of_the_built_module(factory: Callable[..., nn.Module], by: Multipliers) -> None:
    baseline = FactoryBaseline("f", factory, resolution=64)
    side = baseline.resolution_at(by.resolution)
    built = factory(*by)
    cost = baseline.costs(*by)
    assert (int(cost.macs), int(cost.params)) == (macs(built, side), sum(p.numel() for p in built.parameters()))


def test_the_largest_that_fits_and_no_larger_on_the_grid() -> None:
    baseline = FactoryBaseline("tests:tv_resnet", tv_resnet, resolution=64)
    own = int(baseline.costs(1.0, 1.0, 1.0).macs)
    found = design(baseline, macs=3 * own)
    assert isinstance(found.architecture, Scaled)
    d, w, r = found.scaling
    assert int(baseline.costs(d, w, r).macs) == found.cost.macs <= 3 * own < found.next_spent["macs"]
    assert found.cost.macs > 1.5 * own
    assert found.architecture.resolution == baseline.resolution_at(r)
    smaller = design(baseline, macs=own / 4)
    assert smaller.cost.macs <= own / 4 and max(smaller.scaling) < 1


@pytest.mark.slow
def test_free_over_a_factory_keeps_every_limit() -> None:
    baseline = FactoryBaseline("chain", chain, resolution=32)
    own = baseline.costs(1.0, 1.0, 1.0)
    limits = {"macs": 2.0 * int(own.macs), "params": 3.0 * int(own.params)}
    along, free = design(baseline, **limits), design(baseline, **limits, free=True)
    for found in (along, free):
        assert found.cost.macs <= limits["macs"] and found.cost.params <= limits["params"]
    assert free.cost.macs >= 0.7 * limits["macs"] or free.cost.params >= 0.7 * limits["params"]


def test_each_network_is_built_once() -> None:
    baseline = FactoryBaseline("tests:tv_resnet", tv_resnet, resolution=64)
    calls.clear()
    for _ in range(3):
        baseline.costs(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    assert len(calls) == 2


def test_what_a_factory_prints_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    class Loud(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            print("forward")
            out: torch.Tensor = self.layer(x)
            return out

    def net(depth: float, width: float, resolution: float) -> nn.Module:
        print("built")
        return Loud()

    FactoryBaseline("net", net, resolution=16).count(1.0, 1.0, 16)
    out, err = capsys.readouterr()
    assert out == "" and "built" in err and "forward" in err


def test_it_says_how_coarse_it_is() -> None:
    assert "9 % apart in depth and in width, 16 pixels apart" in FactoryBaseline("net", chain, side_step=16).caution


def test_sides_lie_a_step_apart() -> None:
    baseline = FactoryBaseline("net", chain, resolution=224, side_step=14)
    sides = [baseline.resolution_at(m) for m in np.linspace(0.05, 3, 300)]
    assert all(side % 14 == 0 for side in sides) and sides == sorted(sides)
    assert baseline.resolution_at(1.0) == 224
    steps = baseline.breakpoints("resolution", 1.0, 2.0)
    assert [baseline.resolution_at(s * 1.0001) - baseline.resolution_at(s * 0.9999) for s in steps] == [14] * len(steps)
