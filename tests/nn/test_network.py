"""The whole network: its pieces, its classifier, and what compilers and exporters make of it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from compoundnet import zoo
from compoundnet.architecture import Architecture, FusedMBConv, MBConv, Stage
from compoundnet.errors import RequestError
from compoundnet.nn import Network, build
from compoundnet.nn.blocks import BlockModule
from compoundnet.nn.layers import ConvNormAct


def shortened(name: str, *chosen: int) -> Architecture:
    """Every kind of block of the named variant, twice at most, for 10 classes."""
    arch = zoo.architecture(name)
    stages = tuple(replace(arch.stages[i], repeats=min(2, arch.stages[i].repeats)) for i in chosen)
    return replace(arch, stages=stages, resolution=64, head=256, classes=10)


V1 = shortened("tf_efficientnet_b0", 0, 1, 2)
V2 = shortened("efficientnetv2_s", 0, 1, 3)
BOTH = pytest.mark.parametrize("arch", [V1, V2], ids=["tf_b0", "v2_s"])


def network(arch: Architecture) -> Network:
    torch.manual_seed(0)
    return build(arch)


def images(arch: Architecture, count: int = 2, side: int = 64) -> Tensor:
    return torch.randn(count, arch.in_channels, side, side, generator=torch.Generator().manual_seed(1))


def settled(arch: Architecture) -> Network:
    """In evaluation mode, with the norms' statistics of a batch: fresh ones let the signal die away."""
    model = network(arch).eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1
    model(images(arch, 4))
    for norm in norms:
        norm.momentum = arch.norm.momentum
    return model.eval()


@BOTH
def test_forward_is_features_then_head(arch: Architecture) -> None:
    model, x = settled(arch), images(arch)
    features = model.forward_features(x)
    assert features.shape == (2, 256, 8, 8)
    torch.testing.assert_close(model(x), model.forward_head(features))
    pooled = model.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, features.flatten(2).mean(2))
    torch.testing.assert_close(model(x), model.get_classifier()(pooled))


@BOTH
def test_classifier(arch: Architecture) -> None:
    model, x = settled(arch), images(arch)
    assert model(x).shape == (2, 10)
    assert model.get_classifier() is model.classifier
    model.reset_classifier(3)
    assert model(x).shape == (2, 3)
    assert isinstance(model.get_classifier(), nn.Linear)
    assert not model.get_classifier().bias.any()  # type: ignore[union-attr, operator]
    model.reset_classifier(0)
    assert isinstance(model.get_classifier(), nn.Identity)
    torch.testing.assert_close(model(x), model.forward_head(model.forward_features(x), pre_logits=True))
    model.reset_classifier(7)
    assert model(x).shape == (2, 7)


def test_a_new_classifier_is_of_the_networks_type_and_place() -> None:
    model = network(V1).to(torch.bfloat16)
    model.reset_classifier(3)
    assert model.classifier.weight.dtype == torch.bfloat16  # type: ignore[union-attr]
    with torch.device("meta"):
        model = build(V1)
    model.reset_classifier(3)
    assert model.classifier.weight.device.type == "meta"  # type: ignore[union-attr]


def test_a_negative_number_of_classes_is_refused() -> None:
    model = network(V1)
    with pytest.raises(RequestError, match="num_classes is -1; it must be positive, or 0 for no classifier"):
        model.reset_classifier(-1)
    assert model(images(V1)).shape == (2, 10)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_input_channels(channels: int) -> None:
    arch = replace(V1, in_channels=channels)
    assert network(arch)(images(arch)).shape == (2, 10)


@pytest.mark.parametrize("size", [(1, 1), (33, 65), (97, 20)])
@BOTH
def test_any_size_of_image(arch: Architecture, size: tuple[int, int]) -> None:
    assert network(arch).eval()(torch.randn(1, 3, *size)).shape == (1, 10)


def test_the_seed_decides_the_weights() -> None:
    one, two = network(V1), network(V1)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(build(V1).stem.conv.weight, one.stem.conv.weight)


