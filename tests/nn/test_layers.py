"""Layers one by one: padding, stochastic depth, squeeze-excitation, initialisation."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.nn import Network, build
from compoundnet.nn.layers import Conv, ConvNormAct, SqueezeExcite, StochasticDepth, initialise

SAME = zoo.architecture("tf_efficientnet_b0")
SYMMETRIC = zoo.architecture("efficientnet_b0")
V2 = zoo.architecture("tf_efficientnetv2_b0")


def same_padding(n: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's documentation of ``tf.nn.convolution``, "SAME": the smaller half comes first."""
    out = math.ceil(float(n) / float(stride))
    total = max((out - 1) * stride + kernel - n, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_is_tensorflows(kernel: int, stride: int) -> None:
    conv = Conv(2, 2, kernel, stride, SAME).double()
    for height in range(1, 18):
        width = 18 - height
        x = torch.randn(1, 2, height, width, dtype=torch.float64)
        padded = F.pad(x, same_padding(width, kernel, stride) + same_padding(height, kernel, stride))
        torch.testing.assert_close(conv(x), F.conv2d(padded, conv.weight, stride=stride))
        assert conv(x).shape[2:] == (math.ceil(height / stride), math.ceil(width / stride))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_symmetric_padding_is_torchs(kernel: int, stride: int) -> None:
    conv = Conv(2, 2, kernel, stride, SYMMETRIC).double()
    for height in range(1, 18):
        x = torch.randn(1, 2, height, 18 - height, dtype=torch.float64)
        torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight, stride=stride, padding=kernel // 2))
        assert conv(x).shape[2:] == (math.ceil(height / stride), math.ceil((18 - height) / stride))


def test_a_kernel_of_one_pixel_copies_nothing_to_pad_it() -> None:
    assert not Conv(2, 2, 1, 2, SAME).pads_by_size
    assert Conv(2, 2, 3, 2, SAME).pads_by_size
    assert not Conv(2, 2, 3, 1, SAME).pads_by_size


def test_the_two_paddings_agree_but_for_strides_over_even_sides() -> None:
    x = torch.randn(1, 2, 8, 8)
    for stride, side, agree in ((1, 8, True), (2, 7, True), (2, 8, False)):
        same, symmetric = Conv(2, 2, 3, stride, SAME), Conv(2, 2, 3, stride, SYMMETRIC)
        symmetric.load_state_dict(same.state_dict())
        cut = x[:, :, :side, :side]
        assert torch.allclose(same(cut), symmetric(cut), atol=1e-6) == agree, (stride, side)


@pytest.mark.parametrize("name", ["silu", "relu", "relu6", "hardswish"])
def test_convolution_norm_and_activation_follow_each_other(name: str) -> None:
    arch = replace(SYMMETRIC, activation=name)  # type: ignore[arg-type]
    part = ConvNormAct(3, 5, 3, 2, arch).train()
    x = torch.randn(4, 3, 9, 9)
    y = F.conv2d(x, part.conv.weight, stride=2, padding=1)
    y = (y - y.mean((0, 2, 3), keepdim=True)) / (y.var((0, 2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(part(x), getattr(F, name)(y), atol=1e-5, rtol=1e-5)
    linear = ConvNormAct(3, 5, 3, 2, arch, linear=True)
    linear.load_state_dict(part.state_dict())
    torch.testing.assert_close(linear(x), y, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("arch", [SAME, SYMMETRIC, V2], ids=lambda arch: arch.name)
def test_norms_are_the_architectures(arch: Architecture) -> None:
    norms = [m for m in build(arch).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert {(m.eps, m.momentum) for m in norms} == {(arch.norm.eps, arch.norm.momentum)}


def test_squeeze_excite_gates_channels_by_their_means() -> None:
    part = SqueezeExcite(6, 2, SAME)
    x = torch.randn(3, 6, 5, 7)
    w1, w2 = part.reduce.weight.flatten(1), part.expand.weight.flatten(1)
    squeezed = F.silu(x.flatten(2).mean(2) @ w1.T + part.reduce.bias)
    gates = torch.sigmoid(squeezed @ w2.T + part.expand.bias)
    torch.testing.assert_close(part(x), x * gates[:, :, None, None])


class TestStochasticDepth:
    RATE = 0.3

    def dropped(self, x: Tensor) -> Tensor:
        torch.manual_seed(0)
        return StochasticDepth(self.RATE).train()(x)

    def test_a_sample_is_dropped_whole_or_scaled_whole(self) -> None:
        x = torch.rand(500, 3, 4, 4) + 1
        factors = (self.dropped(x) / x).flatten(1)
        torch.testing.assert_close(factors.amin(1), factors.amax(1))
        keep = factors[:, 0] > 0
        torch.testing.assert_close(factors[keep, 0], torch.full((int(keep.sum()),), 1 / (1 - self.RATE)))
        assert 0 < keep.sum() < 500

    def test_as_many_are_dropped_as_asked_and_the_mean_stays(self) -> None:
        count = 20_000
        y = self.dropped(torch.ones(count, 1, 1, 1))
        five_sigma = 5 * math.sqrt(self.RATE * (1 - self.RATE) / count)
        assert (y == 0).float().mean().item() == pytest.approx(self.RATE, abs=five_sigma)
        assert y.mean().item() == pytest.approx(1, abs=five_sigma / (1 - self.RATE))

    def test_no_gradient_through_what_was_dropped(self) -> None:
        x = torch.ones(64, 2, 3, 3, requires_grad=True)
        y = self.dropped(x)
        y.sum().backward()
        assert x.grad is not None
        torch.testing.assert_close(x.grad, y.detach())

    def test_identity_in_evaluation_and_at_rate_zero(self) -> None:
        x = torch.randn(4, 2, 3, 3)
        assert StochasticDepth(self.RATE).eval()(x) is x
        assert StochasticDepth(0.0).train()(x) is x

    def test_type_and_layout_stay(self) -> None:
        x = torch.randn(4, 2, 3, 3, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
        y = StochasticDepth(self.RATE).train()(x)
        assert y.dtype == torch.bfloat16
        assert y.is_contiguous(memory_format=torch.channels_last)

    @pytest.mark.parametrize("name", ["tf_efficientnet_b1", "efficientnetv2_b1"])
    def test_rates_follow_the_schedule_where_a_block_adds_its_input(self, name: str) -> None:
        arch = zoo.architecture(name)
        blocks = [block for stage in on_meta(arch).stages for block in stage]  # type: ignore[attr-defined]
        rates = arch.drop_path_rates()
        assert len(blocks) == len(rates)
        adds = [i for i, block in enumerate(blocks) if block.adds_input]
        assert {i: blocks[i].drop_path.rate for i in adds} == {i: rates[i] for i in adds}
        assert len(adds) == sum(stage.repeats - 1 for stage in arch.stages)


def on_meta(arch: Architecture) -> Network:
    with torch.device("meta"):
        return build(arch)


# The start of the original code: tensorflow/tpu 7dc921f efficientnet_model.py ``conv_kernel_initializer``
# (normal, variance 2 / (k * k * outputs), depthwise kernels have one output) and ``dense_kernel_initializer``.
CONVOLUTIONS = [
    ("tf_efficientnet_b0", "stem.conv", 2 / (9 * 32)),
    ("tf_efficientnet_b0", "stages.2.1.depthwise.conv", 2 / 25),
    ("tf_efficientnet_b0", "stages.6.0.depthwise.conv", 2 / 9),
    ("tf_efficientnet_b0", "stages.5.1.expand.conv", 2 / 1152),
    ("tf_efficientnet_b0", "stages.5.1.squeeze_excite.reduce", 2 / 48),
    ("tf_efficientnet_b0", "stages.5.1.squeeze_excite.expand", 2 / 1152),
    ("tf_efficientnet_b0", "stages.5.1.project.conv", 2 / 192),
    ("tf_efficientnet_b0", "head.conv", 2 / 1280),
    ("tf_efficientnetv2_b0", "stages.2.0.fused.conv", 2 / (9 * 128)),
]


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    torch.manual_seed(0)
    return {name: build(zoo.architecture(name)) for name in ("tf_efficientnet_b0", "tf_efficientnetv2_b0")}


@pytest.mark.parametrize(("name", "layer", "variance"), CONVOLUTIONS)
def test_convolutions_start_normal(networks: dict[str, Network], name: str, layer: str, variance: float) -> None:
    weight = networks[name].get_submodule(layer).weight.detach().flatten() / math.sqrt(variance)  # type: ignore[union-attr, operator]
    count = weight.numel()
    assert weight.std().item() == pytest.approx(1, abs=5 / math.sqrt(2 * count))
    assert weight.mean().item() == pytest.approx(0, abs=5 / math.sqrt(count))
    # Not truncated at two deviations: 4.6 % of a normal lie outside.
    outside = (weight.abs() > 2).float().mean().item()
    assert outside == pytest.approx(0.0455, abs=5 * math.sqrt(0.0455 / count))


def test_the_classifier_starts_uniform(networks: dict[str, Network]) -> None:
    classifier = networks["tf_efficientnet_b0"].classifier
    assert isinstance(classifier, nn.Linear)
    bound = 1 / math.sqrt(1000)  # of its outputs
    assert classifier.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert classifier.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)


def test_biases_start_at_zero_and_norms_at_one(networks: dict[str, Network]) -> None:
    def parts(*kinds: type[nn.Module]) -> Iterator[nn.Module]:
        return (m for network in networks.values() for m in network.modules() if isinstance(m, kinds))

    biases = [m.bias for m in parts(nn.Conv2d, nn.Linear) if m.bias is not None]
    assert len(biases) == 2 * 16 + 2 * 16 + 2  # squeeze-excitations of B0 and V2-B0, two classifiers
    assert not any(bias.any() for bias in biases)  # type: ignore[operator]
    for norm in parts(nn.BatchNorm2d):
        assert (norm.weight == 1).all()
        assert (norm.running_var == 1).all()
        assert not norm.bias.any()  # type: ignore[operator]
        assert not norm.running_mean.any()  # type: ignore[operator]


def test_initialise_leaves_other_modules_alone() -> None:
    norm = nn.BatchNorm2d(3)
    nn.init.constant_(norm.weight, 5)
    initialise(norm)
    assert (norm.weight == 5).all()
