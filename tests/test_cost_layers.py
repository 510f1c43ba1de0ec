"""What a latency predictor reads of each part is what the built module is; and arrays list what each candidate has."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from torch import nn

import measure
from compoundnet import zoo
from compoundnet.architecture import Architecture, Bottleneck, Stage
from compoundnet.cost import Layer, cost, layers, layers_of
from compoundnet.errors import RequestError
from compoundnet.nn import build
from compoundnet.nn.layers import ConvNormAct, LinearAct, SqueezeExcite
from compoundnet.nn.mixed import MixedConvNormAct, Routing
from compoundnet.nn.residual import ResidualModule
from strategies import architectures

B0 = zoo.architecture("tf_efficientnet_b0")
RESNET = replace(zoo.architecture("resnet50"), resolution=64)
RESNET_RS = replace(zoo.architecture("resnetrs50"), resolution=64)


def convolution(part: ConvNormAct) -> tuple[str, int, int, bool]:
    depthwise = part.conv.groups == part.conv.in_channels == part.conv.out_channels != 1
    activated = not isinstance(part.act, nn.Identity)
    return "depthwise" if depthwise else "conv", part.conv.kernel_size[0], part.conv.stride[0], activated


def mixed(part: MixedConvNormAct) -> tuple[str, int, int, bool]:
    depthwise = part.conv.groups == part.conv.shape[0] != 1
    return (
        "depthwise" if depthwise else "conv",
        part.conv.shape[2],
        part.conv.stride,
        not isinstance(part.act, nn.Identity),
    )


def described(module: nn.Module, layer: Layer) -> tuple[str, int, int, bool]:
    """Kind, kernel, stride and whether the activation follows, read from the module."""
    match module:
        case ConvNormAct():
            return convolution(module)
        case MixedConvNormAct():
            return mixed(module)
        case Routing() | LinearAct():
            return "linear", 1, 1, isinstance(module, LinearAct)
        case SqueezeExcite():
            return "squeeze_excite", 1, 1, False
        case nn.MaxPool2d() | nn.AvgPool2d():
            return "pool", module.kernel_size, module.stride, False  # type: ignore[return-value]
    assert isinstance(module, nn.Linear), layer.name
    return "linear", 1, 1, False


def check_described(arch: Architecture) -> None:
    with torch.device("meta"):
        model = build(arch).eval()
    seen = measure.observe(model, measure.image(arch, device="meta"))
    for layer in layers(arch):
        module = model.get_submodule(layer.name)
        kind, kernel, stride, activated = described(module, layer)
        block = model.get_submodule(layer.name.rpartition(".")[0])
        last_of_branch = isinstance(block, ResidualModule) and layer.name.endswith(f".{block.branch[-2]}")
        assert (layer.kernel, layer.stride, layer.activated) == (kernel, stride, activated or last_of_branch)
        if not (kind == "conv" and layer.kind == "depthwise"):  # of one channel: both
            assert layer.kind == kind
        ends = getattr(block, "adds_input", False) and layer.name.endswith(list(block._modules)[-2])
        assert layer.adds == int(ends or last_of_branch), layer.name
        if layer.name == "classifier":
            assert (layer.c_in, layer.side_in) == (arch.hidden or arch.features, layers(arch)[-2].side)
        elif layer.name == "hidden":
            assert (layer.c_in, layer.side_in) == (arch.features, layers(arch)[-3].side)
        else:
            assert seen.inputs[layer.name] == (1, layer.c_in, layer.side_in, layer.side_in)


@settings(max_examples=40)
@given(architectures(mixed=True))
def test_drawn_architectures(arch: Architecture) -> None:
    check_described(arch)


@pytest.mark.parametrize(
    "name",
    [
        *("tf_efficientnet_b0", "efficientnetv2_s", "mobilenetv1_100", "resnet18", "resnet50", "resnetrs50"),
        *("tf_efficientnet_x_b1", "efficientnet_cc_b0_4e", "mobilenetv3_small_100", "efficientnet_el"),
    ],
)
def test_variants(name: str) -> None:
    check_described(zoo.architecture(name))


def rows(parts: list[Layer], candidate: int) -> Counter[Any]:
    """Each part of one candidate without its place, as often as it is there."""
    found: Counter[Any] = Counter()
    for part in parts:
        values = {n: v[candidate] if isinstance(v, np.ndarray) else v for n, v in part._asdict().items()}
        key = tuple(v for n, v in values.items() if n not in ("name", "copies", "live"))
        found[key] += int(values["copies"])
    return +found


CHANGES = replace(
    RESNET,
    stages=tuple(Stage(block=Bottleneck(), channels=c, repeats=2, stride=1) for c in (64, 68, 200)),
)
RS_CHANGES = replace(RESNET_RS, stages=CHANGES.stages)
BASIC = replace(zoo.architecture("resnet18"), padding="same", stem_pool=False, resolution=65)


@pytest.mark.parametrize(
    "arch",
    [
        *(B0, replace(B0, activation="relu"), zoo.architecture("efficientnetv2_b0"), RESNET, CHANGES),
        *(zoo.architecture("tf_efficientnet_x_b1"), zoo.architecture("efficientnet_cc_b0_4e")),
        *(zoo.architecture("tf_mobilenetv3_small_100"), zoo.architecture("efficientnet_lite0")),
        *(RESNET_RS, RS_CHANGES, BASIC),
    ],
    ids=[
        *("silu", "relu", "v2", "resnet", "projections of some", "x", "mixed kernels", "mobilenetv3", "lite"),
        *("resnet-rs", "pooled projections of some", "basic"),
    ],
)
def test_arrays_list_what_each_candidate_has(arch: Architecture) -> None:
    random = np.random.default_rng(1)
    axes = {axis: random.uniform(0.3, 2.5, 12) for axis in ("depth", "width", "resolution")}
    parts = list(layers_of(arch, **axes))
    for i in range(12):
        scaled = arch.scaled(**{axis: float(values[i]) for axis, values in axes.items()})
        assert rows(parts, i) == rows(layers(scaled), 0)


def test_numbers_list_the_scaled_network() -> None:
    assert list(layers_of(B0, depth=1.4, width=1.2)) == layers(B0.scaled(depth=1.4, width=1.2))
    assert list(layers_of(B0)) == layers(B0)


def test_arrays_of_many_dimensions_are_flattened() -> None:
    depth, width = np.array([1.0, 2.0])[:, None], np.array([1.0, 1.1, 1.2])
    parts = list(layers_of(B0, depth=depth, width=width))
    macs = sum(part.macs * part.copies for part in parts)
    assert macs.tolist() == cost(B0, depth=depth, width=width).macs.ravel().tolist()
    assert len(parts) < len(layers(B0.scaled(depth=2)))


def test_no_candidates_have_no_costs() -> None:
    macs = sum(part.macs * part.copies for part in layers_of(RESNET, depth=np.array([])))
    assert macs.shape == (0,)


@pytest.mark.parametrize("bad", [0.0, np.array([1.0, -1.0]), np.array([np.nan])])
def test_bad_multipliers_are_named_at_once(bad: Any) -> None:
    with pytest.raises(RequestError, match="depth multiplier is"):
        layers_of(B0, depth=bad)


@example(B0)
@given(architectures())
def test_every_part_has_its_own_name(arch: Architecture) -> None:
    names = [layer.name for layer in layers(arch)]
    assert len(set(names)) == len(names)
