"""Pooling: one row a network, no trial twice, and a fair guess for those that were stopped."""

from dataclasses import replace

import pytest

from compoundnet.errors import RequestError
from compoundnet.search.answers.networks import pool
from compoundnet.search.trials import Outcome
from search.answers.synthetic import candidate, trial

THIRDS = (0.2, 0.3, 0.5)


def failed(seed: int) -> Outcome:
    return Outcome(candidate=candidate(THIRDS, seed), state="failed", value=None)


def stopped(who: tuple[float, float, float], seed: int, *curve: float) -> Outcome:
    return Outcome(candidate=candidate(who, seed), state="pruned", value=curve[-1], curve=curve)


def test_seeds_of_a_network_are_one_row() -> None:
    values = [0.70, 0.74, 0.72]
    (network,) = pool([*(trial(candidate(THIRDS, seed), v) for seed, v in enumerate(values)), failed(3)])
    assert network.values == (0.70, 0.74, 0.72)
    assert network.mean == pytest.approx(0.72)
    assert network.deviation == pytest.approx(0.02)
    assert network.standard_error == pytest.approx(0.02 / 3**0.5)
    assert (network.pruned, network.failed) == (0, 1)


def test_networks_are_apart_by_group() -> None:
    outcomes = [trial(candidate(THIRDS, factor=f), 0.7) for f in (2.0, 4.0)]
    assert [network.group for network in pool(outcomes)] == ["phi 1", "phi 2"]


def test_a_trial_recorded_twice_counts_once_and_as_far_as_it_got() -> None:
    end = trial(candidate(THIRDS, 0), 0.7)
    (network,) = pool([end, stopped(THIRDS, 0, 0.1), failed(0), replace(end, value=0.7)])
    assert network.values == (0.7,)
    assert (network.pruned, network.failed) == (0, 0)


def test_other_shares_that_round_to_the_same_network_share_its_row() -> None:
    one = candidate(THIRDS, 0)
    other = replace(candidate((0.21, 0.29, 0.5), 1), network=one.network)
    (network,) = pool([trial(one, 0.70), trial(other, 0.72)])
    assert network.values == (0.70, 0.72)


def test_shares_are_the_realised_ones_and_never_negative() -> None:
    (rounded,) = pool([trial(candidate(THIRDS, realised_shares=[-0.1, 0.6, 0.6]), 0.7)])
    assert rounded.shares == (0, 0.5, 0.5)
    assert rounded.nominal_shares == THIRDS
    (nothing,) = pool([trial(candidate(THIRDS, realised_shares=[0.0, 0.0, 0.0]), 0.7)])
    assert nothing.shares == THIRDS


@pytest.mark.parametrize("value", [87.2, -0.1])
def test_a_value_that_is_no_accuracy_is_refused(value: float) -> None:
    with pytest.raises(RequestError, match=rf"{value}; a finished trial's value must be an accuracy in 0\.\.1"):
        pool([replace(trial(candidate(THIRDS), 0.5), value=value)])


def test_nothing_ended_is_refused() -> None:
    with pytest.raises(RequestError, match="no trial has ended"):
        pool([])


@pytest.mark.parametrize("shares", [None, [0.5, 0.5], [-1, 1, 1], [0, 0, 0], [float("nan"), 0.5, 0.5]])
def test_shares_that_are_none_are_refused(shares: list[float] | None) -> None:
    (network,) = pool([trial(candidate(THIRDS, shares=shares, realised_shares=None), 0.5)])
    with pytest.raises(RequestError, match="coefficients need three"):
        _ = network.shares


def test_a_trial_stopped_after_its_last_epoch_is_one_that_went_to_the_end() -> None:
    end = trial(candidate(THIRDS, 0), 0.7)
    (network,) = pool([end, replace(trial(candidate(THIRDS, 1), 0.6), state="pruned")])
    assert network.values == (0.7, 0.6)
    assert (network.pruned, network.unknown) == (0, 0)


def test_what_nobody_can_estimate_is_unknown() -> None:
    (network,) = pool([trial(candidate(THIRDS, 0), 0.7), stopped(THIRDS, 1, 0.3, 0.4)])
    assert (network.pruned, network.estimates, network.unknown) == (1, (), 1)


def test_a_draw_completes_a_network() -> None:
    (network,) = pool([trial(candidate(THIRDS, 0), 0.7), stopped(THIRDS, 1, 0.3, 0.4)])
    known = replace(network, estimates=((0.5, 0.6),))
    assert known.unknown == 0
    assert known.completed(1).values == (0.7, 0.6)
    assert known.completed(0).estimates == ()
