"""Every variant has the published numbers."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from compoundnet import zoo
from compoundnet.architecture import Architecture, FusedMBConv, MBConv, Norm
from compoundnet.cost import cost
from compoundnet.errors import RequestError
from compoundnet.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from compoundnet.zoo.efficientnet import ARCHITECTURES, PREPROCESSING


class Golden(NamedTuple):
    params: int
    gmacs: float  # 10^9 multiply-adds, to 3 digits after the point
    mactivations: float  # 10^6 elements, to 1 digit
    blocks: int
    stem: int
    head: int
    resolution: int
    dropout: float


# Computed by hand-written loops over the block tables of tensorflow/tpu 7dc921f
# models/official/efficientnet/efficientnet_builder.py and google/automl 6a54c87
# efficientnetv2/effnetv2_configs.py, 1000 classes. The parameter counts equal timm 1.0.31's models, and
# torchvision's ``num_params`` where it has the network.
GOLDEN = {
    "efficientnet_b0": Golden(5_288_548, 0.386, 6.7, 16, 32, 1280, 224, 0.2),
    "efficientnet_b1": Golden(7_794_184, 0.687, 10.9, 23, 32, 1280, 240, 0.2),
    "efficientnet_b2": Golden(9_109_994, 0.994, 13.8, 23, 32, 1408, 260, 0.3),
    "efficientnet_b3": Golden(12_233_232, 1.827, 23.8, 26, 40, 1536, 300, 0.3),
    "efficientnet_b4": Golden(19_341_616, 4.394, 49.5, 32, 48, 1792, 380, 0.4),
    "efficientnet_b5": Golden(30_389_784, 10.266, 98.9, 39, 48, 2048, 456, 0.4),
    "efficientnet_b6": Golden(43_040_704, 19.068, 167.4, 45, 56, 2304, 528, 0.5),
    "efficientnet_b7": Golden(66_347_960, 37.746, 289.9, 55, 64, 2560, 600, 0.5),
    "efficientnet_b8": Golden(87_413_142, 62.597, 442.9, 61, 72, 2816, 672, 0.5),
    "efficientnet_l2": Golden(480_309_308, 475.704, 1707.4, 88, 136, 5504, 800, 0.5),
    "efficientnet_l2_475": Golden(480_309_308, 170.893, 609.9, 88, 136, 5504, 475, 0.5),
    "efficientnetv2_b0": Golden(7_139_704, 0.718, 4.8, 21, 32, 1280, 224, 0.2),
    "efficientnetv2_b1": Golden(8_141_052, 1.197, 7.3, 27, 32, 1280, 240, 0.2),
    "efficientnetv2_b2": Golden(10_096_086, 1.698, 9.8, 28, 32, 1408, 260, 0.3),
    "efficientnetv2_b3": Golden(14_358_406, 3.011, 15.7, 32, 40, 1536, 300, 0.3),
    "efficientnetv2_s": Golden(21_458_488, 8.366, 35.8, 40, 24, 1280, 384, 0.2),
    "efficientnetv2_m": Golden(54_139_356, 24.582, 89.8, 57, 24, 1280, 480, 0.3),
    "efficientnetv2_l": Golden(118_515_272, 56.080, 158.0, 79, 32, 1280, 480, 0.4),
    "efficientnetv2_xl": Golden(208_119_808, 93.353, 247.3, 100, 32, 1280, 512, 0.4),
}

# Widths and repeats of the stages. V1: the block table through ``round_filters`` and ``round_repeats`` of
# tensorflow/tpu; V2: the rows of effnetv2_configs.py as they stand there.
STAGES = {
    "efficientnet_b0": ((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_b1": ((16, 24, 40, 80, 112, 192, 320), (2, 3, 3, 4, 4, 5, 2)),
    "efficientnet_b2": ((16, 24, 48, 88, 120, 208, 352), (2, 3, 3, 4, 4, 5, 2)),
    "efficientnet_b3": ((24, 32, 48, 96, 136, 232, 384), (2, 3, 3, 5, 5, 6, 2)),
    "efficientnet_b4": ((24, 32, 56, 112, 160, 272, 448), (2, 4, 4, 6, 6, 8, 2)),
    "efficientnet_b5": ((24, 40, 64, 128, 176, 304, 512), (3, 5, 5, 7, 7, 9, 3)),
    "efficientnet_b6": ((32, 40, 72, 144, 200, 344, 576), (3, 6, 6, 8, 8, 11, 3)),
    "efficientnet_b7": ((32, 48, 80, 160, 224, 384, 640), (4, 7, 7, 10, 10, 13, 4)),
    "efficientnet_b8": ((32, 56, 88, 176, 248, 424, 704), (4, 8, 8, 11, 11, 15, 4)),
    "efficientnet_l2": ((72, 104, 176, 344, 480, 824, 1376), (6, 11, 11, 16, 16, 22, 6)),
    "efficientnet_l2_475": ((72, 104, 176, 344, 480, 824, 1376), (6, 11, 11, 16, 16, 22, 6)),
    "efficientnetv2_b0": ((16, 32, 48, 96, 112, 192), (1, 2, 2, 3, 5, 8)),
    "efficientnetv2_s": ((24, 48, 64, 128, 160, 256), (2, 4, 4, 6, 9, 15)),
    "efficientnetv2_m": ((24, 48, 80, 160, 176, 304, 512), (3, 5, 5, 7, 14, 18, 5)),
    "efficientnetv2_l": ((32, 64, 96, 192, 224, 384, 640), (4, 7, 7, 10, 19, 25, 7)),
    "efficientnetv2_xl": ((32, 64, 96, 192, 256, 512, 640), (4, 8, 8, 16, 24, 32, 8)),
}

# Share of the resized image that is cut out: V1 and V2-B as released, size / (size + 32), in timm's digits.
CROPS = {
    "efficientnet": {"b0": 0.875, "b1": 0.882, "b2": 0.890, "b3": 0.904, "b4": 0.922, "b5": 0.934, "b6": 0.942,
                     "b7": 0.949, "b8": 0.954, "l2": 0.960, "l2_475": 0.936},
    "efficientnetv2": {"b0": 0.875, "b1": 0.882, "b2": 0.890, "b3": 0.904},
}  # fmt: skip

PLAIN = sorted(GOLDEN)
BOTH = [prefix + name for name in PLAIN for prefix in ("", "tf_")]


def golden(name: str) -> Golden:
    return GOLDEN[name.removeprefix("tf_")]


def test_every_variant_has_a_row() -> None:
    assert sorted(ARCHITECTURES) == sorted(BOTH)


@pytest.mark.parametrize("name", BOTH)
def test_numbers(name: str) -> None:
    arch, row = zoo.architecture(name), golden(name)
    price = cost(arch)
    assert arch.name == name
    assert price.params == row.params
    assert round(price.macs / 1e9, 3) == row.gmacs
    assert round(price.activations / 1e6, 1) == row.mactivations
    assert sum(stage.repeats for stage in arch.stages) == row.blocks
    assert (arch.stem, arch.head, arch.resolution, arch.dropout) == (row.stem, row.head, row.resolution, row.dropout)
    assert (arch.classes, arch.in_channels, arch.stem_stride) == (1000, 3, 2)
    assert (arch.activation, arch.drop_path) == ("silu", 0.2)


@pytest.mark.parametrize(("size", "macs"), [("b0", 385_814_752), ("b7", 37_745_884_192)])
def test_macs_to_the_last(size: str, macs: int) -> None:
    assert cost(zoo.architecture(f"efficientnet_{size}")).macs == macs


@pytest.mark.parametrize("name", sorted(STAGES))
def test_widths_and_repeats(name: str) -> None:
    for arch in (zoo.architecture(name), zoo.architecture(f"tf_{name}")):
        assert (tuple(s.channels for s in arch.stages), tuple(s.repeats for s in arch.stages)) == STAGES[name]


@pytest.mark.parametrize("name", [name for name in BOTH if "v2" not in name])
def test_blocks_of_the_first(name: str) -> None:
    """Paper, Table 1; efficientnet_builder.py ``blocks_args``: kernel, stride, expansion."""
    stages = zoo.architecture(name).stages
    rows = [(3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6)]
    assert [(s.block.kernel, s.stride, s.block.expansion) for s in stages] == rows
    assert {(type(s.block), s.block.se_ratio, s.block.skip) for s in stages} == {(MBConv, 0.25, True)}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [name for name in BOTH if "v2" in name])
def test_blocks_of_the_second(name: str) -> None:
    stages = zoo.architecture(name).stages
    count = 7 if name.endswith(("_m", "_l", "_xl")) else 6
    assert [s.stride for s in stages] == [1, 2, 2, 2, 1, 2, 1][:count]
    fused = [FusedMBConv(kernel=3, expansion=e) for e in (1, 4, 4)]
    assert [s.block for s in stages] == [*fused, *(MBConv(kernel=3, expansion=e) for e in (4, 6, 6, 6))][:count]


@pytest.mark.parametrize("name", PLAIN)
def test_the_two_of_a_name_differ_in_padding_and_norm_alone(name: str) -> None:
    plain, tf = zoo.architecture(name), zoo.architecture(f"tf_{name}")
    assert replace(tf, name=name, padding="symmetric", norm=plain.norm) == plain
    assert (plain.padding, plain.norm) == ("symmetric", Norm(eps=1e-5, momentum=0.1))
    # TensorFlow's decay is 0.99 in the first, 0.9 in the second; epsilon 1e-3 in both.
    assert (tf.padding, tf.norm) == ("same", Norm(eps=1e-3, momentum=0.1 if "v2" in name else 0.01))


@pytest.mark.parametrize("name", BOTH)
def test_the_floor_rule_of_rounding_is_the_firsts_alone(name: str) -> None:
    assert zoo.architecture(name).rounding.channel_floor == (0 if "v2" in name else 0.9)


@pytest.mark.parametrize("name", BOTH)
def test_preprocessing(name: str) -> None:
    arch = zoo.architecture(name)
    prepared = zoo.preprocessing(arch)
    family, _, size = name.removeprefix("tf_").partition("_")
    assert prepared.resolution == arch.resolution
    if size in CROPS[family]:
        assert (prepared.crop, prepared.crop_fraction, prepared.interpolation) == (
            "center", CROPS[family][size], "bicubic",
        )  # fmt: skip
        assert (prepared.mean, prepared.std) == (IMAGENET_MEAN, IMAGENET_STD)
        assert prepared.crop_fraction == pytest.approx(arch.resolution / (arch.resolution + 32), abs=2e-3)
    else:
        assert (prepared.crop, prepared.crop_fraction, prepared.interpolation) == ("squash", 1.0, "bilinear")
        assert (prepared.mean, prepared.std) == ((0.5,) * 3, (0.5,) * 3)


def test_tables_have_the_same_names() -> None:
    assert PREPROCESSING.keys() == ARCHITECTURES.keys()


def test_preprocessing_of_any_other_network_takes_the_whole_square() -> None:
    own = replace(zoo.architecture("efficientnet_b0"), name="own", resolution=96)
    assert (zoo.preprocessing(own).resolution, zoo.preprocessing(own).crop_fraction) == (96, 1.0)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("*efficientnet*", 38 + 10 + 6 + 6 + 41),
        ("tf_efficientnet_b*", 9),
        ("efficientnet_b?", 9),
        ("*efficientnetv2*", 16),
        ("B0", 0),
        ("efficientnet_b0", 1),
    ],
)
def test_names_by_pattern(pattern: str, count: int) -> None:
    names = zoo.list_architectures(pattern)
    assert len(names) == count
    assert names == sorted(names)


def test_an_architecture_from_a_file(tmp_path: Path) -> None:
    arch = replace(zoo.architecture("efficientnet_b0"), name="own")
    path = tmp_path / "own.json"
    path.write_text(arch.to_json(), encoding="utf-8")
    assert zoo.architecture(path) == zoo.architecture(str(path)) == arch


@pytest.mark.parametrize("name", ["efficientnet_b0", "tf_efficientnetv2_xl"])
def test_the_same_name_is_the_same_value(name: str) -> None:
    assert isinstance(zoo.architecture(name), Architecture)
    assert zoo.architecture(name) is zoo.architecture(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_b00", "unknown architecture 'efficientnet_b00'; did you mean 'efficientnet_b0'"),
        ("EfficientNet-B0", "unknown architecture 'EfficientNet-B0'; did you mean .*efficientnet_b0"),
        ("", "unknown architecture ''; known: .*efficientnet_b0, "),
        (Path("somewhere/else"), "unknown architecture 'somewhere/else'"),
        ("nowhere.json", "cannot read architecture 'nowhere.json': No such file"),
        ("a\0b.json", "is not a JSON text file: embedded null byte"),
    ],
)
def test_what_is_not_there(name: str | Path, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        zoo.architecture(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "net.json: not JSON"),
        (b"", "net.json: not JSON"),
        (b"\xff\xfe\x00", "net.json' is not a JSON text file"),
        (b'{"name": "n"}', "net.json: architecture lacks resolution, stem, stages, head"),
    ],
)
def test_a_file_that_is_no_architecture(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "net.json"
    path.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        zoo.architecture(path)


def test_a_folder_is_no_architecture(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.mkdir()
    with pytest.raises(RequestError, match=r"cannot read architecture .*directory"):
        zoo.architecture(path)


def test_preprocessing_follows_the_resolution_of_the_value() -> None:
    """A JSON that kept its name but not its size is prepared at its own size."""
    small = replace(zoo.architecture("efficientnet_b0"), resolution=64)
    assert zoo.preprocessing(small).resolution == 64
    assert (
        zoo.preprocessing(small).crop_fraction == zoo.preprocessing(zoo.architecture("efficientnet_b0")).crop_fraction
    )
