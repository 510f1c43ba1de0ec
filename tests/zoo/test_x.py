"""EfficientNet-X and -H are the original's, to the last parameter; where timm's port differs, and by how much."""

import math
from dataclasses import replace

import pytest
import timm
import torch
from torch import Tensor, nn

from compoundnet import zoo
from compoundnet.architecture import Architecture, FusedMBConv, MBConv, Stage
from compoundnet.cost import cost, layers
from compoundnet.nn import build
from compoundnet.zoo import x
from parity import TOLERANCE, difference, settle

NAMES = sorted(x.ARCHITECTURES)
BLOCKS = (
    "r1_k3_s11_e1_i32_o16_se0.25_d1_a0 r2_k3_s22_e{e}_i16_o24_se0.25_f1_d2_a1 r2_k5_s22_e{e}_i24_o40_se0.25_f1_a1 "
    "r3_k3_s22_e{e}_i40_o80_se0.25_a0 r3_k5_s11_e6_i80_o112_se0.25_a0 r4_k5_s22_e6_i112_o192_se0.25_a0 "
    "r1_k3_s11_e6_i192_o320_se0.25_a0"
)


def rounded(filters: int, width: float) -> int:
    new = max(8, int(filters * width + 4) // 8 * 8)
    return new + 8 if new < 0.9 * filters * width else new


def conv(kernel: int, c_in: int, c_out: int) -> int:
    """Parameters of a convolution with its norm."""
    return kernel * kernel * c_in * c_out + 2 * c_out


def original_params(name: str) -> int:
    """As efficientnet_model.py 02f1303 builds the blocks of efficientnet_x_builder.py: its rules in its order."""
    rows = {**x._AS_EFFICIENTNET, **x._FOR_DEVICES}
    width, depth = rows[name.removeprefix("tf_")][:2]
    coefficient = {"b0": 4, "b1": 2}.get(name[-2:], 1)
    early = 4 if "_h_" in name else 6
    c = rounded(32, width)
    total = conv(3, 3, c)
    for text in BLOCKS.format(e=early).split():
        options = {word.rstrip("0123456789."): word.lstrip("abcdefghijklmnopqrstuvwxyz") for word in text.split("_")}
        repeats, k = math.ceil(depth * int(options["r"])), int(options["k"])
        i, o = (rounded(int(options[key]), width) for key in "io")
        fold = int(options.get("d", 0))
        declared_i, declared_o, declared_k = i, o, k
        if fold == 1:
            i, o, k = 4 * i, 4 * o, (k + 1) // 2
        for repeat in range(repeats):
            if fold == 1 and repeat == 0:
                total += conv(2, c, i)
                c = i
            wide = i * int(options["e"])
            squeezed = int(i * 0.25 * coefficient)
            squeezed = max(1, squeezed // 4 if fold == 1 and repeat == 0 else squeezed)
            if "f" in options:
                total += conv(k, c, wide)
            else:
                total += conv(1, c, wide) * (options["e"] != "1") + k * k * wide + 2 * wide
            total += 2 * wide * squeezed + wide + squeezed + conv(1, wide, o)
            c = i = o
            if fold == 2:  # it ends here: all is as declared from now on
                i = c = declared_o
                k = declared_k
        assert declared_i
    head = rounded(1280, width)
    return total + conv(1, c, head) + (head + 1) * 1000


def test_the_30_rows() -> None:
    assert len([name for name in NAMES if name.startswith("tf_")]) == 30
    assert len(NAMES) == 41


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_the_original_s(name: str) -> None:
    assert cost(zoo.architecture(name)).params == original_params(name)


@pytest.mark.parametrize(("name", "params", "macs"), [
    ("tf_efficientnet_x_b0", 7_584_104, 920_421_088),
    ("tf_efficientnet_x_b3", 13_293_970, 4_333_620_800),
    ("tf_efficientnet_h_b5", 45_876_724, 28_714_435_584),
    ("tf_efficientnet_x_tpu_b7", 198_638_730, 85_471_623_096),
    ("tf_efficientnet_x_gpu_b7", 196_730_150, 84_538_368_384),
])  # fmt: skip
def test_these_numbers_stay(name: str, params: int, macs: int) -> None:
    assert (cost(zoo.architecture(name)).params, cost(zoo.architecture(name)).macs) == (params, macs)


def test_the_first_stages_of_b0_by_hand() -> None:
    """Channels out, kernel, stride, side of each convolution; the width of each squeeze."""
    arch = zoo.architecture("tf_efficientnet_x_b0")
    parts = {p.name: (p.channels, p.kernel, p.stride, p.side) for p in layers(arch) if p.stage in (0, 1)}
    assert parts["stages.0.0.space_to_depth"] == (128, 2, 2, 56)
    assert parts["stages.0.0.depthwise"] == (128, 2, 1, 56)
    assert parts["stages.0.0.project"] == (64, 1, 1, 56)
    assert parts["stages.1.0.fused"] == (96, 3, 1, 56)
    assert parts["stages.1.0.project"] == (24, 1, 1, 56)
    assert parts["stages.1.1.fused"] == (144, 3, 1, 56)
    squeezed = {p.name: p.activations - p.channels for p in layers(arch) if p.kind == "squeeze_excite"}
    # int(32 * 4 * (0.25 * 4)) // 4; int(16 * (0.25 * 4)), of the declared input; int(24 * (0.25 * 4))
    assert [squeezed[f"stages.{place}.squeeze_excite"] for place in ("0.0", "1.0", "1.1")] == [32, 16, 24]


def test_relu_and_swish() -> None:
    """``a0`` is ReLU, ``a1`` swish; ``relu_fn``, of the stem and the head, is ReLU."""
    arch = zoo.architecture("tf_efficientnet_x_b3")
    assert arch.activation == "relu"
    assert [s.block.activation for s in arch.stages] == [None, "silu", "silu", None, None, None, None]  # type: ignore[union-attr]
    names = {type(m).__name__ for m in build(replace(arch, resolution=32)).modules()}
    assert {"ReLU", "SiLU"} <= names


@pytest.mark.parametrize("width", [0.3, 0.5, 0.9, 1.1, 1.3, 2.58])
def test_folded_channels_are_four_times_the_rounded(width: float) -> None:
    arch = zoo.architecture("tf_efficientnet_x_b0").scaled(width=width)
    assert arch.stages[0].channels == 4 * rounded(16, width)


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
def test_an_even_kernel_is_padded_like_tensorflow(padding: str, side: int) -> None:
    """Stride 1: nothing before, one after; stride 2: one after an odd side, none after an even one."""
    from compoundnet.nn.layers import Conv

    arch = replace(zoo.architecture("tf_efficientnet_x_b0"), padding=padding)  # type: ignore[arg-type]
    image = torch.randn(1, 2, side, side)
    for stride, after in ((1, 1), (2, side % 2)):
        layer = Conv(2, 3, 2, stride, arch)
        wide = nn.functional.pad(image, (0, after, 0, after))
        torch.testing.assert_close(layer(image), nn.functional.conv2d(wide, layer.weight, stride=stride))
        assert layer(image).shape[2] == math.ceil(side / stride)


def as_in_timm(arch: Architecture) -> Architecture:
    """What timm 1.0.31 makes of the same rows. Activations: swish, and ReLU in the fused stages. Later blocks of the
    first stage: kernel 3. Where space-to-depth ends: the squeeze counts from the folded input, of four times the
    channels."""
    first, second, third, *rest = arch.stages
    entry, leave, fused = first.block, second.block, third.block
    assert isinstance(entry, MBConv)
    assert isinstance(leave, FusedMBConv)
    assert isinstance(fused, FusedMBConv)
    relu = replace(leave, activation="relu")
    changed = [
        replace(first, repeats=1),
        Stage(block=MBConv(kernel=3, expansion=1), channels=first.channels, repeats=first.repeats - 1, stride=1),
        Stage(block=replace(relu, se_ratio=1.0), channels=second.channels, repeats=1, stride=1),
        Stage(block=replace(relu, counts_from="input"), channels=second.channels, repeats=second.repeats - 1, stride=1),
        replace(third, block=replace(fused, activation="relu")),
    ]
    return replace(arch, activation="silu", stages=(*changed, *rest))


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("efficientnet_x_b3", 13_299_652, 13_293_970),
        ("efficientnet_x_b5", 33_439_614, 33_433_452),
        ("efficientnet_h_b5", 45_884_172, 45_876_724),
    ],
)
def test_timm_s_port_has_other_kernels_and_squeezes(name: str, theirs: int, ours: int) -> None:
    arch = zoo.architecture(name)
    assert (cost(as_in_timm(arch)).params, cost(arch).params) == (theirs, ours)
    with torch.device("meta"):
        assert sum(p.numel() for p in timm.create_model(name).parameters()) == theirs


@pytest.mark.parametrize("name", ["efficientnet_x_b3", "efficientnet_h_b5"])
def test_logits_are_timm_s_once_these_are_as_there(name: str) -> None:
    """So every other part of the blocks is the same: folding, padding, squeezes, widths."""
    torch.manual_seed(0)
    ours = build(as_in_timm(zoo.architecture(name)))
    with torch.no_grad():
        for module in ours.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.1)
        settle(ours, torch.float32)
    theirs = timm.create_model(name).eval()
    theirs.load_state_dict(in_order(ours.state_dict(), theirs))
    assert max(difference(ours, theirs, side) for side in (64, 65)) < TOLERANCE[torch.float32]


def in_order(state: dict[str, Tensor], twin: nn.Module) -> dict[str, Tensor]:
    """The tensors of ``state`` under the names of ``twin``, one after another; their shapes must agree."""
    names = twin.state_dict()
    assert [tuple(t.shape) for t in state.values()] == [tuple(t.shape) for t in names.values()]
    return dict(zip(names, state.values(), strict=True))
