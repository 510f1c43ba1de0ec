"""Baselines by name, and factories of other libraries' networks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import compoundnet as cn
from compoundnet.baselines import FactoryBaseline, Scaled, open_baseline
from compoundnet.errors import RequestError
from compoundnet.scaling import Multipliers
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.scaling.design import design

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
    def net(depth: float, width: float, resolution: float) -> nn.Module:
        c = max(1, round(8 * width))
        more = [nn.Conv2d(c, c, 3, 1, 1) for _ in range(max(1, round(2 * depth)))]
        return nn.Sequential(nn.Conv2d(3, c, 3, 2, 1), *more, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))

    baseline = FactoryBaseline("net", net, resolution=32)
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


def test_names(tmp_path: Path) -> None:
    b0 = cn.architecture("efficientnet_b0")
    file = tmp_path / "net.json"
    file.write_text(b0.to_json())
    for name in ("efficientnet_b0", file, str(file), b0):
        opened = open_baseline(name)
        assert isinstance(opened, ArchitectureBaseline) and opened.architecture == b0
    with pytest.raises(RequestError, match="goes with a factory"):
        open_baseline("efficientnet_b0", resolution=64)
    with pytest.raises(RequestError, match="unknown architecture"):
        open_baseline("efficientnet_b99")


def test_a_factory_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here_and_nowhere_else.py").write_text(
        "from torch import nn\n"
        "def net(depth, width, resolution):\n"
        "    c = round(8 * width)\n"
        "    return nn.Sequential(nn.Conv2d(3, c, 3), *[nn.Conv2d(c, c, 1) for _ in range(round(2 * depth))])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    opened = open_baseline("here_and_nowhere_else:net", resolution=16)
    assert isinstance(opened, FactoryBaseline)
    assert int(opened.costs(1.0, 1.0, 1.0).macs) == 14 * 14 * (27 * 8 + 2 * 64)
