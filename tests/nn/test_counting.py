"""Counting a module gives what its cost says, where it is an architecture, and what other counters say of any other."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn import functional as F

import measure
from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.cost import cost
from compoundnet.errors import RequestError
from compoundnet.nn import build
from compoundnet.nn.counting import Alive, count, inference_peak_bytes, saved_bytes, state_bytes
from strategies import architectures


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make()


@pytest.mark.parametrize(
    "name",
    ["efficientnet_b0", "tf_efficientnetv2_b0", "mobilenetv1_100", "mobilenetv2_100", "resnet50", "mbconv_tiny"],
)
def test_networks_of_the_zoo_count_as_their_cost_says(name: str) -> None:
    arch = zoo.architecture(name)
    assert count(on_meta(lambda: build(arch)), arch.resolution) == cost(arch)


@settings(max_examples=20)
@given(architectures())
def test_drawn_architectures_count_as_their_cost_says(arch: Architecture) -> None:
    assert count(on_meta(lambda: build(arch)), arch.resolution, arch.in_channels) == cost(arch)


@settings(max_examples=10)
@given(architectures())
def test_memory_is_the_same_on_a_real_device(arch: Architecture) -> None:
    counted, model = count(on_meta(lambda: build(arch)), arch.resolution, arch.in_channels), build(arch)
    assert counted.weights_bytes == state_bytes(model)
    peak = inference_peak_bytes(model.eval(), measure.image(arch))
    assert counted.inference_bytes - counted.weights_bytes == peak
    two, three = (saved_bytes(model.train(), measure.image(arch, batch)) for batch in (2, 3))
    assert counted.training_bytes_per_image == three - two


# Parameters and MACs as the makers give them.
@pytest.mark.parametrize(
    ("make", "params", "gmacs"),
    [
        (torchvision.models.resnet18, 11_689_512, 1.81),
        (torchvision.models.densenet121, 7_978_856, 2.83),
        (torchvision.models.mobilenet_v3_large, 5_483_032, 0.22),
        (lambda: timm.create_model("regnetx_002"), 2_684_792, 0.20),
        (lambda: timm.create_model("convnext_atto"), 3_695_520, 0.55),
    ],
    ids=["resnet18", "densenet121", "mobilenet_v3_large", "regnetx_002", "convnext_atto"],
)
def test_networks_of_others(make: Callable[[], nn.Module], params: int, gmacs: float) -> None:
    counted = count(on_meta(make), 224)
    assert counted.params == params
    assert counted.macs / 1e9 == pytest.approx(gmacs, abs=0.006)
    assert 4 * params <= counted.weights_bytes < counted.inference_bytes
    assert counted.training_bytes_per_image > 4 * counted.activations  # every output is kept, and more


@pytest.mark.parametrize(
    "make", [torchvision.models.resnet18, lambda: timm.create_model("regnetx_002")], ids=["resnet18", "regnetx_002"]
)
def test_macs_are_fvcores(make: Callable[[], nn.Module]) -> None:
    """It traces the module, and has norms and poolings as operations of their own."""
    model = make().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both it and tracing are old
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, torch.zeros(1, 3, 64, 64)).unsupported_ops_warnings(False)
        macs = sum(n for name, n in analysis.by_operator().items() if name in ("conv", "linear"))
    assert count(model, 64).macs == macs


class Functional(nn.Module):
    """Layers as functions, a tensor that is made as it runs, a buffer that is not saved, a shared weight."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(4, 3, 3, 3))
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("offset", torch.zeros(4), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.kernel, padding=1).mean((2, 3)) + torch.ones(4) + self.offset
        return self.second(self.first(y))


def test_functions_count_as_layers_and_shared_weights_once() -> None:
    counted = count(Functional(), 8)
    assert counted.params == 4 * 3 * 9 + 4 * 4 + 4 + 4
    assert counted.weights_bytes == 4 * (counted.params + 4)
    assert counted.macs == 4 * 3 * 9 * 64 + 2 * 16
    assert counted.activations == 4 * 64 + 2 * 4


def test_the_module_is_left_as_it_was() -> None:
    model = build(replace(zoo.architecture("mbconv_tiny"), dropout=0.5)).train()
    model.stages[1].eval()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    random = torch.get_rng_state()
    count(model, 16)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None and p.device.type == "cpu" for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_no_memory_is_taken_for_values() -> None:
    """A hundred million weights are counted without a copy of them, which the allocator would show."""
    model = on_meta(lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 100_000_000)))
    assert measure.allocated_peak_bytes(lambda: [torch.ones(3), count(model, 10_000)]) < 1_000_000
    assert count(model, 10_000).inference_bytes > 4 * 3 * 10_000**2


def test_half_precision_takes_half() -> None:
    model = on_meta(lambda: build(zoo.architecture("mbconv_tiny")))
    whole, half = count(model, 16), count(model.half(), 16)
    assert (half.params, half.macs, half.activations) == (whole.params, whole.macs, whole.activations)
    assert half.inference_bytes - half.weights_bytes == (whole.inference_bytes - whole.weights_bytes) / 2


def test_alive_forgets_what_is_dropped() -> None:
    with Alive() as alive:
        x = torch.zeros(1000)
        y = x + 1
        assert alive.now == alive.peak == 8000
        del x
        assert (alive.now, alive.peak) == (4000, 8000)
        z = y[:10].add_(1)  # a view, in place
        assert alive.now == 4000
        del y, z
        assert alive.now == 0
    assert alive.peak == 8000


@pytest.mark.parametrize(
    ("resolution", "channels", "message"),
    [
        (0, 3, "resolution is 0; it must be a positive integer"),
        (1.5, 3, "resolution is 1.5"),
        (8, -1, "in_channels is -1"),
    ],
)
def test_sizes_that_are_none(resolution: int, channels: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        count(Functional(), resolution, channels)


def test_what_the_module_raises_comes_through() -> None:
    with pytest.raises(RuntimeError, match="channel dimensions"):
        count(Functional(), 8, in_channels=5)
