"""The surface: it finds what is there, says how well it knows, and proposes what would tell more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compoundnet.errors import RequestError
from compoundnet.search.answers.mixture import expit
from compoundnet.search.answers.networks import Network, pool
from compoundnet.search.answers.simplex import grid
from compoundnet.search.answers.surface import Form, Surface, fewest_networks, fit
from search.answers.synthetic import Truth, bowl, candidate, study, trial

PEAK = (0.25, 0.35, 0.4)


def exact(truth: Truth, factors: tuple[float, ...] = (2.0,), steps: int = 5) -> list[Network]:
    """Networks without any noise."""
    return list(pool(study(truth, np.random.default_rng(0), factors=factors, steps=steps, seeds=1, misfit=0, noise=0)))


def drawn(surface: Surface, n: int = 400) -> np.ndarray:
    return surface.draws(np.random.default_rng(0).standard_normal((len(surface.tried), n)))


@settings(max_examples=25)
@given(st.integers(0, 10), st.integers(0, 10), st.sampled_from([(2.0,), (2.0, 4.0)]))
def test_the_highest_place_of_a_quadratic_is_found_exactly(a: int, b: int, factors: tuple[float, ...]) -> None:
    depth, width = min(a, 10 - b) / 10, b / 10
    peak = (depth, width, 1 - depth - width)
    surface = fit(exact(bowl(peak), factors), Form())
    assert np.abs(surface.maximum() - peak).max() < 0.011
    place, error = surface.predict(peak, "phi 1")
    assert place == pytest.approx(0.8, abs=1e-4)
    assert error.max() < 0.01


def test_several_costs_share_one_shape() -> None:
    """Too few networks at each cost to tell the shape, enough together."""
    everywhere = grid(4)
    outcomes = [
        trial(candidate(tuple(map(float, shares)), factor=f), bowl(PEAK)(shares) + step)
        for f, step, half in ((2.0, 0.0, everywhere[::2]), (4.0, 0.05, everywhere[1::2]))
        for shares in half
    ]
    surface = fit(pool(outcomes))
    assert np.abs(surface.maximum() - PEAK).max() < 0.015
    low, high = (float(surface.predict(PEAK, group)[0][0]) for group in ("phi 1", "phi 2"))
    assert high - low == pytest.approx(0.05, abs=1e-3)


def test_terms_by_group_are_taken_where_they_pay() -> None:
    rng = np.random.default_rng(0)
    same = fit(pool(study(bowl(PEAK), rng, factors=(2.0, 4.0))))
    assert not same.form.by_group
    deep, wide = (0.6, 0.1, 0.3), (0.1, 0.6, 0.3)
    outcomes = [*study(bowl(deep), rng, factors=(2.0,)), *study(bowl(wide), rng, factors=(4.0,))]
    differing = fit(pool(outcomes))
    assert differing.form.by_group
    assert np.abs(differing.group_maximum("phi 1") - deep).max() < 0.06
    assert np.abs(differing.group_maximum("phi 2") - wide).max() < 0.06
    assert np.abs(differing.maximum() - (0.35, 0.35, 0.3)).max() < 0.06


def test_a_slope_on_realised_cost_undoes_what_rounding_did() -> None:
    """Deep networks come out cheaper, and a cheap network is worse, whatever its shares."""
    rng = np.random.default_rng(0)
    networks = []
    for shares in grid(6):
        cost = float(np.log(1 - 0.3 * shares[0] + rng.uniform(-0.1, 0.0)))
        end = bowl(PEAK, 0.05)(shares) + 0.1 * cost
        networks += pool([trial(candidate(tuple(map(float, shares)), realised=float(np.exp(cost))), end)])
    corrected, plain = fit(networks), fit(networks, Form())
    assert corrected.form.cost
    assert np.abs(corrected.maximum() - PEAK).max() < 0.02
    assert plain.maximum()[0] < PEAK[0] - 0.05


def test_the_logit_is_taken_where_it_pays() -> None:
    """A quadratic logit over most of the range of accuracy, at two levels."""

    def steep(level: float) -> Truth:
        return lambda shares: float(expit(np.array(level - 8 * ((shares - np.array(PEAK)) ** 2).sum())))

    rng = np.random.default_rng(0)
    outcomes = [
        *study(steep(2.0), rng, factors=(2.0,), misfit=0.001, noise=0.001),
        *study(steep(3.0), rng, factors=(4.0,), misfit=0.001, noise=0.001),
    ]
    shifted = [o for o in outcomes if o.value is not None and o.value < 1]
    surface = fit(pool(shifted))
    assert surface.form.logit
    assert np.abs(surface.maximum() - PEAK).max() < 0.03
    gain = surface.difference(PEAK, (1.0, 0.0, 0.0), drawn(surface), 0.9)
    assert gain.low < gain.value < gain.high < 1
    plain = fit(pool(study(bowl(PEAK), rng)))
    assert not plain.form.logit


def test_flat_surfaces_are_called_flat_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    flat = [fit(pool(study(bowl(PEAK, 0.0), rng, steps=4)), Form()).flat_p for _ in range(100)]
    assert 0.0 <= np.mean(np.array(flat) < 0.05) <= 0.12
    assert fit(pool(study(bowl(PEAK), rng))).flat_p < 1e-6


@pytest.mark.parametrize("factors", [(2.0,), (2.0, 4.0)])
def test_that_dearer_networks_are_better_is_no_shape(factors: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    studies = [study(bowl(PEAK, 0.0), rng, factors=factors, realised=(0.9, 1.1), by_cost=0.05) for _ in range(40)]
    fits = [fit(pool(outcomes)) for outcomes in studies]
    assert sum(surface.form.cost for surface in fits) > 30
    assert sum(surface.flat_p is not None and surface.flat_p < 0.05 for surface in fits) <= 6  # 2 of 40 on average


@pytest.mark.parametrize(
    ("drop", "networks", "factors"), [(0.12, None, (2.0,)), (0.03, None, (2.0,)), (0.12, 12, (2.0, 4.0))]
)
def test_intervals_hold_the_truth_as_often_as_they_say(
    drop: float, networks: int | None, factors: tuple[float, ...]
) -> None:
    """Of 40 studies at a nominal 90 %, at least 80 % for each share."""
    held = np.zeros(3)
    for seed in range(40):
        outcomes = study(bowl(PEAK, drop), np.random.default_rng(seed), steps=4, networks=networks, factors=factors)
        surface = fit(pool(outcomes), Form())
        low, high = np.quantile(surface.maximisers(drawn(surface, 200)), [0.05, 0.95], axis=0)
        held += (low - 0.011 <= PEAK) & (high + 0.011 >= PEAK)  # a step of the grid either way
    assert held.min() >= 0.8 * 40


def test_the_interval_of_a_difference_allows_for_having_chosen_the_best() -> None:
    """On a flat truth nothing is better than anything: the chosen best may seem so in about one study of ten."""
    claims = 0
    for seed in range(60):
        surface = fit(pool(study(bowl(PEAK, 0.0), np.random.default_rng(seed), steps=4)), Form())
        claims += surface.difference(surface.maximum(), [1 / 3] * 3, drawn(surface), 0.9).low > 0
    assert claims <= 0.2 * 60


def test_a_difference_is_exact_without_noise_and_nothing_against_itself() -> None:
    surface = fit(exact(bowl(PEAK)), Form())
    gain = surface.difference(PEAK, (0, 1, 0), drawn(surface), 0.9)
    assert gain.value == pytest.approx(0.12 * (0.25**2 + 0.65**2 + 0.4**2), abs=1e-4)
    assert gain.high - gain.low < 1e-3
    assert surface.difference(PEAK, PEAK, drawn(surface), 0.9) == (0, 0, 0)


def test_a_noisy_network_counts_less() -> None:
    """What one seed says moves the surface less than what twelve agree on."""
    rng = np.random.default_rng(3)
    base = [o for o in study(bowl(PEAK), rng, misfit=0.0, noise=0.02, seeds=6)]
    where = (0.8, 0.1, 0.1)

    def moved(seeds: int) -> float:
        odd = [trial(candidate(where, seed), 0.765 + rng.normal(0, 0.001)) for seed in range(seeds)]
        before, after = (fit(pool(outcomes), Form()) for outcomes in (base, [*base, *odd]))
        return float(after.predict(where, "phi 1")[0][0] - before.predict(where, "phi 1")[0][0])

    assert 0 < moved(1) < 0.7 * moved(12)


def test_too_few_networks_are_refused() -> None:
    few = exact(bowl(PEAK))[: fewest_networks(1) - 1]
    with pytest.raises(RequestError, match=r"8 networks in 1 group have a final accuracy; .* needs 9"):
        fit(few)


def test_networks_on_a_line_or_all_alike_do_not_break_it() -> None:
    line = [trial(candidate((i / 12, 0.0, 1 - i / 12)), 0.7 + i / 1000) for i in range(12)]
    surface = fit(pool(line))
    assert surface.maximum()[0] == pytest.approx(11 / 12)
    assert np.isfinite(drawn(surface)).all()
    same = fit(pool([trial(candidate(tuple(map(float, s))), 0.7) for s in grid(4)]))
    assert same.flat_p > 0.05
    assert np.isfinite(same.covariance).all()
