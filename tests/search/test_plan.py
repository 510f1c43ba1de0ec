"""Which candidates a study trains: equal realised cost, distinct networks, evenly spread."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compoundnet as cn
from compoundnet.baselines import FactoryBaseline
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Rule
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.search.plan import StudyPlan, check_tags, plan_axes, plan_coefficients
from compoundnet.search.trials import UNEQUAL
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


def line(plan: StudyPlan, rule: str) -> dict[str, tuple[float, float, float]]:
    """Multipliers by group of what is trained of a rule."""
    return {c.group: tuple(c.multipliers) for c in plan.candidates if c.tags["rule"] == rule and c.seed == 0}


def test_larger_bases_are_widened_to_the_costs_of_the_rules() -> None:
    """The paper's Figure 4 on B0: width at two depths and two sides, each line from its base on."""
    factors = (2.0, 4.0, 8.0)
    plan = plan_axes(B0, {"width": RULES["width"]}, factors, (0, 1), [(1, 1), (2, 1), (1, 1.3), (2, 1.3)])
    assert plan.bases == ("width at d2 r1", "width at d1 r1.3", "width at d2 r1.3")
    assert set(line(plan, "width")) == {"x2", "x4", "x8"}
    assert line(plan, "width at d2 r1")["x2"] == (2, 1, 1)  # it costs 2.03 times the baseline: no group of its own
    assert line(plan, "width at d1 r1.3")["width at d1 r1.3"] == (1, 1, 1.3)
    assert set(line(plan, "width at d2 r1.3")) == {"width at d2 r1.3", "x4", "x8"}  # the base costs 3.80 times as much
    assert plan.notes == ("width at d2 r1.3 begins at x3.8, and has no network at x2",)
    for candidate in plan.candidates:
        assert candidate.tags["macs_factor"] == pytest.approx(candidate.tags["nominal_factor"], rel=0.03)
        if candidate.tags["rule"] == "width at d2 r1.3":
            assert (candidate.multipliers.depth, candidate.multipliers.resolution) == (2, 1.3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1, 3), st.floats(1, 1.6)), min_size=1, max_size=3, unique=True),
    st.lists(st.floats(1.3, 12), min_size=1, max_size=3, unique=True),
)
def test_no_width_of_a_base_is_nearer_to_the_cost(bases: list[tuple[float, float]], factors: list[float]) -> None:
    try:
        plan = plan_axes(MINI, {}, factors, (0,), bases)
    except RequestError as error:
        assert any(words in str(error) for words in ("more than any of the factors", "rounds to", "would be called"))
        return
    own = cn.cost(MINI.architecture).macs
    assert len({c.key for c in plan.candidates}) == len(plan.candidates)
    for candidate in plan.candidates:
        assert min(candidate.multipliers) >= 1
        if candidate.tags["rule"] not in plan.bases or candidate.group == candidate.tags["rule"]:
            continue
        d, _, r = candidate.multipliers
        widths = np.linspace(1, 12, 2000)
        ratios = MINI.costs(np.full(2000, d), widths, np.full(2000, r)).macs / own / candidate.tags["nominal_factor"]
        assert abs(np.log(ratios)).min() >= abs(
            np.log(candidate.tags["macs_factor"] / candidate.tags["nominal_factor"])
        )
    for (group, rule), place in plan.same.items():
        assert place not in plan.same and (group, rule) not in {(c.group, c.tags["rule"]) for c in plan.candidates}
        assert place in {(c.group, c.tags["rule"]) for c in plan.candidates}
    for rule in plan.bases:  # from the base on, or from a factor of nearly its cost
        mine = [c for c in plan.candidates if c.tags["rule"] == rule]
        if mine and rule not in {name for _, name in plan.same}:
            d, _, r = mine[0].multipliers
            base = MINI.costs(*np.array([[d], [1.0], [r]])).macs[0] / own
            assert min(c.tags["macs_factor"] for c in mine) <= (1 + UNEQUAL) * base