@BOTH
def test_every_parameter_learns(arch: Architecture) -> None:
    model = network(replace(arch, drop_path=0.0)).train()
    model(images(arch, 4)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_and_stochastic_depth_are_off_in_evaluation() -> None:
    model, x = settled(replace(V1, dropout=0.9, drop_path=0.9)), images(V1)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    ("block", "stride", "c_in", "adds"),
    [
        (MBConv(kernel=3, expansion=4), 1, 8, True),
        (MBConv(kernel=3, expansion=1, se_ratio=0), 1, 8, True),
        (MBConv(kernel=3, expansion=4, skip=False), 1, 8, False),
        (MBConv(kernel=3, expansion=4), 2, 8, False),
        (MBConv(kernel=3, expansion=4), 1, 4, False),
        (FusedMBConv(kernel=3, expansion=4), 1, 8, True),
        (FusedMBConv(kernel=3, expansion=1), 1, 8, True),
        (FusedMBConv(kernel=3, expansion=1, skip=False), 1, 8, False),
        (FusedMBConv(kernel=3, expansion=1), 2, 8, False),
    ],
)
def test_a_block_adds_its_input_where_it_can(block: MBConv | FusedMBConv, stride: int, c_in: int, adds: bool) -> None:
    module = BlockModule(block, c_in, 8, stride, 0.0, V1).eval()
    x, y = torch.randn(2, c_in, 6, 6), None
    y = nn.Sequential.forward(module, x)
    torch.testing.assert_close(module(x), x + y if adds else y)
    assert module(x).shape == (2, 8, 6 // stride, 6 // stride)
    assert hasattr(module, "squeeze_excite") == (isinstance(block, MBConv) and block.se_ratio > 0)
    assert (hasattr(module, "expand") or hasattr(module, "project")) == (
        isinstance(block, MBConv) or block.expansion > 1
    )


@BOTH
def test_channels_last_goes_through(arch: Architecture) -> None:
    """No layer falls back to the other layout, which would copy; and the numbers are the same."""
    plain, x = settled(arch), images(arch)
    expected = plain(x)
    last = plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept: list[bool] = []
    for part in last.modules():
        if isinstance(part, (ConvNormAct, BlockModule)):
            part.register_forward_hook(lambda _, __, y: kept.append(y.is_contiguous(memory_format=torch.channels_last)))
    actual = last(x.to(memory_format=torch.channels_last))
    assert kept
    assert all(kept)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


@BOTH
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_compiles_into_one_graph(arch: Architecture, training: bool) -> None:
    """``fullgraph`` raises where the graph would break. The numbers stay, those of chance included."""
    check_compiled(arch, training, "eager")


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "efficientnetv2_b0"])
def test_variants_compile_with_their_backward_pass(name: str, training: bool) -> None:
    """This backend draws other random numbers, so chance is off."""
    check_compiled(replace(zoo.architecture(name), dropout=0.0, drop_path=0.0), training, "aot_eager")


def check_compiled(arch: Architecture, training: bool, backend: str) -> None:
    torch._dynamo.reset()
    model, x = settled(arch).train(training), images(arch)
    twin = network(arch).train(training)
    twin.load_state_dict(model.state_dict())
    outputs = []
    for run in (torch.compile(model, fullgraph=True, backend=backend), twin):
        torch.manual_seed(3)  # of stochastic depth and dropout
        outputs.append(run(x))
        outputs[-1].square().mean().backward()
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-4, rtol=1e-4)
    for mine, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-3 * other.grad.abs().max().item(), rtol=1e-3)
    torch.testing.assert_close(model.stem.norm.running_mean, twin.stem.norm.running_mean)


@BOTH
def test_exports_with_any_batch(arch: Architecture) -> None:
    model, x = settled(arch), images(arch, 3)
    program = torch.export.export(model, (x,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
    exported = program.module()
    torch.testing.assert_close(exported(x), model(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(exported(x[:2]), model(x[:2]), atol=1e-5, rtol=1e-5)


def test_a_network_of_one_stage() -> None:
    stage = Stage(block=FusedMBConv(kernel=1, expansion=1), channels=1, repeats=1, stride=1)
    arch = Architecture(name="least", resolution=1, stem=1, stages=(stage,), head=1, classes=1, in_channels=1)
    assert build(arch).eval()(torch.zeros(1, 1, 1, 1)).shape == (1, 1)
