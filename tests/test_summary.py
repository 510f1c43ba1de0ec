"""Descriptions of an architecture agree with its cost."""

import pytest

from compoundnet.cost import cost
from compoundnet.summary import stage_rows
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
