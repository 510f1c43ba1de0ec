"""A study made before an architecture could say something goes on, as long as it does not say it."""

import json
from dataclasses import fields, is_dataclass

import pytest

from compoundnet import zoo
from compoundnet.architecture import Architecture, MBConv, Rounding
from compoundnet.architecture.blocks import BLOCKS

# What an architecture's JSON held in version 0.1, by kind of value.
FIRST = {
    "architecture": "name resolution stem stages head stem_kernel stem_stride stem_pool in_channels classes activation "
    "padding norm dropout drop_path rounding",
    "rounding": "channel_multiple channel_floor depth resolution_multiple",
    "MBConv": "type kernel expansion se_ratio skip",
    "FusedMBConv": "type kernel expansion skip",
}


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "efficientnetv2_s", "mobilenetv2_100", "mbconv_mini"])
def test_an_architecture_is_written_as_it_was(name: str) -> None:
    record = json.loads(zoo.architecture(name).to_json())
    assert list(record) == FIRST["architecture"].split()
    assert list(record["rounding"]) == FIRST["rounding"].split()
    for stage in record["stages"]:
        assert list(stage["block"]) == FIRST[stage["block"]["type"]].split()


def test_what_is_said_is_written() -> None:
    record = json.loads(zoo.architecture("tf_mobilenetv3_small_100").to_json())
    assert record["hidden"] == 1024
    assert record["stages"][0]["block"]["activation"] == "relu"
    assert "activation" not in record["stages"][-1]["block"]
    assert json.loads(zoo.architecture("efficientnet_lite0").to_json())["rounding"]["fixed_ends"] is True


@pytest.mark.parametrize("kind", [Architecture, Rounding, *BLOCKS.values()])
def test_a_later_field_has_a_default(kind: type) -> None:
    assert is_dataclass(kind)
    later = [f for f in fields(kind) if f.metadata.get("later")]
    assert [f.name for f in later if f.default is f.default_factory] == []
    assert kind is not MBConv or later
