"""The solver against trying everything, and what it says of its answer."""

import random

import numpy as np
import pytest

from compoundnet import architecture, cost
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Rule
from compoundnet.scaling.accuracy import AccuracyModel, Term, following
from compoundnet.scaling.baseline import AXES, ArchitectureBaseline
from compoundnet.scaling.budget import Budget
from compoundnet.scaling.design import design
from compoundnet.scaling.free import free
from compoundnet.scaling.solver import along, choices, networks_along
from scaling.drawn import drawn_baseline, drawn_budget, drawn_model, drawn_rule, fits, latency_of, one_each

B0 = ArchitectureBaseline(architecture("efficientnet_b0"))
RANDOM = [*range(20), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(20, 300))]


@pytest.mark.parametrize("seed", RANDOM)
def test_along_a_rule_nothing_larger_fits(seed: int) -> None:
    draw = random.Random(seed)
    baseline, rule = drawn_baseline(draw), drawn_rule(draw)
    budget = drawn_budget(draw, baseline, factor=20)
    s = np.unique(np.append(np.geomspace(1e-3, 300, 30_000), 1.0))
    by = (s**rule.depth, s ** (rule.width / 2), s ** (rule.resolution / 2))
    enough = np.floor(by[2] * baseline.architecture.resolution) >= 8
    good = fits(baseline, by, budget) & enough
    try:
        found = along(baseline, rule, budget, latency_of(baseline))
    except RequestError as error:
        assert "loosen" in str(error) and not good.any()
        return
    assert fits(baseline, [np.array([m]) for m in found.scaling], budget).all()
    if not good.any():  # smaller than anything tried here
        return
    last = np.flatnonzero(good)[-1]
    ours = np.prod([found.scaling.depth, found.scaling.width**2, found.scaling.resolution**2])
    tried, own = (baseline.sizes(*(np.array([m]) for m in ms))[0] for ms in ([b[last] for b in by], found.scaling))
    assert ours > s[last] * (1 - 1e-9) or (tried == own).all()


@pytest.mark.parametrize("seed", RANDOM)
def test_free_nothing_better_fits(seed: int) -> None:
    draw = random.Random(seed)
    baseline, model = drawn_baseline(draw), drawn_model(draw)
    budget = drawn_budget(draw, baseline, factor=20)
    least = 8 / baseline.architecture.resolution
    lows = {"depth": 1 / 64, "width": 1 / 64, "resolution": max(1 / 64, least)}  # the smallest of everything drawn
    axes = {a: one_each(baseline, a, low, 8) if model.counts(a) else np.ones(1) for a, low in lows.items()}
    by = [grid.ravel() for grid in np.meshgrid(*axes.values(), indexing="ij")]
    good = fits(baseline, by, budget)
    if not good.any():  # then what counts for nothing shrinks
        by = [np.minimum(m, low) if not model.counts(a) else m for m, (a, low) in zip(by, lows.items(), strict=True)]
        if not fits(baseline, by, budget).any():
            with pytest.raises(RequestError, match="loosen"):
                free(baseline, model, budget, latency_of(baseline))
            return
    found = free(baseline, model, budget, latency_of(baseline))
    columns = [np.array([m]) for m in found.scaling]
    assert fits(baseline, columns, budget).all()
    assert found.binding or found.next_scaling is None
    if not good.any():
        return
    loss = model.loss(*(baseline.effective(axis, x) for axis, x in zip(axes, by, strict=True)))  # type: ignore[arg-type]
    ours = model.loss(*(baseline.effective(axis, x) for axis, x in zip(axes, columns, strict=True)))[0]  # type: ignore[arg-type]
    best = loss[good].min()
    if max(found.scaling) > 7.9:  # the solver looked further than we did
        assert ours <= best
    else:
        assert ours == pytest.approx(best, rel=1e-12)
        assert found.cost.macs == baseline.costs(*(x[good & (loss <= best * (1 + 1e-14))] for x in by)).macs.min()