def test_a_network_of_two_rules_is_trained_once() -> None:
    """Both in one group, and the base of one line that is the network of a rule at a factor."""
    depths = {"depth": RULES["depth"], "resolution": RULES["resolution"]}
    plan = plan_axes(MINI, depths, (2.0, 4.0), (0,), [(1, 1.3)])
    assert plan.same == {("x2", "width at d1 r1.3"): ("x2", "resolution")}
    assert "width at d1 r1.3 at x2 rounds to the network of resolution, and has its results" in plan.notes
    tiny = ArchitectureBaseline(replace(cn.architecture("mbconv_tiny"), classes=10))
    plan = plan_axes(tiny, depths, (2.0, 4.0), (0,), [(2, 1)])
    assert plan.same == {("width at d2 r1", "width at d2 r1"): ("x2", "depth")}
    assert {c.group for c in plan.candidates} == {"x1", "x2", "x4"}


def test_a_network_stands_at_one_cost_only() -> None:
    """Trained once, it must not count as two trainings."""
    tiny = ArchitectureBaseline(replace(cn.architecture("mbconv_tiny"), classes=10))
    plan = plan_axes(tiny, {"depth": RULES["depth"], "width": RULES["width"]}, (1.2, 1.3, 1.5, 3.0), (0,))
    networks = [c.network for c in plan.candidates]
    assert len(set(networks)) == len(networks)
    assert any("is the network of depth at x" in note and "left out" in note for note in plan.notes)


def test_a_network_is_tried_at_one_phi_only() -> None:
    tiny = ArchitectureBaseline(replace(cn.architecture("mbconv_tiny"), classes=10))
    plan = plan_coefficients(tiny, (1.0, 1.25), 15, (0,), 0.1)
    networks = [c.network for c in plan.candidates]
    assert len(set(networks)) == len(networks)
    assert "more are tried at another phi" in plan.notes[1]
    with pytest.raises(RequestError, match=r"every network of phi 1\.0001 is one of another phi"):
        plan_coefficients(tiny, (1.0, 1.0001), 10_000, (0,), 0.1)  # all of them are taken at phi 1


def test_a_rule_that_rounds_to_another_ones_network_has_its_results() -> None:
    plan = plan_axes(MINI, {"depth": RULES["depth"], "deep": RULES["depth"]}, (2.0, 4.0), (0,))
    assert plan.same == {("x2", "deep"): ("x2", "depth"), ("x4", "deep"): ("x4", "depth")}
    assert {c.tags["rule"] for c in plan.candidates} == {"baseline", "depth"}


@pytest.mark.parametrize(
    ("bases", "rules", "told"),
    [
        ([(8, 4)], {}, r"base 8,4 costs .* times the baseline's MACs, more than any of the factors \(2, 4\); give"),
        ([(1, 1.001)], {}, "base 1,1.001 rounds to the baseline itself; leave it out, or make it larger"),
        ([(2, 1), (2.01, 1)], {}, "base 2.01,1 rounds to base 2,1"),
        ([(2, 1)], {"width at d2 r1": RULES["fast"]}, "base 2,1 would be called 'width at d2 r1', as a rule is"),
        ([(2, 1)], {"width": RULES["fast"]}, "rule 'width' is another"),
    ],
)
def test_bases_that_cannot_be_compared(bases: list[tuple[float, float]], rules: dict[str, Rule], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        plan_axes(MINI, rules, (2.0, 4.0), (0,), bases)


def test_a_factory_is_widened_too() -> None:
    baseline = FactoryBaseline("chain", chain, resolution=16)
    plan = plan_axes(baseline, {}, (4.0,), (0,), [(2, 1)])
    (found,) = (c for c in plan.candidates if c.tags["rule"] == "width at d2 r1" and c.group == "x4")
    assert found.multipliers.depth == 2 and found.multipliers.width > 1
    assert found.tags["macs_factor"] == pytest.approx(4, rel=0.15)


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
