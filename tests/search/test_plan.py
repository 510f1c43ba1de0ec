"""Which candidates a study trains: equal realised cost, distinct networks, evenly spread."""

from dataclasses import replace

import numpy as np
import pytest

import compoundnet as cn
from compoundnet.baselines import FactoryBaseline
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.search.plan import check_tags, plan_axes, plan_coefficients
from factories import chain

MINI = ArchitectureBaseline(replace(cn.architecture("mbconv_mini"), classes=10))
B0 = ArchitectureBaseline(cn.architecture("efficientnet_b0"))
AXES = {name: RULES[name] for name in ("depth", "width", "resolution", "efficientnet")}


@pytest.mark.parametrize(("baseline", "tolerance"), [(MINI, 0.05), (B0, 0.03)])
def test_coefficients_are_sought_at_equal_realised_cost(baseline: ArchitectureBaseline, tolerance: float) -> None:
    plan = plan_coefficients(baseline, (1.0, 2.0), 12, range(2), tolerance)
    own = cn.cost(baseline.architecture).macs
    for candidate in plan.candidates:
        arch = baseline.realised(candidate.multipliers)
        factor = 2.0 ** float(candidate.group.removeprefix("phi "))
        assert cn.cost(arch).macs == candidate.tags["macs"]
        assert abs(cn.cost(arch).macs / own / factor - 1) <= tolerance
        assert min(candidate.multipliers) >= 1
        assert sum(candidate.tags["shares"]) == pytest.approx(1)
        assert sum(candidate.tags["realised_shares"]) == pytest.approx(1)
        assert candidate.tags["resolution"] == arch.resolution


def test_no_network_twice() -> None:
    plan = plan_coefficients(MINI, (1.0, 2.0), 20, range(3), 0.05)
    assert len({c.key for c in plan.candidates}) == len(plan.candidates) == 2 * 20 * 3
    first = [c for c in plan.candidates if c.seed == 0]
    sizes = {(c.group, MINI.architecture.sizes(*c.multipliers)) for c in first}
    assert len(sizes) == len(first)
    by_network = {(c.network, MINI.architecture.sizes(*c.multipliers)) for c in plan.candidates}
    assert len(by_network) == len({c.network for c in plan.candidates})


def test_every_network_comes_from_one_seed_before_any_from_the_next() -> None:
    plan = plan_coefficients(MINI, (1.0, 2.0), 5, (7, 8), 0.05)
    assert [c.seed for c in plan.candidates] == [7] * 10 + [8] * 10
    assert [c.group for c in plan.candidates[:10]] == ["phi 1"] * 5 + ["phi 2"] * 5


def test_the_triangle_is_covered() -> None:
    """Any place of the triangle has a candidate nearby: no rule was decided beforehand."""
    plan = plan_coefficients(MINI, (2.0,), 16, (0,), 0.05)
    points = np.array([c.tags["realised_shares"] for c in plan.candidates])
    grid = [np.array([i, j, 10 - i - j]) / 10 for i in range(11) for j in range(11 - i)]
    assert max(np.linalg.norm(points - place, axis=1).min() for place in grid) < 0.25


def test_fewer_networks_than_asked_for_are_all_there_are() -> None:
    plan = plan_coefficients(ArchitectureBaseline(cn.architecture("mbconv_tiny")), (1.0,), 1000, (0,), 0.05)
    assert 3 < len(plan.candidates) < 1000
    assert f"{len(plan.candidates)} of them are tried" in plan.notes[0]


def test_nothing_near_enough() -> None:
    with pytest.raises(RequestError, match="raise the tolerance"):
        plan_coefficients(ArchitectureBaseline(cn.architecture("mbconv_tiny")), (0.01,), 5, (0,), 1e-6)


def test_axes_at_the_nearest_realised_cost() -> None:
    plan = plan_axes(MINI, AXES, (1.6, 4.0), (0, 1))
    assert [(c.group, c.tags["rule"]) for c in plan.candidates[:9]] == [
        ("x1", "baseline"),
        *((f"x{factor}", rule) for factor in ("1.6", "4") for rule in AXES),
    ]
    for candidate in plan.candidates:
        assert candidate.tags["macs_factor"] == pytest.approx(candidate.tags["nominal_factor"], rel=0.04)
        moved = [axis for axis, m in candidate.multipliers._asdict().items() if m != 1]
        if candidate.tags["rule"] in ("depth", "width", "resolution"):
            assert moved == [candidate.tags["rule"]]
    assert plan.notes == ()


def test_a_rule_that_rounding_keeps_away_is_said() -> None:
    plan = plan_axes(MINI, {"efficientnet": RULES["efficientnet"]}, (2.0,), (0,))
    assert plan.notes == ("efficientnet at x2: rounding leaves no network nearer than x2.21",)


def test_a_factory_that_rounds_gives_each_network_once() -> None:
    baseline = FactoryBaseline("chain", chain, resolution=16)
    plan = plan_coefficients(baseline, (0.5,), 50, (0,), 0.15)
    costs = {(c.tags["macs"], c.tags["params"], c.tags["resolution"]) for c in plan.candidates}
    assert len(costs) == len(plan.candidates) == len({c.network for c in plan.candidates})


def test_the_baseline_itself_may_be_among_them() -> None:
    """It has no shares of growth; it counts as the middle."""
    plan = plan_coefficients(ArchitectureBaseline(cn.architecture("mbconv_tiny")), (0.2,), 30, (0,), 0.3)
    own = [c for c in plan.candidates if c.multipliers == (1.0, 1.0, 1.0)]
    assert [c.tags["realised_shares"] for c in own] == [[pytest.approx(1 / 3)] * 3]


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"effective": "abc"},
        {"effective": [1, 2]},
        {"macs": None},
        {"shares": [1, None, 2]},
        {"nominal_factor": "2"},
    ],
)
def test_damaged_tags(tags: dict[str, object]) -> None:
    whole = plan_coefficients(MINI, (1.0,), 3, (0,), 0.05).candidates[0]
    check_tags(whole)
    with pytest.raises(RequestError, match=r"trial .* is damaged: its .*; bring back a copy"):
        check_tags(replace(whole, tags={**whole.tags, **tags} if tags else {}))