@pytest.mark.parametrize("seed", range(20))
def test_every_distinct_size_is_a_choice(seed: int) -> None:
    baseline = drawn_baseline(random.Random(seed))
    one = np.ones(1)
    for axis in ("depth", "width", "resolution"):
        ours, tried = choices(baseline, axis, 0.5, 4.0), one_each(baseline, axis, 0.5, 4.0)  # type: ignore[arg-type]

        def sizes(x: float, axis: str = axis) -> tuple[float, ...]:
            at = (np.array([x]) if a == axis else one for a in ("depth", "width", "resolution"))
            return tuple(baseline.sizes(*at)[0])

        assert {sizes(x) for x in tried} <= {sizes(x) for x in ours}
        assert len({sizes(x) for x in ours}) == len(ours)
        assert 1.0 in ours


def test_b0_is_its_own_neighbour() -> None:
    """At exactly its own cost the baseline itself is the answer, and one MAC less is not enough for it."""
    own = cost(B0.architecture)
    for found in (
        along(B0, RULES["efficientnet"], Budget(macs=own.macs)),
        free(B0, following(RULES["depth"]), Budget(macs=own.macs, params=own.params, activations=own.activations)),
    ):
        assert found.cost.macs <= own.macs
    assert along(B0, RULES["efficientnet"], Budget(macs=own.macs)).scaling == (1.0, 1.0, 1.0)
    assert along(B0, RULES["efficientnet"], Budget(macs=own.macs - 1)).cost.macs < own.macs


@pytest.mark.parametrize("name", ["efficientnet", "fast", "depth", "width", "resolution"])
@pytest.mark.parametrize("gmacs", [0.25, 0.39, 1.8, 40.0])
def test_the_next_network_oversteps_what_binds(name: str, gmacs: float) -> None:
    budget = Budget(macs=gmacs * 1e9, params=1e9)
    found = along(B0, RULES[name], budget)
    assert found.spent["macs"] == found.cost.macs <= budget.macs  # type: ignore[operator]
    assert found.binding == ("macs",)
    assert found.next_scaling is not None
    after = cost(B0.architecture.scaled(**found.next_scaling._asdict()))
    assert after.macs == found.next_spent["macs"] > budget.macs  # type: ignore[operator]


def test_two_limits_and_the_one_that_binds() -> None:
    found = along(B0, RULES["efficientnet"], Budget(macs=100e9, params=20e6))
    assert found.binding == ("params",)
    assert found.cost.params <= 20e6


def test_scaling_down_gives_the_tinynet_range() -> None:
    """TinyNet-E is 24 M MACs from B0; there is a network there too, and it is not B0's least."""
    found = along(B0, RULES["efficientnet"], Budget(macs=24e6))
    assert 0.8 * 24e6 < found.cost.macs <= 24e6
    assert max(found.scaling) < 1


def test_networks_along_are_distinct_and_rise() -> None:
    rule = RULES["efficientnet"]
    s = networks_along(B0, rule, 0.01, 100)
    by = (s**rule.depth, s ** (rule.width / 2), s ** (rule.resolution / 2))
    sizes = B0.sizes(*by)
    assert (np.diff(s) > 0).all()
    assert (np.diff(sizes, axis=0) != 0).any(axis=1).all()
    assert 1.0 in s


def test_nothing_fits_says_what_would() -> None:
    with pytest.raises(
        RequestError, match=r"along this rule fits.* 8 px\) needs params of at least 16.*loosen that.*free"
    ):
        along(B0, RULES["efficientnet"], Budget(params=1e5))
    with pytest.raises(RequestError, match=r"loosen these limits, or take a smaller baseline$"):
        free(B0, following(RULES["efficientnet"]), Budget(macs=10, weights_bytes=10))
    with pytest.raises(
        RequestError, match=r"weights_bytes of at least .* and macs|macs of at least .* and weights_bytes"
    ):
        free(B0, following(RULES["efficientnet"]), Budget(macs=10, weights_bytes=10))


@pytest.mark.parametrize(
    "limits",
    [
        {"memory_bytes": 1e6},
        {"params": 2.2e5, "activations": 1e7},
        {"params": 1.5e5, "macs": 1e9},
        {"activations": 2e4},
    ],
)
def test_free_goes_down_to_the_smallest(limits: dict[str, float]) -> None:
    """No single step up on an axis fits, and what a much smaller axis leaves for the others is used."""
    model, budget = following(RULES["efficientnet"]), Budget(**limits)  # type: ignore[arg-type]
    found = free(B0, model, budget)
    by = [np.array([m]) for m in found.scaling]
    ours = model.loss(*(B0.effective(axis, x) for axis, x in zip(AXES, by, strict=True)))[0]
    draw = np.random.default_rng(0)
    tried = [np.exp(draw.uniform(np.log(low), np.log(9), 100_000)) for low in (0.1, 1 / 100, 8 / 224)]
    loss = model.loss(*(B0.effective(axis, x) for axis, x in zip(AXES, tried, strict=True)))
    better = [x[loss < ours * (1 - 1e-12)] for x in tried]
    assert found.binding and not fits(B0, better, budget).any()
    assert min(found.scaling) < 1 / 8 and found.doubts == ()


