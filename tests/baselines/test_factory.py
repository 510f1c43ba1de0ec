"""Factories of other libraries' networks, and of one's own."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compoundnet import zoo
from compoundnet.baselines import FactoryBaseline, Scaled
from compoundnet.baselines.peak import training_step_bytes
from compoundnet.cost import Cost, training_peak_bytes
from compoundnet.errors import RequestError
from compoundnet.nn import build
from compoundnet.scaling import RULES, Multipliers
from compoundnet.scaling.accuracy import following
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


class Counted(FactoryBaseline):
    """Of any size, without building it: MACs 1000 d w^2 r^2, parameters 10 d w^2; sides below 16 pixels are refused."""

    def count_anew(self, depth: float, width: float, side: int) -> Cost:
        if side < 16:
            raise RequestError(f"cannot take images of {side} x {side}")
        size = depth * width**2
        macs = max(1, int(1000 * size * (side / self.resolution) ** 2))
        return Cost(
            params=int(10 * size), macs=macs, activations=macs, weights_bytes=0, inference_bytes=0,
            training_bytes_per_image=0,
        )  # fmt: skip


@pytest.mark.parametrize("macs", [1.0, 50.0, 1e3, 1e5, 3e6])
@pytest.mark.parametrize("rule", ["efficientnet", "fast"])
def test_free_goes_as_far_as_the_budget(macs: float, rule: str) -> None:
    """As good as the best along the rule, but for the grid, and nothing of a wide grid is better."""
    baseline, model = Counted("counted", chain, resolution=64), following(RULES[rule])
    found = design(baseline, macs=macs, rule=rule, free=True)
    assert found.cost.macs <= macs < found.next_spent["macs"] and len(found.doubts) <= 2
    side = np.arange(16, 1025, 8) / 64
    multipliers = 2 ** (np.arange(-56, 57) / 8)
    d, w, r = (axis.ravel() for axis in np.meshgrid(multipliers, multipliers, side, indexing="ij"))
    fits = (1000 * d * w**2 * r**2).astype(int) <= macs
    assert model.loss(*found.scaling) <= model.loss(d, w, r)[fits].min() * 1.02


def test_along_a_rule_as_far_as_a_factory_builds() -> None:
    """Where a budget would take more than it builds, the largest on the grid that it does, and its word for it."""

    def limited(depth: float, width: float, resolution: float) -> nn.Module:
        if depth > 1.3:
            raise ValueError("no more than 1.3")
        return chain(4 * depth, width, resolution)

    baseline = FactoryBaseline("limited", limited, resolution=32)
    own = int(baseline.costs(1.0, 1.0, 1.0).macs)
    found = design(baseline, macs=10 * own, rule="depth")
    assert 1.3 / 2 ** (1 / 8) < found.scaling.depth <= 1.3 and found.next_scaling is None
    assert "larger networks were not looked at" in found.doubts[0] and "no more than 1.3" in found.doubts[0]
    within = design(baseline, macs=1.1 * own, rule="depth")
    assert within.doubts == (baseline.caution,) and within.binding == ("macs",)


def test_where_a_factory_builds_nothing_is_said() -> None:
    baseline, refused = Counted("counted", chain, resolution=64), "resolution was looked at from x0.25 .* only: cannot"
    found = design(baseline, macs=1e2, rule="resolution", free=True)
    assert found.architecture.resolution == 16 and not found.exact
    with pytest.raises(RequestError, match=f"on the grid that was looked at fits.*{refused} take images of 8 x 8"):
        design(baseline, macs=0.5, rule="resolution", free=True)


def test_the_peak_of_a_training_step_is_counted() -> None:
    """Of our own networks it is what the closed form says, at any batch; nothing that oversteps is chosen."""
    arch = replace(zoo.architecture("mbconv_mini"), resolution=64)

    def net(depth: float, width: float, resolution: float) -> nn.Module:
        return build(arch.scaled(depth=depth, width=width, resolution=resolution))

    baseline = FactoryBaseline("net", net, resolution=64)
    for batch in (1, 32):
        counted = baseline.training_bytes(np.array([1.0]), np.array([1.5]), np.array([1.0]), batch)[0]
        assert counted == pytest.approx(training_peak_bytes(arch.scaled(width=1.5), batch), rel=0.015)


def test_a_limit_on_training_memory_is_kept() -> None:
    """By what a real step holds, not by the sum of what is saved, which is less for so small a network."""
    baseline = FactoryBaseline("chain", chain, resolution=32)
    limit = 4 * baseline.training_bytes(np.array([1.0]), np.array([1.0]), np.array([1.0]), 2)[0]
    found = design(baseline, training_bytes=limit, batch_size=2)
    assert found.spent["training_bytes"] <= limit < found.next_spent["training_bytes"]
    with torch.device("meta"):
        assert training_step_bytes(chain(*found.scaling), found.architecture.resolution, 2) <= limit


def test_networks_of_half_precision_are_counted() -> None:
    """Their images are of what their weights are; all that a step holds takes half as much."""

    def half(depth: float, width: float, resolution: float) -> nn.Module:
        return chain(depth, width, resolution).to(torch.bfloat16)

    one = np.array([1.0])
    full, less = (FactoryBaseline("net", net, resolution=32).training_bytes(one, one, one, 8) for net in (chain, half))
    assert less[0] == full[0] / 2
    limit = 3 * less[0]
    assert (
        design(FactoryBaseline("half", half, resolution=32), training_bytes=limit, batch_size=8).spent["training_bytes"]
        <= limit
    )


def test_a_network_that_nothing_can_train() -> None:
    def frozen(depth: float, width: float, resolution: float) -> nn.Module:
        return chain(depth, width, resolution).requires_grad_(False)

    said = r"^network frozen at depth [0-9.]+, width [0-9.]+: nothing that comes out depends on a parameter that could"
    with pytest.raises(RequestError, match=said):
        design(FactoryBaseline("frozen", frozen, resolution=32), training_bytes=1e6)


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
