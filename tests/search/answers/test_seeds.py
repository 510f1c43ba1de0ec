"""The noise between seeds is pooled over networks, and intervals follow from it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.search.answers.networks import Network, pool
from compoundnet.search.answers.seeds import Noise, pooled, reach, seed_noise
from search.answers.synthetic import bowl, candidate, study, trial

accuracies = st.lists(st.integers(100, 900).map(lambda n: n / 1000), min_size=1, max_size=4)


def network(values: list[float]) -> Network:
    """A network of so many seeds."""
    who = (candidate((0.2, 0.3, 0.5), seed) for seed in range(len(values)))
    (found,) = pool(trial(replace(one, network="a"), value) for one, value in zip(who, values, strict=True))
    return found


@given(st.lists(accuracies, min_size=1, max_size=5))
def test_noise_is_pooled_over_networks(lists: list[list[float]]) -> None:
    noise = seed_noise(network(values) for values in lists)
    squares = sum(float(((np.array(v) - np.mean(v)) ** 2).sum()) for v in lists)
    freedom = sum(len(v) - 1 for v in lists)
    if squares < 1e-9:
        assert noise == (0, 0)
    else:
        assert noise.freedom == freedom
        assert noise.variance == pytest.approx(squares / freedom)


def test_what_agrees_is_no_noise_though_it_has_its_freedom() -> None:
    assert pooled([np.array([0.5, 0.5]), np.array([0.7])]) == (0.0, 1)
    assert seed_noise([network([0.5, 0.5])]) == (0, 0)


def test_the_interval_of_a_mean_shrinks_with_its_seeds() -> None:
    rng = np.random.default_rng(0)
    noise = seed_noise(pool(study(bowl((0.3, 0.3, 0.4)), rng, steps=10, noise=0.01)))
    one, four = (reach(noise, 1 / seeds, 0.9) for seeds in (1, 4))
    assert one is not None
    assert one == pytest.approx(1.66 * 0.01, rel=0.2)
    assert four == pytest.approx(one / 2)


def test_the_interval_is_students() -> None:
    assert reach(Noise(4.0, 2), 1 / 3, 0.95) == pytest.approx(4.3027 * 2 / math.sqrt(3), rel=1e-4)


def test_one_seed_has_no_interval_and_no_share_no_width() -> None:
    alone = seed_noise(pool(study(bowl((0.3, 0.3, 0.4)), np.random.default_rng(0), seeds=1)))
    assert reach(alone, 1.0, 0.9) is None
    assert reach(Noise(1.0, 3), 0.0, 0.9) == 0
