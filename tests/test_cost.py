"""Costs are what the built network has, computes, writes and keeps, to the last element and byte."""

import re
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import example, given, settings
from torch import nn

import measure
from compoundnet import zoo
from compoundnet.architecture import Architecture, BasicBlock, Bottleneck, FusedMBConv, MBConv, Stage
from compoundnet.cost import Cost, cost, layers
from compoundnet.nn import Network, build
from compoundnet.nn.counting import inference_peak_bytes, saved_bytes, state_bytes
from compoundnet.nn.layers import ConvNormAct
from strategies import architectures

NAMES = [field.name for field in fields(Cost)]
HUGE = re.compile(r".*(b8|l2|475|xl|rs270|rs350|rs420|_[xh]_.*b[4-7])")

# The classifier's own moment is the worst: more classes than anything else has elements.
MANY_CLASSES = Architecture(
    name="many_classes",
    resolution=1,
    in_channels=1,
    stem=1,
    stages=(Stage(block=MBConv(kernel=1, expansion=1, se_ratio=0), channels=1, repeats=1, stride=1),),
    head=1,
    classes=20,
)
# An output that relu keeps is what the next block saves, but not where an input was added to it.
KEPT = replace(
    MANY_CLASSES,
    name="kept",
    resolution=9,
    activation="relu",
    stages=(Stage(block=FusedMBConv(kernel=3, expansion=1), channels=4, repeats=4, stride=2),),
)
# A projection behind a stride and behind a change of channels alone; the pooled stem's output is nobody's to keep.
BOTTLENECKS = replace(
    KEPT,
    name="bottlenecks",
    resolution=33,
    stem_kernel=7,
    stem_pool=True,
    head=None,
    stages=tuple(Stage(block=Bottleneck(), channels=c, repeats=2, stride=s) for c, s in ((8, 1), (8, 1), (12, 2))),
)

# All that ResNet-RS adds: deep stem, a convolution in place of its pooling, pooled shortcuts, squeeze-excitation.
RESNET_RS = replace(
    BOTTLENECKS,
    name="resnet_rs",
    stem_kernel=3,
    stem_deep=(3, 6),
    stem_pool="conv",
    drop_path=0.2,
    stages=tuple(replace(s, block=Bottleneck(se_ratio=0.25, pool_shortcut=True)) for s in BOTTLENECKS.stages),
)
# With "same" padding the first convolution saves a padded copy of the input, so the projection saves the input itself.
BASIC = replace(BOTTLENECKS, name="basic", stages=tuple(replace(s, block=BasicBlock()) for s in BOTTLENECKS.stages))


def check_arithmetic(arch: Architecture, model: Network, device: str = "cpu") -> None:
    price = cost(arch)
    assert all(type(getattr(price, name)) is int for name in NAMES)
    assert price.params == sum(p.numel() for p in model.parameters())
    assert price.weights_bytes == state_bytes(model)
    check_layers(arch, model)
    for module in model.modules():
        if isinstance(module, ConvNormAct):
            module.norm = nn.Identity()  # changes no shape and has no multiply-adds here, but is most of the time
    seen = measure.observe(model.eval(), measure.image(arch, device=device))
    assert price.macs == seen.macs
    assert price.activations == seen.written
    check_shapes(arch, seen.shapes)


def check_layers(arch: Architecture, model: Network) -> None:
    """Every part is a module with those parameters, and together they hold every layer that counts."""
    names = [part.name for part in layers(arch)]
    for part in layers(arch):
        assert part.params == sum(p.numel() for p in model.get_submodule(part.name).parameters()), part.name
    for name, module in model.named_modules():
        if isinstance(module, measure.COUNTED):
            assert sum(f"{name}.".startswith(f"{part}.") for part in names) == 1, name


def check_shapes(arch: Architecture, shapes: dict[str, tuple[int, ...]]) -> None:
    """Every part is a module with an output of that shape, in the order in which they run."""
    listed = {p.name: (1, p.channels) + (p.side, p.side) * (p.kind != "linear") for p in layers(arch)}
    assert listed == {name: shapes.get(name) for name in listed}
    assert list(listed) == [name for name in shapes if name in listed]


def check_training_memory(arch: Architecture) -> None:
    """The slope over the batch: what does not grow with it is no cost of an image."""
    model = build(arch).train()
    two, three = (saved_bytes(model, measure.image(arch, batch)) for batch in (2, 3))
    assert cost(arch).training_bytes_per_image == three - two


def check_inference_memory(arch: Architecture) -> None:
    price = cost(arch)
    peak = inference_peak_bytes(build(arch).eval(), measure.image(arch))
    assert price.inference_bytes - price.weights_bytes == peak


CHECKS: list[Callable[[Architecture], None]] = [
    lambda arch: check_arithmetic(arch, build(arch)),
    check_training_memory,
    check_inference_memory,
]


@pytest.mark.parametrize("check", CHECKS, ids=("arithmetic", "training", "inference"))
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_drawn_architectures(check: Callable[[Architecture], None], count: int) -> None:
    @settings(max_examples=count)
    @example(MANY_CLASSES)
    @example(KEPT)
    @example(BOTTLENECKS)
    @example(RESNET_RS)
    @example(replace(RESNET_RS, padding="same", activation="silu"))
    @example(BASIC)
    @example(replace(BASIC, padding="symmetric", stem_pool=False))
    @given(architectures(mixed=True))
    def drawn(arch: Architecture) -> None:
        check(arch)

    drawn()


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * bool(HUGE.fullmatch(n))) for n in zoo.list_architectures()],
)
def test_variants_at_their_own_size(name: str) -> None:
    """Shapes without memory or arithmetic, so that any size takes a moment."""
    arch = zoo.architecture(name)
    with torch.device("meta"):
        model = build(arch)
    check_arithmetic(arch, model, "meta")


@pytest.mark.parametrize("activation", ["silu", "relu", "relu6", "hardswish"])
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("tf_efficientnet_b0", 33),
        ("efficientnet_b0", 32),
        ("tf_efficientnetv2_b0", 47),
        ("mobilenetv1_100", 35),
        ("tf_mobilenetv3_small_100", 33),
        ("tf_efficientnet_x_b1", 45),
        ("efficientnet_cc_b0_4e", 33),
        ("resnet18", 37),
        ("resnetrs50", 33),
    ],
)
def test_variants_memory(name: str, side: int, activation: str) -> None:
    arch = replace(zoo.architecture(name), resolution=side, activation=activation)  # type: ignore[arg-type]
    check_training_memory(arch)
    check_inference_memory(arch)


@pytest.mark.parametrize(
    "name", [n for n in zoo.list_architectures() if "_cc_" not in n]
)  # whose kernels are an image's
def test_memory_of_every_variant_grows_as_its_activations(name: str) -> None:
    """Weights stay; what an image needs is quadratic in the side, so a quarter at half of it."""
    arch = zoo.architecture(name)
    whole, half = cost(replace(arch, resolution=448)), cost(replace(arch, resolution=224))
    assert whole.weights_bytes == half.weights_bytes
    for of in (lambda c: c.training_bytes_per_image, lambda c: c.inference_bytes - c.weights_bytes):
        assert of(whole) / of(half) == pytest.approx(4, rel=0.02)
