"""The pieces of ResNet's blocks: branches, shortcuts, deep stems; and that they compute what timm's do."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compoundnet import zoo
from compoundnet.architecture import Architecture, BasicBlock, Bottleneck, Stage
from compoundnet.nn import FeatureExtractor, build, folded
from compoundnet.nn.blocks import block_module
from compoundnet.nn.layers import ConvNormAct, SqueezeExcite
from compoundnet.nn.residual import ResidualBlock, ResidualModule

ARCH = zoo.architecture("resnet18")
RS = Bottleneck(se_ratio=0.25, pool_shortcut=True)
SMALL_RS = replace(
    zoo.architecture("resnetrs50").scaled(width=0.25, name="small"),
    stages=tuple(Stage(block=RS, channels=c, repeats=2, stride=s) for c, s in ((32, 1), (48, 2))),
    resolution=64,
    classes=5,
)


def module_of(block: ResidualBlock, c_in: int, c_out: int, stride: int, drop_path: float = 0.0) -> ResidualModule:
    module = block_module(block, c_in, c_out, stride, drop_path, ARCH)
    assert isinstance(module, ResidualModule)
    return module


@pytest.mark.parametrize(("c_in", "stride", "projects"), [(16, 1, False), (16, 2, True), (8, 1, True), (8, 2, True)])
@pytest.mark.parametrize("block", [BasicBlock(), BasicBlock(kernel=5), Bottleneck(), RS], ids=str)
def test_a_block_adds_its_input_or_a_projection_of_it(
    block: ResidualBlock, c_in: int, stride: int, projects: bool
) -> None:
    module, x = module_of(block, c_in, 16, stride).eval(), torch.randn(2, c_in, 7, 7)
    assert module.projects == isinstance(module.shortcut, ConvNormAct) == projects
    y = x
    for name in module.branch:
        y = getattr(module, name)(y)
    torch.testing.assert_close(module(x), F.relu(y + module.shortcut(module.shortcut_pool(x))))
    assert module(x).shape == (2, 16, math.ceil(7 / stride), math.ceil(7 / stride))


def test_a_basic_block_strides_in_the_first_of_two() -> None:
    module = module_of(BasicBlock(kernel=5), 8, 16, 2)
    assert module.branch == ("first", "second", "drop_path")
    forms = [(p.conv.kernel_size[0], p.conv.stride[0], p.conv.in_channels) for p in (module.first, module.second)]
    assert forms == [(5, 2, 8), (5, 1, 16)]
    assert isinstance(module.second.act, nn.Identity)
    assert module.shortcut.conv.stride[0] == 2


def test_squeeze_excitation_stands_behind_the_last_norm() -> None:
    module = module_of(RS, 8, 32, 1)
    assert module.branch == ("reduce", "spatial", "expand", "squeeze_excite", "drop_path")
    assert isinstance(module.squeeze_excite, SqueezeExcite)
    assert module.squeeze_excite.reduce.out_channels == 8


@pytest.mark.parametrize("side", [1, 2, 5, 6])
def test_a_pooled_shortcut_takes_the_mean_of_what_there_is(side: int) -> None:
    """Of a square that reaches beyond the edge only the inner pixels count."""
    module, x = module_of(RS, 8, 16, 2), torch.rand(1, 8, side, side)
    pooled = module.shortcut_pool(x)
    assert module.shortcut.conv.stride[0] == 1
    for i in range(math.ceil(side / 2)):
        for j in range(math.ceil(side / 2)):
            square = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            torch.testing.assert_close(pooled[:, :, i, j], square.mean((2, 3)))


@pytest.mark.parametrize(("c_in", "stride"), [(16, 1), (8, 1)])
def test_nothing_is_pooled_where_nothing_strides(c_in: int, stride: int) -> None:
    assert isinstance(module_of(RS, c_in, 16, stride).shortcut_pool, nn.Identity)


@pytest.mark.parametrize("block", [BasicBlock(), RS], ids=str)
def test_stochastic_depth_drops_the_branch_and_keeps_the_input(block: ResidualBlock) -> None:
    torch.manual_seed(0)
    module, x = module_of(block, 16, 16, 1, drop_path=0.5).train(), torch.rand(64, 16, 4, 4)
    kept = torch.isclose(module(x), F.relu(x)).flatten(1).all(1)
    assert 10 < kept.sum() < 54


def test_a_deep_stem_and_a_convolution_that_pools() -> None:
    model, x = build(SMALL_RS).eval(), torch.randn(2, 3, 65, 65)
    convolutions = [model.stem, *model.stem_deep, model.pool]
    forms = [(p.conv.out_channels, p.conv.kernel_size[0], p.conv.stride[0]) for p in convolutions]  # type: ignore[union-attr]
    assert forms == [(8, 3, 2), (8, 3, 1), (16, 3, 1), (16, 3, 2)]
    assert model.forward_features(x).shape == (2, 48, 9, 9)
    extractor = FeatureExtractor(model)
    assert (extractor.channels, extractor.reductions) == ([16, 32, 48], [2, 4, 8])
    maps = extractor(x)
    torch.testing.assert_close(maps[0], model.stem_deep(model.stem(x)))
    assert [m.shape[2] for m in maps] == [33, 17, 9]


@torch.no_grad()
@pytest.mark.parametrize("arch", [SMALL_RS, replace(ARCH, resolution=64)], ids=lambda arch: arch.name)
def test_folding_and_layout_leave_the_function(arch: Architecture) -> None:
    torch.manual_seed(0)
    model, x = build(arch).double(), torch.randn(4, 3, 64, 64, dtype=torch.float64)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        norm.momentum = 1
    model.train()(x)
    before = model.eval()(x)
    torch.testing.assert_close(folded(model)(x), before, atol=1e-9, rtol=1e-9)
    last = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last)), before, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_compiles_into_one_graph(training: bool) -> None:
    torch._dynamo.reset()
    model, x = build(replace(SMALL_RS, dropout=0.0)).train(training), torch.randn(2, 3, 64, 64)
    expected = build(SMALL_RS)
    expected.load_state_dict(model.state_dict())
    expected.dropout = nn.Dropout(0.0)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected.train(training)(x), atol=1e-4, rtol=1e-4)


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = build(SMALL_RS).train()
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
