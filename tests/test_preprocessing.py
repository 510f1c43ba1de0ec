"""Preprocessing as a value: JSON both ways, and errors that name the field."""

import pytest

from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing

WRONG = [
    ({"resolution": 0}, "resolution is 0"),
    ({"resolution": 2.5}, "resolution is 2.5"),
    ({"resolution": True}, "resolution is True"),
    ({"resolution": 8, "crop_fraction": 0}, "crop_fraction is 0"),
    ({"resolution": 8, "crop_fraction": "x"}, "crop_fraction is 'x'"),
    ({"resolution": 8, "crop": "middle"}, "unknown preprocessing.crop 'middle'"),
    ({"resolution": 8, "interpolation": "nearest"}, "unknown preprocessing.interpolation"),
    ({"resolution": 8, "mean": 5}, "mean is 5; it must be 3 numbers"),
    ({"resolution": 8, "mean": [0.1, 0.2]}, "it must be 3 numbers"),
    ({"resolution": 8, "mean": [0.1, float("nan"), 0.1]}, "it must be 3 numbers"),
    ({"resolution": 8, "std": ["a", "b", "c"]}, "it must be 3 numbers"),
    ({"resolution": 8, "std": [0.1, 0.0, 0.1]}, "every value must be positive"),
    ({"resolution": 8, "colour": 1}, "unknown preprocessing field 'colour'"),
    ({}, "preprocessing has no 'resolution'"),
    (5, "it must be a JSON object"),
]


@pytest.mark.parametrize(("record", "said"), WRONG)
def test_what_is_wrong_is_named(record: object, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        Preprocessing.from_json(record)  # type: ignore[arg-type]


def test_json_both_ways() -> None:
    value = Preprocessing(resolution=260, crop_fraction=0.89, interpolation="bilinear", mean=(0.5, 0.5, 0.5))
    assert Preprocessing.from_json(value.to_json()) == value
    assert value.short_side == 292
