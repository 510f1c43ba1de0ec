"""MobileNets and ResNet have the published numbers."""

from typing import NamedTuple

import pytest

from compoundnet import zoo
from compoundnet.architecture import BasicBlock, Bottleneck, DepthwiseSeparable, MBConv
from compoundnet.cost import cost
from compoundnet.zoo import efficientnet, mobilenet, resnet


class Golden(NamedTuple):
    params: int
    macs: int
    widths: tuple[int, ...]
    repeats: tuple[int, ...]
    strides: tuple[int, ...]


# Parameters and MACs (torch's flop counter) of timm 1.0.31's models of that name. The papers: MobileNetV1 4.2 M,
# 569 M multiply-adds (Table 8); V2 3.4 M, 300 M (Table 4); ResNet-50 3.8 G, with the stride in the first 1x1.
GOLDEN = {
    "mobilenetv1_100": Golden(
        4_231_976, 568_740_352, (64, 128, 256, 512, 1024), (1, 2, 2, 6, 2), (1, 2, 2, 2, 2)
    ),
    "mobilenetv2_100": Golden(
        3_504_872, 300_774_272, (16, 24, 32, 64, 96, 160, 320), (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1)
    ),
    "resnet18": Golden(11_689_512, 1_814_073_344, (64, 128, 256, 512), (2, 2, 2, 2), (1, 2, 2, 2)),
    "resnet34": Golden(21_797_672, 3_663_761_408, (64, 128, 256, 512), (3, 4, 6, 3), (1, 2, 2, 2)),
    "resnet50": Golden(25_557_032, 4_089_184_256, (256, 512, 1024, 2048), (3, 4, 6, 3), (1, 2, 2, 2)),
    "resnet101": Golden(44_549_160, 7_801_405_440, (256, 512, 1024, 2048), (3, 4, 23, 3), (1, 2, 2, 2)),
    "resnet152": Golden(60_192_808, 11_513_626_624, (256, 512, 1024, 2048), (3, 8, 36, 3), (1, 2, 2, 2)),
}  # fmt: skip


class Rs(NamedTuple):
    params: int
    macs: int
    resolution: int
    repeats: tuple[int, ...]
    dropout: float
    drop_path: float


# Parameters and MACs (torch's flop counter) of timm 1.0.31's models of that name at this resolution. Resolution and
# rates: tensorflow/tpu bee9c4f models/official/resnet/resnet_rs/configs.
RS = {
    "resnetrs50": Rs(35_691_912, 2_278_629_376, 160, (3, 4, 6, 3), 0.25, 0.0),
    "resnetrs101": Rs(63_618_696, 6_012_157_952, 192, (3, 4, 23, 3), 0.25, 0.0),
    "resnetrs152": Rs(86_621_576, 15_527_886_848, 256, (3, 8, 36, 3), 0.25, 0.0),
    "resnetrs200": Rs(93_209_992, 20_093_386_752, 256, (3, 24, 36, 3), 0.25, 0.1),
    "resnetrs270": Rs(129_861_448, 26_950_189_056, 256, (4, 29, 53, 4), 0.25, 0.1),
    "resnetrs350": Rs(163_956_168, 34_376_597_504, 256, (4, 36, 72, 4), 0.25, 0.1),
    "resnetrs420": Rs(191_891_656, 63_942_344_704, 320, (4, 44, 87, 4), 0.4, 0.1),
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_numbers(name: str) -> None:
    arch, row = zoo.architecture(name), GOLDEN[name]
    assert arch.name == name
    assert (cost(arch).params, cost(arch).macs) == (row.params, row.macs)
    assert tuple(stage.channels for stage in arch.stages) == row.widths
    assert tuple(stage.repeats for stage in arch.stages) == row.repeats
    assert tuple(stage.stride for stage in arch.stages) == row.strides
    assert (arch.resolution, arch.classes, arch.in_channels, arch.padding) == (224, 1000, 3, "symmetric")
    assert (arch.norm.eps, arch.norm.momentum, arch.drop_path) == (1e-5, 0.1, 0)


@pytest.mark.parametrize("name", sorted(RS))
def test_numbers_of_resnet_rs(name: str) -> None:
    arch, row = zoo.architecture(name), RS[name]
    assert (cost(arch).params, cost(arch).macs) == (row.params, row.macs)
    assert (arch.resolution, arch.dropout, arch.drop_path) == (row.resolution, row.dropout, row.drop_path)
    assert tuple(stage.repeats for stage in arch.stages) == row.repeats
    assert {stage.block for stage in arch.stages} == {Bottleneck(se_ratio=0.25, pool_shortcut=True)}
    assert (arch.stem, arch.stem_deep, arch.stem_kernel, arch.stem_pool) == (32, (32, 64), 3, "conv")
    assert (arch.head, arch.features, arch.activation, arch.padding) == (None, 2048, "relu", "symmetric")
    prepared = zoo.preprocessing(arch)
    assert (prepared.resolution, prepared.short_side) == (row.resolution, row.resolution + 32)
    assert prepared.interpolation == "bicubic"


def test_every_resnet_has_its_numbers() -> None:
    assert resnet.ARCHITECTURES.keys() == RS.keys() | {name for name in GOLDEN if name.startswith("resnet")}


def test_their_forms() -> None:
    v1, v2, r50 = (zoo.architecture(name) for name in ("mobilenetv1_100", "mobilenetv2_100", "resnet50"))
    r18 = zoo.architecture("resnet18")
    assert {stage.block for stage in v1.stages} == {DepthwiseSeparable(kernel=3)}
    expansions = (1, 6, 6, 6, 6, 6, 6)
    assert [s.block for s in v2.stages] == [MBConv(kernel=3, expansion=e, se_ratio=0) for e in expansions]
    assert {stage.block for stage in r50.stages} == {Bottleneck(kernel=3, reduction=4)}
    assert {stage.block for stage in r18.stages} == {BasicBlock(kernel=3)}
    assert [(a.stem, a.stem_kernel, a.stem_stride, a.stem_pool) for a in (v1, v2, r50)] == [
        (32, 3, 2, False), (32, 3, 2, False), (64, 7, 2, True),
    ]  # fmt: skip
    assert [(a.head, a.features, a.activation) for a in (v1, v2, r50)] == [
        (None, 1024, "relu6"), (1280, 1280, "relu6"), (None, 2048, "relu"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_preprocessing(name: str) -> None:
    prepared = zoo.preprocessing(zoo.architecture(name))
    assert (prepared.resolution, prepared.crop_fraction, prepared.crop) == (224, 0.875, "center")
    assert prepared.interpolation == "bilinear"
    assert (prepared.mean == (0.5, 0.5, 0.5)) == name.startswith("mobilenet")


def test_no_name_stands_in_two_tables() -> None:
    tables = (efficientnet.ARCHITECTURES, mobilenet.ARCHITECTURES, resnet.ARCHITECTURES)
    names = [name for table in tables for name in table]
    assert len(set(names)) == len(names)
    assert set(names) <= set(zoo.list_architectures())


@pytest.mark.parametrize("module", [mobilenet, resnet], ids=lambda module: module.__name__)
def test_tables_have_the_same_names(module) -> None:  # type: ignore[no-untyped-def]
    assert module.PREPROCESSING.keys() == module.ARCHITECTURES.keys()
