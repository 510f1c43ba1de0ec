"""Descriptions of an architecture agree with its cost."""

import json

import pytest

from compoundnet.cost import cost
from compoundnet.summary import describe, stage_rows
from compoundnet.zoo import architecture


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "efficientnetv2_s"])
def test_stage_rows_add_up_to_the_cost(name: str) -> None:
    arch = architecture(name)
    rows = stage_rows(arch)
    whole = cost(arch)
    assert sum(row["params"] for row in rows) == whole.params
    assert sum(row["macs"] for row in rows) == whole.macs
    assert [row["name"] for row in rows] == [
        "stem",
        *(f"stage {i + 1}" for i in range(len(arch.stages))),
        "head",
        "classifier",
    ]
    for row, stage in zip(rows[1:-2], arch.stages, strict=True):
        assert (row["channels"], row["repeats"], row["stride"]) == (stage.channels, stage.repeats, stage.stride)
        assert row["block"] == type(stage.block).__name__
    assert [row["side"] for row in stage_rows(architecture("tf_efficientnet_b0"))] == [
        112, 112, 56, 28, 14, 14, 7, 7, 7, 1,
    ]  # fmt: skip


def test_rows_of_a_network_with_pooling_and_without_a_head() -> None:
    rows = stage_rows(architecture("resnet50"))
    assert [row["name"] for row in rows] == ["stem", "pool", *(f"stage {i}" for i in range(1, 5)), "classifier"]
    stem, pool, first = rows[:3]
    assert (stem["kernel"], stem["stride"], stem["side"], stem["channels"]) == (7, 2, 112, 64)
    assert (pool["block"], pool["kernel"], pool["stride"], pool["side"], pool["params"]) == ("max-pooling", 3, 2, 56, 0)
    assert (first["block"], first["kernel"], first["expansion"], first["channels"]) == ("Bottleneck", 3, None, 256)
    assert sum(row["params"] for row in rows) == cost(architecture("resnet50")).params


def test_a_description_is_plain_json() -> None:
    described = describe(architecture("mobilenetv1_100"))
    assert json.loads(json.dumps(described)) == described
    assert described["stages"][1]["block"] == "DepthwiseSeparable"


def test_rows_of_a_deep_stem_with_a_convolution_that_pools() -> None:
    rows = stage_rows(architecture("resnetrs50"))
    ends = [(row["name"], row["block"], row["stride"], row["channels"], row["side"]) for row in rows[:4]]
    assert ends == [
        ("stem", "convolution", 2, 32, 80),
        ("stem_deep.0", "convolution", 1, 32, 80),
        ("stem_deep.1", "convolution", 1, 64, 80),
        ("pool", "convolution", 2, 64, 40),
    ]
    assert (rows[4]["block"], rows[4]["se"], rows[4]["side"]) == ("Bottleneck", 0.25, 40)
    assert sum(row["macs"] for row in rows) == cost(architecture("resnetrs50")).macs
