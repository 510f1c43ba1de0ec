"""Mixed kernels: each image's own convolution, as one by one; folding, learning, what a fresh block starts from."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet import zoo
from compoundnet.architecture import Architecture, CondMBConv, Stage
from compoundnet.nn import FeatureExtractor, build, folded
from compoundnet.nn.blocks import block_module
from compoundnet.nn.mixed import MixedConv, MixedModule, Routing

ARCH = zoo.architecture("tf_efficientnet_cc_b0_4e")


def small(**changes: object) -> Architecture:
    block = CondMBConv(kernel=5, expansion=3, experts=4)
    stages = tuple(Stage(block=block, channels=8, repeats=2, stride=s) for s in (1, 2))
    arch = replace(ARCH, resolution=32, stem=8, stages=stages, head=16, classes=5)
    return replace(arch, **changes)  # type: ignore[arg-type]


def images(count: int = 3, side: int = 17, channels: int = 3) -> Tensor:
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize(
    ("stride", "groups", "kernel"), [(1, 1, 1), (1, 1, 3), (2, 1, 3), (2, 6, 5), (1, 6, 3), (2, 6, 2)]
)
def test_every_image_has_its_own_kernel(padding: str, stride: int, groups: int, kernel: int) -> None:
    """Image by image: the sum of the experts' kernels, weighted by its routing, in a plain convolution."""
    from compoundnet.nn.layers import Conv

    arch = replace(ARCH, padding=padding)  # type: ignore[arg-type]
    mixed, plain = MixedConv(6, 6, kernel, stride, arch, 4, groups), Conv(6, 6, kernel, stride, arch, groups)
    x, routing = images(channels=6), torch.rand(3, 4)
    for i, y in enumerate(mixed(x, routing)):
        own = sum(share * expert for share, expert in zip(routing[i], mixed.weight, strict=True))
        plain.weight = nn.Parameter(own.view_as(plain.weight))  # type: ignore[union-attr]
        torch.testing.assert_close(y, plain(x[i : i + 1])[0], atol=1e-5, rtol=1e-5)


def test_routing_is_a_sigmoid_of_the_block_s_pooled_input() -> None:
    block = block_module(CondMBConv(kernel=3, expansion=2, experts=3), 6, 6, 1, 0.0, ARCH).eval()
    assert isinstance(block, MixedModule)
    x = images(channels=6)
    shares = block.routing(x)
    assert shares.shape == (3, 3)
    linear = block.routing.linear
    torch.testing.assert_close(shares, torch.sigmoid(F.linear(x.mean((2, 3)), linear.weight, linear.bias)))
    expected = block.project(block.squeeze_excite(block.depthwise(block.expand(x, shares), shares)), shares)  # type: ignore[misc]
    torch.testing.assert_close(block(x), x + expected)


@pytest.mark.parametrize(("c_in", "stride", "skip"), [(4, 1, True), (6, 2, True), (6, 1, False)])
def test_where_the_input_is_not_added(c_in: int, stride: int, skip: bool) -> None:
    block = block_module(
        CondMBConv(kernel=3, expansion=1, experts=2, skip=skip, se_ratio=0), c_in, 6, stride, 0.0, ARCH
    )
    assert isinstance(block, MixedModule)
    assert not block.adds_input
    assert block.expand is None
    assert isinstance(block.squeeze_excite, nn.Identity)
    assert block.eval()(images(channels=c_in)).shape == (3, 6, math.ceil(17 / stride), math.ceil(17 / stride))


def test_an_image_s_answer_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    model, x = build(small()).eval(), images()
    torch.testing.assert_close(model(x), torch.cat([model(image[None]) for image in x]), atol=1e-5, rtol=1e-5)
    last = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last)), model(x), atol=1e-5, rtol=1e-5)


def test_a_fresh_block_s_values() -> None:
    """Each expert as a convolution, N(0, 2 / fan out); the routing U(-1, 1) sqrt(6 / (inputs + experts)), bias 0."""
    torch.manual_seed(0)
    model = build(small(stem=64))
    convs = {name: m for name, m in model.named_modules() if isinstance(m, MixedConv)}
    for name, module in convs.items():
        fan_out = module.shape[0] // module.groups * module.shape[2] ** 2
        assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.15), name
    for module in (m for m in model.modules() if isinstance(m, Routing)):
        bound = math.sqrt(6 / sum(module.linear.weight.shape))
        assert 0.6 * bound < module.linear.weight.abs().max() <= bound
        assert not module.linear.bias.any()


@torch.no_grad()
def test_folding_leaves_the_function() -> None:
    torch.manual_seed(0)
    model = build(small()).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            module.momentum = 1
    x = images().double()
    model.train()(x)
    model.eval()
    state, before = copy.deepcopy(model.state_dict()), model(x)
    fast = folded(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    torch.testing.assert_close(fast(x), before, atol=1e-9, rtol=1e-9)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_every_parameter_learns_and_stochastic_depth_drops_the_branch() -> None:
    torch.manual_seed(0)
    model = build(small(drop_path=0.0)).train()
    model(images(4)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    block = block_module(CondMBConv(kernel=3, expansion=2, experts=3), 6, 6, 1, 0.5, ARCH).train()
    x = images(64, channels=6)
    kept = torch.isclose(block(x), x).flatten(1).all(1)
    assert 10 < kept.sum() < 54


def test_compiles_into_one_graph() -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    model, x = build(small()).eval(), images()
    run = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(run(x), model(x), atol=1e-5, rtol=1e-5)


def test_its_maps() -> None:
    extractor = FeatureExtractor(build(ARCH).eval())
    assert extractor.channels == [16, 24, 40, 112, 320]
    assert [m.shape[2] for m in extractor(images(1, 33))] == [17, 9, 5, 3, 2]
