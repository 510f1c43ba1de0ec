"""Costs of many candidates in one call are the costs of each by itself."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import compoundnet
from compoundnet import costs, zoo
from compoundnet.architecture import Architecture, FusedMBConv, Rounding, Stage
from compoundnet.cost import Cost, cost
from compoundnet.errors import RequestError
from strategies import architectures

NAMES = [field.name for field in fields(Cost)]
B0 = zoo.architecture("tf_efficientnet_b0")

# Under relu a block that adds its input differs from the one before it, which does not, in what is saved.
CHANGES_AT_THE_THIRD = replace(
    B0,
    activation="relu",
    stages=(Stage(block=FusedMBConv(kernel=3, expansion=1), channels=24, repeats=2, stride=2),),
)


def one_by_one(arch: Architecture, rows: Any) -> dict[str, list[int]]:
    prices = [cost(arch.scaled(depth=d, width=w, resolution=r)) for d, w, r in rows]
    return {name: [getattr(price, name) for price in prices] for name in NAMES}


def check(arch: Architecture, rows: list[tuple[float, float, float]]) -> None:
    d, w, r = (np.array(axis) for axis in zip(*rows, strict=True))
    many = cost(arch, depth=d, width=w, resolution=r)
    assert {name: getattr(many, name).tolist() for name in NAMES} == one_by_one(arch, rows)
    assert {getattr(many, name).dtype for name in NAMES} == {np.dtype(np.int64)}


MULTIPLIERS = st.sampled_from((1.0, 0.5, 2.0)) | st.floats(0.1, 4)
ROUNDINGS = st.sampled_from(
    (
        Rounding(),
        Rounding(channel_floor=0),
        Rounding(depth="round", resolution_multiple=4),
        Rounding(channel_multiple=1),
        Rounding(fixed_stem=True, least_head=30),
        Rounding(fixed_ends=True),
    )
)


@settings(max_examples=100)
@given(
    architectures(mixed=True),
    ROUNDINGS,
    st.lists(st.tuples(MULTIPLIERS, MULTIPLIERS, MULTIPLIERS), min_size=1, max_size=8),
)
@example(CHANGES_AT_THE_THIRD, Rounding(), [(1.0, 1.0, 1.0), (0.5, 1.0, 1.0), (2.0, 1.0, 1.0), (5.0, 1.0, 1.0)])
def test_each_candidate_costs_the_same_alone(
    arch: Architecture, rounding: Rounding, rows: list[tuple[float, float, float]]
) -> None:
    check(replace(arch, rounding=rounding), rows)


VARIANTS = ["tf_efficientnet_b0", "efficientnet_b3", "tf_efficientnetv2_s", "efficientnetv2_xl"]
VARIANTS += [
    "tf_efficientnet_x_b1",
    "efficientnet_cc_b0_8e",
    "mobilenetv3_large_100",
    "efficientnet_lite0",
    "tinynet_c",
]


@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name: str, activation: str) -> None:
    random = np.random.default_rng(0)
    rows = random.uniform(0.3, 3.0, (20, 3))
    rows[:5, random.permutation(3)[0]] = 1.0
    check(replace(zoo.architecture(name), activation=activation), [tuple(row) for row in rows.tolist()])  # type: ignore[misc, arg-type]


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 8193])
def test_every_candidate_is_priced_once_whatever_their_number(count: int) -> None:
    width = np.linspace(0.5, 2, count)
    params = cost(B0, width=width).params
    assert params.shape == (count,)
    for i in {0, count // 2, min(4095, count - 1), min(4096, count - 1), count - 1}:
        assert params[i] == cost(B0, width=float(width[i])).params


def test_arrays_broadcast() -> None:
    depth, width = np.array([1.0, 1.2, 2.0])[:, None], np.array([1.0, 1.1])
    grid = cost(B0, depth=depth, width=width, resolution=1.15)
    assert grid.macs.shape == (3, 2)
    for i, d in enumerate((1.0, 1.2, 2.0)):
        for j, w in enumerate((1.0, 1.1)):
            assert grid.macs[i, j] == cost(B0, depth=d, width=w, resolution=1.15).macs


def test_lists_and_single_numbers_of_numpy() -> None:
    assert cost(B0, depth=[1, 2]).params.tolist() == [cost(B0).params, cost(B0, depth=2).params]  # type: ignore[arg-type]
    assert cost(B0, depth=np.array(2.0)).params == cost(B0, depth=2).params
    assert cost(B0, depth=np.array([])).macs.shape == (0,)


def test_the_baseline_is_left_as_it_is() -> None:
    """A multiplier of exactly 1 rounds nothing, not even numbers that no rounding rule would give."""
    odd = replace(B0, stem=30, head=1001, resolution=221)
    assert cost(odd, width=np.array([1.0]), depth=np.array([1.0])).params.tolist() == [cost(odd).params]


@pytest.mark.parametrize(
    ("multipliers", "message"),
    [
        ({"depth": np.array([1.0, -2.0])}, "depth multiplier is -2.0; it must be a positive number"),
        ({"width": np.array([0.0, 1.0])}, "width multiplier is 0.0"),
        ({"resolution": np.array([1.0, np.nan])}, "resolution multiplier is nan"),
        ({"resolution": np.array([1.0, np.inf])}, "resolution multiplier is inf"),
        ({"depth": np.array([None])}, "depth multiplier is array.*; it must be a number, or an array of numbers"),
        ({"depth": "2"}, "depth multiplier is '2'; it must be a number"),
        ({"width": True}, "width multiplier is True; it must be a number"),
        ({"resolution": {}}, "resolution multiplier is {}; it must be a number"),
        ({"depth": [1.0, [2.0, 3.0]]}, "depth multiplier is .*; it must be a number"),
        ({"width": 10**400}, "width multiplier is 1000000"),
        ({"depth": np.array(["deep"])}, "it must be a number, or an array of numbers"),
        ({"depth": np.ones(2), "width": np.ones(3)}, r"do not fit together.*\(2,\).*\(3,\)"),
        ({"depth": -1.0}, "depth multiplier is -1.0"),
        ({"width": float("nan")}, "width multiplier is nan"),
        ({"width": 1e300}, "width multiplier is 1e.300; .* at most 1000000"),
        ({"width": np.array([1.0, 1e5])}, "stage.channels is .*; it must be a positive integer, at most 1000000"),
        ({"width": np.array([500.0]), "resolution": np.array([1000.0])}, r"macs .* above 2\^53"),
    ],
)
def test_bad_multipliers_are_named(multipliers: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        cost(B0, **multipliers)


def test_the_front_door_has_the_function() -> None:
    """It binds that of any network over the module of that name."""
    assert compoundnet.cost is costs.cost
    assert compoundnet.cost(B0) == cost(B0)
