"""The architecture as a value: equality, JSON, rounding, scaling, the stochastic-depth schedule."""

import json
import math
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet import zoo
from compoundnet.architecture import (
    Architecture,
    BasicBlock,
    Bottleneck,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    Norm,
    Rounding,
    Stage,
)
from strategies import any_architectures

B0 = zoo.architecture("tf_efficientnet_b0")
V2 = zoo.architecture("tf_efficientnetv2_s")
MULTIPLIERS = st.floats(0.05, 10)


def tpu_round_filters(filters: int, multiplier: float, divisor: int = 8) -> int:
    """tensorflow/tpu 7dc921f models/official/efficientnet/efficientnet_model.py ``round_filters``."""
    filters *= multiplier  # type: ignore[assignment]
    new_filters = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    if new_filters < 0.9 * filters:
        new_filters += divisor
    return int(new_filters)


def automl_round_filters(filters: int, multiplier: float, divisor: int = 8) -> int:
    """google/automl 6a54c87 efficientnetv2/effnetv2_model.py ``round_filters``: no rule of 0.9."""
    filters *= multiplier  # type: ignore[assignment]
    return max(divisor, int(filters + divisor / 2) // divisor * divisor)


@given(any_architectures())
def test_json_gives_an_equal_value(arch: Architecture) -> None:
    text = arch.to_json()
    back = Architecture.from_json(text)
    assert back == arch
    assert hash(back) == hash(arch)
    assert back.to_json() == text


@pytest.mark.parametrize("name", zoo.list_architectures())
def test_json_of_every_variant(name: str) -> None:
    arch = zoo.architecture(name)
    assert Architecture.from_json(arch.to_json()) == arch
    assert {arch: 1}[Architecture.from_json(arch.to_json())] == 1


def test_json_says_the_kind_of_block_first() -> None:
    block = json.loads(V2.to_json())["stages"][0]["block"]
    assert list(block) == ["type", "kernel", "expansion", "skip"]
    assert block["type"] == "FusedMBConv"


def test_json_may_leave_out_what_has_a_default() -> None:
    text = """{"name": "n", "resolution": 32, "stem": 8, "head": 16, "stages": [
        {"block": {"type": "MBConv", "kernel": 3, "expansion": 1}, "channels": 8, "repeats": 1, "stride": 1}]}"""
    stage = Stage(block=MBConv(kernel=3, expansion=1), channels=8, repeats=1, stride=1)
    assert Architecture.from_json(text) == Architecture(name="n", resolution=32, stem=8, head=16, stages=(stage,))


def test_json_from_before_a_field_was_added_still_reads() -> None:
    record = json.loads(B0.to_json())
    for added in ("stem_kernel", "stem_deep", "stem_pool"):
        record.pop(added, None)
    assert Architecture.from_json(json.dumps(record)) == B0


def test_json_keeps_that_there_is_no_head() -> None:
    text = replace(B0, head=None).to_json()
    assert json.loads(text)["head"] is None
    assert Architecture.from_json(text) == replace(B0, head=None)


@pytest.mark.parametrize("value", [B0, B0.stages[0], B0.stages[0].block, V2.stages[0].block, B0.norm, B0.rounding])
def test_values_are_frozen(value: object) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, 1)  # type: ignore[arg-type]


def test_stages_given_as_a_list_become_a_tuple() -> None:
    assert replace(B0, stages=list(B0.stages)) == B0  # type: ignore[arg-type]
    assert hash(replace(B0, stages=list(B0.stages))) == hash(B0)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", [field.name for field in fields(Architecture)])
def test_every_field_counts_in_equality(field: str) -> None:
    other = {
        "name": "other",
        "stages": B0.stages[:-1],
        "activation": "relu",
        "padding": "symmetric",
        "norm": Norm(eps=1e-5),
        "rounding": Rounding(depth="round"),
        "dropout": 0.1,
        "drop_path": 0.1,
        "stem_pool": True,
        "stem_deep": (16, 24),
    }.get(field, 7)
    changed = replace(B0, **{field: other})  # type: ignore[arg-type]
    assert changed != B0
    assert Architecture.from_json(changed.to_json()) == changed


