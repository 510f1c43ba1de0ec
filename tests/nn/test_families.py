"""Networks of other blocks than MBConv: their pieces, folding, features, compilers and exporters."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet import zoo
from compoundnet.architecture import Architecture, Bottleneck, DepthwiseSeparable, Stage
from compoundnet.factory import create
from compoundnet.nn import FeatureExtractor, Network, build, folded
from compoundnet.nn.blocks import BlockModule, block_module
from compoundnet.nn.layers import ConvNormAct
from compoundnet.nn.residual import ResidualModule


def shortened(name: str, width: float = 0.25) -> Architecture:
    arch = zoo.architecture(name).scaled(width=width, name=name)
    stages = tuple(replace(stage, repeats=min(2, stage.repeats)) for stage in arch.stages[:3])
    return replace(arch, stages=stages, resolution=64, classes=10)


RESNET, MOBILE = shortened("resnet50"), shortened("mobilenetv1_100")
BOTH = pytest.mark.parametrize("arch", [RESNET, MOBILE], ids=["resnet50", "mobilenetv1"])


def images(arch: Architecture, count: int = 2, side: int = 64) -> Tensor:
    return torch.randn(count, arch.in_channels, side, side, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def settled(arch: Architecture) -> Network:
    """In evaluation, with scales, shifts and statistics of its own in every norm."""
    torch.manual_seed(0)
    model = build(arch)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
        norm.momentum = 1
    model.train()(images(arch, 4))
    for norm in norms:
        norm.momentum = arch.norm.momentum
    return model.eval()


def bottleneck(c_in: int, c_out: int, stride: int, drop_path: float = 0.0) -> ResidualModule:
    module = block_module(Bottleneck(), c_in, c_out, stride, drop_path, RESNET)
    assert isinstance(module, ResidualModule)
    return module


@pytest.mark.parametrize(("c_in", "stride", "projects"), [(16, 1, False), (16, 2, True), (8, 1, True), (8, 2, True)])
def test_a_bottleneck_adds_its_input_or_a_projection_of_it(c_in: int, stride: int, projects: bool) -> None:
    block, x = bottleneck(c_in, 16, stride).eval(), torch.randn(2, c_in, 7, 7)
    assert isinstance(block.shortcut, ConvNormAct) == projects
    kernels = [part.conv.kernel_size[0] for part in (block.reduce, block.spatial, block.expand)]
    strides = [part.conv.stride[0] for part in (block.reduce, block.spatial, block.expand)]
    assert (kernels, strides) == ([1, 3, 1], [1, stride, 1])
    assert block.reduce.conv.out_channels == 4
    branch = block.expand(block.spatial(block.reduce(x)))
    shortcut = block.shortcut(x) if projects else x
    torch.testing.assert_close(block(x), F.relu(branch + shortcut))
    assert block(x).shape == (2, 16, math.ceil(7 / stride), math.ceil(7 / stride))


def test_stochastic_depth_drops_the_branch_of_a_bottleneck_and_keeps_its_input() -> None:
    torch.manual_seed(0)
    block, x = bottleneck(16, 16, 1, drop_path=0.5).train(), torch.rand(64, 16, 4, 4)
    kept = torch.isclose(block(x), F.relu(x)).flatten(1).all(1)
    assert 10 < kept.sum() < 54
    rates = [b.drop_path.rate for b in build(replace(RESNET, drop_path=0.3)).modules() if isinstance(b, ResidualModule)]
    assert rates == list(replace(RESNET, drop_path=0.3).drop_path_rates())


@pytest.mark.parametrize(("c_in", "stride"), [(8, 1), (4, 2)])
def test_a_separable_block_never_adds_its_input(c_in: int, stride: int) -> None:
    block = block_module(DepthwiseSeparable(kernel=5), c_in, 8, stride, 0.5, MOBILE)
    assert isinstance(block, BlockModule)
    assert not block.adds_input
    x = torch.randn(2, c_in, 9, 9)
    depthwise, pointwise = block
    assert (depthwise.conv.groups, depthwise.conv.stride[0], pointwise.conv.stride[0]) == (c_in, stride, 1)
    y = block.eval()(x)
    torch.testing.assert_close(y, pointwise(depthwise(x)))
    assert y.min() >= 0
    assert y.max() <= 6  # both are activated, by relu6 here


@BOTH
def test_forward_is_features_then_classifier(arch: Architecture) -> None:
    model, x = settled(arch), images(arch)
    features = model.forward_features(x)
    assert model.num_features == arch.features == arch.stages[-1].channels == features.shape[1]
    torch.testing.assert_close(model(x), model.classifier(features.mean((2, 3))))


@BOTH
def test_a_new_classifier_without_a_head(arch: Architecture) -> None:
    model, x = settled(arch), images(arch)
    model.reset_classifier(3)
    assert model(x).shape == (2, 3)
    model.reset_classifier(0)
    torch.testing.assert_close(model(x), model.forward_features(x).mean((2, 3)))
    with torch.device("meta"):
        bare = build(arch)
    bare.reset_classifier(4)
    assert bare.classifier.weight.device.type == "meta"  # type: ignore[union-attr]


def test_the_stem_is_pooled() -> None:
    model, x = settled(RESNET), images(RESNET, side=65)
    stem = model.stem(x)
    assert stem.shape[2] == 33
    torch.testing.assert_close(model.pool(stem), F.max_pool2d(stem, 3, 2, 1))
    assert model.pool(stem).shape[2] == 17
    assert model.stem.conv.kernel_size == (7, 7)


@BOTH
@torch.no_grad()
def test_folding_leaves_the_function(arch: Architecture) -> None:
    model, x = settled(arch).double(), images(arch).double()
    state = copy.deepcopy(model.state_dict())
    before, image = model(x), x.clone()
    fast = folded(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    assert all(m.inplace for m in fast.modules() if isinstance(m, (nn.ReLU, nn.ReLU6)))
    torch.testing.assert_close(fast(x), before, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(fast(x), before, atol=1e-9, rtol=1e-9)  # nothing in place touched its own weights
    assert torch.equal(x, image)
    assert torch.equal(model(x), before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@BOTH
def test_every_parameter_learns(arch: Architecture) -> None:
    torch.manual_seed(0)
    model = build(arch).train()
    model(images(arch, 4)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@BOTH
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_compiles_into_one_graph(arch: Architecture, training: bool) -> None:
    torch._dynamo.reset()
    model, x = settled(replace(arch, drop_path=0.3)).train(training), images(arch)
    twin = copy.deepcopy(model)
    outputs = []
    for run in (torch.compile(model, fullgraph=True, backend="eager"), twin):
        torch.manual_seed(3)
        outputs.append(run(x))
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-4, rtol=1e-4)


@BOTH
def test_exports_with_any_batch(arch: Architecture) -> None:
    model, x = settled(arch), images(arch, 3)
    program = torch.export.export(model, (x,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
    torch.testing.assert_close(program.module()(x[:2]), model(x[:2]), atol=1e-5, rtol=1e-5)


@BOTH
def test_channels_last_goes_through(arch: Architecture) -> None:
    model, x = settled(arch), images(arch)
    expected = model(x)
    last = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept: list[bool] = []
    for part in last.modules():
        if isinstance(part, (ConvNormAct, BlockModule, ResidualModule, nn.MaxPool2d)):
            part.register_forward_hook(lambda _, __, y: kept.append(y.is_contiguous(memory_format=torch.channels_last)))
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last)), expected, atol=1e-4, rtol=1e-4)
    assert kept
    assert all(kept)


def test_features_of_a_network_whose_stem_is_pooled() -> None:
    extractor = FeatureExtractor(build(zoo.architecture("resnet50")).eval())
    assert extractor.channels == [64, 256, 512, 1024, 2048]
    assert extractor.reductions == [2, 4, 8, 16, 32]
    with torch.no_grad():
        assert [m.shape[2] for m in extractor(torch.randn(1, 3, 33, 33))] == [17, 9, 5, 3, 2]


def test_the_stem_s_map_alone_needs_no_stage() -> None:
    extractor = FeatureExtractor(build(RESNET).eval(), [0])
    assert len(extractor.stages) == 0
    assert [m.shape[2] for m in extractor(images(RESNET))] == [32]


def test_a_first_stage_that_strides_behind_a_pooled_stem() -> None:
    stage = Stage(block=Bottleneck(), channels=8, repeats=1, stride=2)
    arch = Architecture(name="own", resolution=64, stem=4, stem_pool=True, stages=(stage,), head=None)
    extractor = FeatureExtractor(build(arch).eval())
    assert (extractor.channels, extractor.reductions) == ([4, 8], [2, 8])
    assert [m.shape[2] for m in extractor(images(arch))] == [32, 8]


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv1_100", "mobilenetv2_100"])
def test_create_takes_them(name: str) -> None:
    small = replace(zoo.architecture(name).scaled(width=0.125, name=name), resolution=64)
    model = create(small, num_classes=4, in_channels=1, drop_path_rate=0.2, drop_rate=0.1)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 4)
    maps = create(small, features_only=True, out_indices=(1, -1))
    assert [m.shape[2] for m in maps(torch.randn(2, 3, 64, 64))] == [16, 2]
