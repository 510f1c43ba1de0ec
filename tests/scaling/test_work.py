"""The work of layers that not every network has: a block's own activation, even and mixed kernels, two linear ends."""

from collections import Counter

import pytest

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.cost import Layer, layers
from compoundnet.scaling.work import WORK, work_of

NAMES = ["tf_efficientnet_x_b0", "efficientnet_cc_b0_4e", "mobilenetv3_large_100", "tf_efficientnet_es", "tinynet_e"]


def amounts(layer: Layer, arch: Architecture, batch_size: int = 1) -> dict[str, float]:
    return {work.name: work.amount for work in work_of(layer, arch, batch_size)}


def part(arch: Architecture, name: str) -> Layer:
    return next(layer for layer in layers(arch) if layer.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_work_has_a_price(name: str) -> None:
    arch = zoo.architecture(name)
    total: Counter[str] = Counter()
    for layer in layers(arch):
        for work in work_of(layer, arch, 2):
            assert work.amount >= 0
            total[work.name] += work.amount
    assert set(total) <= set(WORK)
    macs = sum(amount for kind, amount in total.items() if kind.endswith(".macs"))
    whole = sum(layer.macs for layer in layers(arch) if layer.kind != "squeeze_excite")
    assert macs == 2 * whole


def test_a_block_s_own_activation_is_what_is_paid_for() -> None:
    arch = zoo.architecture("mobilenetv3_large_100")
    assert "relu.elements" in amounts(part(arch, "stages.1.0.expand"), arch)
    assert "hardswish.elements" in amounts(part(arch, "stages.4.0.expand"), arch)
    assert amounts(part(arch, "hidden"), arch)["hardswish.elements"] == 1280


def test_an_even_kernel_pads_a_copy() -> None:
    arch = zoo.architecture("efficientnet_x_b0")  # symmetric
    assert amounts(part(arch, "stages.0.0.depthwise"), arch)["pad.elements"] == 128 * 56 * 56
    assert "pad.calls" not in amounts(part(arch, "stages.3.0.depthwise"), arch)


def test_each_image_s_kernel_is_mixed_and_read() -> None:
    arch = zoo.architecture("efficientnet_cc_b0_4e")
    layer = part(arch, "stages.4.0.expand")
    kernel = 80 * 480
    one, three = amounts(layer, arch), amounts(layer, arch, 3)
    assert (one["pointwise.weights"], three["pointwise.weights"]) == (kernel, 3 * kernel)
    assert (one["linear.macs"], three["linear.macs"]) == (4 * kernel, 12 * kernel)
    assert one["pointwise.macs"] + one["linear.macs"] == layer.macs