@given(st.integers(1, 4000), MULTIPLIERS)
def test_channels_round_as_in_the_original_code(channels: int, width: float) -> None:
    assert Rounding().channels(channels * width) == tpu_round_filters(channels, width)
    assert Rounding(channel_floor=0).channels(channels * width) == automl_round_filters(channels, width)


@given(st.integers(1, 100), MULTIPLIERS)
def test_repeats_round_as_in_the_original_code(repeats: int, depth: float) -> None:
    """tensorflow/tpu ``round_repeats``: ``int(math.ceil(multiplier * repeats))``."""
    assert Rounding().repeats(depth * repeats) == math.ceil(depth * repeats)


@pytest.mark.parametrize(
    ("rounding", "wanted", "realised"),
    [
        (Rounding(), 16 * 1.2, 24),  # 16 is below 0.9 * 19.2
        (Rounding(channel_floor=0), 16 * 1.2, 16),
        (Rounding(), 20.0, 24),  # a tie goes up
        (Rounding(), 0.1, 8),  # never below one multiple
        (Rounding(channel_multiple=1), 19.2, 19),
        (Rounding(channel_multiple=3), 4.6, 6),
    ],
)
def test_channels_by_hand(rounding: Rounding, wanted: float, realised: int) -> None:
    assert rounding.channels(wanted) == realised


@pytest.mark.parametrize(
    ("depth", "wanted", "realised"),
    [("ceil", 1.001, 2), ("ceil", 2.0, 2), ("round", 1.49, 1), ("round", 1.5, 2), ("round", 2.5, 3), ("round", 0.1, 1)],
)
def test_repeats_by_hand(depth: str, wanted: float, realised: int) -> None:
    assert Rounding(depth=depth).repeats(wanted) == realised  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("multiple", "wanted", "realised"),
    [(1, 257.6, 258), (1, 257.5, 258), (4, 257.6, 256), (4, 258.0, 260), (32, 5.0, 32)],
)
def test_resolution_by_hand(multiple: int, wanted: float, realised: int) -> None:
    assert Rounding(resolution_multiple=multiple).resolution(wanted) == realised


@given(st.lists(st.floats(0.01, 5000), min_size=1, max_size=20), st.integers(1, 16), st.sampled_from(("ceil", "round")))
def test_rounding_takes_arrays(wanted: list[float], multiple: int, depth: str) -> None:
    rule = Rounding(channel_multiple=multiple, resolution_multiple=multiple, depth=depth)  # type: ignore[arg-type]
    for rounded in (rule.channels, rule.repeats, rule.resolution):
        assert rounded(np.array(wanted)).tolist() == [rounded(x) for x in wanted]


@pytest.mark.parametrize(
    ("ratio", "c_in", "squeezed"), [(0.25, 32, 8), (0.25, 30, 7), (0.25, 3, 1), (0.04, 24, 1), (1.0, 5, 5)]
)
def test_squeezed_channels_are_truncated_and_at_least_one(ratio: float, c_in: int, squeezed: int) -> None:
    block = MBConv(kernel=3, expansion=6, se_ratio=ratio)
    assert block.squeezed(c_in) == squeezed
    assert block.squeezed(np.array([c_in])).tolist() == [squeezed]


@given(any_architectures())
def test_scaling_by_one_changes_nothing_but_the_name(arch: Architecture) -> None:
    assert arch.scaled(name=arch.name) == arch
    assert arch.scaled(depth=1, width=1, resolution=1).name == f"{arch.name}_d1_w1_r1"


@given(MULTIPLIERS, MULTIPLIERS, MULTIPLIERS)
def test_scaling_changes_sizes_by_the_rules_and_nothing_else(depth: float, width: float, resolution: float) -> None:
    big = B0.scaled(depth=depth, width=width, resolution=resolution, name="big")
    if 1 not in (depth, width, resolution):
        assert (big.stem, big.head) == (tpu_round_filters(32, width), tpu_round_filters(1280, width))
        assert [s.channels for s in big.stages] == [tpu_round_filters(s.channels, width) for s in B0.stages]
        assert [s.repeats for s in big.stages] == [math.ceil(depth * s.repeats) for s in B0.stages]
        assert big.resolution == math.floor(224 * resolution + 0.5)
    same = [replace(s, channels=o.channels, repeats=o.repeats) for s, o in zip(big.stages, B0.stages, strict=True)]
    sizes = {"stem": 32, "head": 1280, "resolution": 224, "name": B0.name}
    assert replace(big, stages=tuple(same), **sizes) == B0  # type: ignore[arg-type]