def test_what_is_beyond_the_farthest_end_is_said() -> None:
    found = free(B0, following(RULES["depth"]), Budget(macs=1e12))
    assert found.doubts == ("its depth, x128, is the largest that was looked at",) and found.binding == ()


def test_along_a_rule_down_to_sides_of_eight_pixels() -> None:
    found = along(B0, RULES["efficientnet"], Budget(macs=2e5))
    assert B0.resolution_at(found.scaling.resolution) in (8, 9) and found.binding == ("macs",)


def test_a_limit_beyond_all_numbers() -> None:
    with pytest.raises(RequestError, match=r"macs never ends the growth .* give a lower limit$"):
        along(B0, RULES["efficientnet"], Budget(macs=1e30))
    with pytest.raises(
        RequestError, match=r"macs never ends the growth .* too large to be counted; give a lower limit$"
    ):
        free(B0, following(RULES["efficientnet"]), Budget(macs=1e30))


def test_a_limit_that_never_binds() -> None:
    with pytest.raises(RequestError, match="params never ends the growth of efficientnet_b0 along this rule"):
        along(B0, RULES["resolution"], Budget(params=9e6))
    with pytest.raises(RequestError, match="params alone does not limit the resolution"):
        free(B0, following(RULES["efficientnet"]), Budget(params=9e6))
    two = Budget(params=9e6, weights_bytes=36e6)
    with pytest.raises(RequestError, match="params and weights_bytes never end the growth of efficientnet_b0"):
        along(B0, RULES["resolution"], two)
    with pytest.raises(RequestError, match="params and weights_bytes alone do not limit the resolution"):
        free(B0, following(RULES["efficientnet"]), two)


def test_free_goes_as_far_as_the_budget() -> None:
    """One axis alone must grow a hundredfold for a hundredfold of MACs."""
    for name in ("depth", "width", "resolution"):
        found = free(B0, following(RULES[name]), Budget(macs=40e9))
        assert found.binding == ("macs",) and 35e9 < found.cost.macs <= 40e9
        assert found.cost.macs == along(B0, RULES[name], Budget(macs=40e9)).cost.macs


def test_an_axis_that_counts_for_nothing_shrinks_only_where_it_must() -> None:
    model = following(Rule(depth=0.5, width=0, resolution=0.5))
    assert free(B0, model, Budget(macs=1e9)).scaling.width == 1
    assert free(B0, model, Budget(macs=1e9, params=2e6)).scaling.width < 1


def test_a_model_in_which_nothing_counts_cannot_choose() -> None:
    nothing = Term(weight=0.0, power=1.0)
    with pytest.raises(RequestError, match="no axis makes a network better"):
        free(B0, AccuracyModel(depth=nothing, width=nothing, resolution=nothing), Budget(macs=1e9))


def test_a_rule_that_leaves_an_axis_alone() -> None:
    found = along(B0, Rule(depth=0, width=0.5, resolution=0.5), Budget(macs=2e9))
    assert found.scaling.depth == 1.0
    assert min(found.scaling.width, found.scaling.resolution) > 1


@pytest.mark.parametrize("macs", [2e11, 3e11])
def test_depth_alone_as_far_as_can_be_counted(macs: float) -> None:
    """2^20 times the depth of B0 is more than can be counted: the search ends below, and says no wrong thing."""
    found = design("efficientnet_b0", macs=macs, rule="depth")
    assert 0.99 * macs < found.cost.macs <= macs < found.next_spent["macs"]
    with pytest.raises(
        RequestError, match=r"macs never ends the growth of efficientnet_b0 along this rule, up to 2\^1"
    ):
        design("efficientnet_b0", macs=1e30, rule="depth")
