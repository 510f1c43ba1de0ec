"""Pooling: one row a network, no trial twice, and a fair guess for those that were stopped."""

from dataclasses import replace

import numpy as np
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


@pytest.mark.parametrize("value", [None, float("nan")])
def test_an_end_without_a_number_has_failed(value: float | None) -> None:
    (network,) = pool([replace(trial(candidate(THIRDS), 0.5), value=value)])
    assert (network.values, network.failed, network.mean) == ((), 1, None)


def test_nothing_ended_is_refused() -> None:
    with pytest.raises(RequestError, match="no trial has ended"):
        pool([])


@pytest.mark.parametrize("shares", [None, [0.5, 0.5], [-1, 1, 1], [0, 0, 0], [float("nan"), 0.5, 0.5]])
def test_shares_that_are_none_are_refused(shares: list[float] | None) -> None:
    (network,) = pool([trial(candidate(THIRDS, shares=shares, realised_shares=None), 0.5)])
    with pytest.raises(RequestError, match="coefficients need three"):
        _ = network.shares


def race(rng: np.random.Generator, n: int = 60) -> tuple[list[Outcome], dict[str, float]]:
    """Trials of which the better half at epoch 2 went on, and how all of them would have ended."""
    outcomes, ends = [], {}
    for i in range(n):
        who = candidate((round(i / n, 3), 0.0, 1 - i / n))
        early = rng.normal(0.4, 0.05)
        end = 0.3 + 0.8 * early + rng.normal(0, 0.01)
        ends[who.network] = end
        curve = (early / 2, early)
        if early > 0.4:
            outcomes.append(Outcome(candidate=who, state="complete", value=end, curve=(*curve, end - 0.01, end)))
        else:
            outcomes.append(Outcome(candidate=who, state="pruned", value=early, curve=curve))
    return outcomes, ends


def test_the_end_of_a_stopped_trial_is_estimated_without_the_bias_of_selection() -> None:
    misses, expected = [], []
    for seed in range(25):
        outcomes, ends = race(np.random.default_rng(seed))
        for network in pool(outcomes):
            for estimate in network.estimates:
                misses.append(estimate.value - ends[network.name])
                expected.append(estimate.variance)
    assert len(misses) > 500
    assert abs(np.mean(misses)) < 0.003  # the selected are 6 points better than the others
    assert np.mean(np.square(misses)) == pytest.approx(np.mean(expected), rel=0.4)


def test_no_estimate_from_too_few_or_without_a_curve() -> None:
    outcomes, _ = race(np.random.default_rng(0))
    ended = [o for o in outcomes if o.state == "complete"]
    last = next(o for o in outcomes if o.state == "pruned")
    assert pool([*ended[:5], last])[-1].estimates == ()
    assert len(pool([*ended[:6], last])[-1].estimates) == 1
    assert pool([*ended, replace(last, curve=())])[-1].estimates == ()
    assert pool([*ended, replace(last, curve=(float("nan"),))])[-1].estimates == ()
    elsewhere = replace(last, candidate=replace(last.candidate, group="phi 9"))
    assert pool([*ended, elsewhere])[-1].estimates == ()


def test_equal_trials_at_the_epoch_of_stopping_give_their_mean() -> None:
    ended = [
        Outcome(candidate=candidate((i / 10, 0, 1 - i / 10)), state="complete", value=v, curve=(0.5, v))
        for i, v in enumerate([0.6, 0.7, 0.8, 0.6, 0.7, 0.8])
    ]
    *_, last = pool([*ended, stopped((0.9, 0, 0.1), 0, 0.2)])
    assert last.estimates[0].value == pytest.approx(0.7)