def test_sizes_of_many_candidates() -> None:
    sizes = B0.sizes(depth=np.array([1.0, 2.0]), width=np.array([1.0, 1.1]), resolution=np.array([1.0, 1.15]))
    assert sizes.resolution.tolist() == [224, 258]
    assert sizes.head.tolist() == [1280, 1408]
    assert [c.tolist() for c in sizes.channels][:3] == [[16, 16], [24, 24], [40, 48]]
    assert [r.tolist() for r in sizes.repeats] == [[s.repeats, 2 * s.repeats] for s in B0.stages]


def test_without_a_head_the_last_stage_is_what_is_classified() -> None:
    headless = replace(B0, head=None)
    assert (B0.features, headless.features) == (1280, 320)
    wide = headless.scaled(width=2)
    assert (wide.head, wide.features) == (None, 640)
    assert headless.sizes(width=np.array([1.0, 2.0])).head is None


def test_scaling_leaves_the_stem_s_form() -> None:
    pooled = replace(B0, stem_pool="conv", stem_kernel=7, stem_stride=1)
    big = pooled.scaled(depth=2, width=2, resolution=2)
    assert (big.stem_pool, big.stem_kernel, big.stem_stride) == ("conv", 7, 1)


def test_every_convolution_of_a_deep_stem_gets_wider() -> None:
    deep = replace(B0, stem=24, stem_deep=[32, 64])
    assert (deep.stem_deep, deep.stem_features, B0.stem_features) == ((32, 64), 64, 32)
    big = deep.scaled(width=1.2)
    assert (big.stem, big.stem_deep) == (32, (40, 80))  # 28.8, 38.4, 76.8
    sizes = deep.sizes(width=np.array([1.0, 1.2]))
    assert [channels.tolist() for channels in sizes.stem_deep] == [[32, 40], [64, 80]]


@pytest.mark.parametrize(("c_out", "reduction", "reduced"), [(256, 4, 64), (24, 5, 4), (3, 4, 1), (16, 1, 16)])
def test_reduced_channels_are_truncated_and_at_least_one(c_out: int, reduction: int, reduced: int) -> None:
    block = Bottleneck(reduction=reduction)
    assert block.reduced(c_out) == reduced
    assert block.reduced(np.array([float(c_out)])).tolist() == [reduced]


@pytest.mark.parametrize(("c_out", "ratio", "squeezed"), [(256, 0.25, 64), (30, 0.25, 7), (3, 0.25, 1)])
def test_a_bottleneck_squeezes_a_share_of_its_output(c_out: int, ratio: float, squeezed: int) -> None:
    block = Bottleneck(se_ratio=ratio)
    assert block.squeezed(c_out) == squeezed
    assert block.squeezed(np.array([float(c_out)])).tolist() == [squeezed]


def test_scaling_accepts_numbers_of_numpy() -> None:
    assert B0.scaled(width=np.float64(1.1), name="a") == B0.scaled(width=1.1, name="a")


# Blocks of each baseline and variant; the rate of block i is 0.2 * i / n, so the last has 0.2 * (n - 1) / n
# (tensorflow/tpu 7dc921f efficientnet_model.py ``drop_rate * float(idx) / total``, after depth scaling).
@pytest.mark.parametrize(
    ("name", "blocks", "last"),
    [
        ("efficientnet_b0", 16, 0.1875),
        ("efficientnet_b5", 39, 0.1948717948717949),
        ("efficientnet_b7", 55, 0.19636363636363638),
    ],
)
def test_stochastic_depth_of_variants(name: str, blocks: int, last: float) -> None:
    rates = zoo.architecture(name).drop_path_rates()
    assert len(rates) == blocks
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(last, abs=1e-15)
    assert rates == tuple(0.2 * i / blocks for i in range(blocks))


def test_stochastic_depth_off() -> None:
    assert set(replace(B0, drop_path=0.0).drop_path_rates()) == {0.0}


def test_blocks_of_two_kinds_are_different() -> None:
    assert MBConv(kernel=3, expansion=1) != FusedMBConv(kernel=3, expansion=1)
    assert len({Bottleneck(kernel=3), DepthwiseSeparable(kernel=3), BasicBlock(kernel=3)}) == 3
