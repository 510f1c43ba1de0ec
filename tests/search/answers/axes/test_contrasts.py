"""Means and differences: pooled noise, opposite signs for opposite questions, and how far apart the costs are."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.search.answers.axes.contrasts import contrast, row
from compoundnet.search.answers.networks import Network, pool
from compoundnet.search.answers.seeds import Noise
from search.answers.synthetic import candidate, trial

accuracies = st.lists(st.integers(100, 900).map(lambda n: n / 1000), min_size=1, max_size=4)


def network(rule: str, values: list[float], factor: float = 2.0, realised: float = 1.0) -> Network:
    """The network of a rule, whatever its shares."""
    who = [candidate((0.2, 0.3, 0.5), seed, factor, realised, rule=rule) for seed in range(len(values))]
    (pooled,) = pool(trial(replace(one, network=rule), value) for one, value in zip(who, values, strict=True))
    return pooled


@given(accuracies, accuracies)
def test_the_opposite_question_has_the_opposite_answer(one: list[float], two: list[float]) -> None:
    networks = {("x2", "a"): network("a", one), ("x2", "b"): network("b", two)}
    there, back = (contrast(networks, ["x2"], r, o, Noise(1e-4, 5)) for r, o in (("a", "b"), ("b", "a")))
    assert there is not None
    assert back is not None
    assert there.value == pytest.approx(-back.value)
    assert (there.low is None) == (min(len(one), len(two)) < 2)
    if there.low is not None and back.high is not None:
        assert there.low == pytest.approx(-back.high)
        assert there.low <= there.value


def test_costs_apart_are_those_of_the_worst_pair_and_unknown_if_one_is() -> None:
    networks = {
        ("x2", "a"): network("a", [0.7], realised=0.9),
        ("x2", "b"): network("b", [0.7]),
        ("x4", "a"): network("a", [0.7], factor=4.0),
        ("x4", "b"): network("b", [0.7], factor=4.0, realised=0.99),
    }
    both = contrast(networks, ["x2", "x4"], "a", "b", Noise(0.0, 0))
    assert both is not None
    assert both.apart == pytest.approx(1 / 0.9 - 1)
    assert (both.costs, both.low) == (2, None)
    networks["x4", "b"].tags["macs_factor"] = None  # type: ignore[index]
    unknown = contrast(networks, ["x2", "x4"], "a", "b", Noise(0.0, 0))
    assert unknown is not None
    assert unknown.apart is None


def test_groups_that_lack_one_of_the_two_are_not_averaged() -> None:
    networks = {("x2", "a"): network("a", [0.8]), ("x2", "b"): network("b", [0.7]), ("x4", "a"): network("a", [0.1])}
    both = contrast(networks, ["x2", "x4"], "a", "b", Noise(0.0, 0))
    assert both is not None
    assert (both.value, both.costs, both.group) == (pytest.approx(0.1), 1, None)
    assert contrast(networks, ["x4"], "a", "b", Noise(0.0, 0)) is None


@given(accuracies, accuracies)
def test_one_network_of_two_rules_has_no_difference_and_no_doubt(one: list[float], two: list[float]) -> None:
    """Averaged with another cost it halves the difference there, and the error of it."""
    shared = network("a", one)
    networks = {("x2", "a"): shared, ("x2", "b"): shared}
    alone = contrast(networks, ["x2"], "a", "b", Noise(1e-4, 5))
    assert alone is not None
    assert (alone.value, alone.low, alone.high, alone.identical) == (0, 0, 0, True)
    networks |= {("x4", "a"): network("a", one, 4.0), ("x4", "b"): network("b", two, 4.0)}
    other, both = (contrast(networks, groups, "a", "b", Noise(1e-4, 5)) for groups in (["x4"], ["x2", "x4"]))
    assert other is not None
    assert both is not None
    assert both.value == pytest.approx(other.value / 2)
    assert (both.low is None) == (other.low is None) == (min(len(one), len(two)) < 2)
    if both.low is not None and other.low is not None:
        assert both.low == pytest.approx(other.low / 2)
        assert not both.identical


def test_a_row_has_the_interval_of_its_mean() -> None:
    from scipy.stats import t

    found = row(network("a", [0.7, 0.72]), Noise(4e-4, 6))
    assert found.low is not None
    assert found.accuracy == pytest.approx(0.71)
    assert 0.71 - found.low == pytest.approx(float(t.ppf(0.975, 6)) * math.sqrt(4e-4 / 2))
    assert row(network("a", [0.7]), Noise(4e-4, 6)).low is None
    assert found.nominal_product == 2.0
