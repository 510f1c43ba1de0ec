"""The regression behind the surface: its columns, its weights, and what is left over."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.search.answers.mixture import Form, Responses, design, expit, misfit_variance, observe, solve
from compoundnet.search.answers.networks import pool
from compoundnet.search.answers.simplex import grid
from search.answers.synthetic import bowl, candidate, study, trial

FORMS = [Form(cost=cost, by_group=by_group) for cost in (False, True) for by_group in (False, True)]


def responses(response: np.ndarray, noise: float) -> Responses:
    n = len(response)
    return Responses(grid(5), np.zeros(n, np.int64), np.zeros(n), response, np.full(n, noise), None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("groups", [1, 3])
def test_a_form_has_the_coefficients_that_it_says(form: Form, groups: int) -> None:
    rng = np.random.default_rng(0)
    shares = np.concatenate([grid(5)] * groups)
    group = np.repeat(np.arange(groups), len(grid(5)))
    columns = design(shares, group, rng.normal(size=len(shares)), groups, form)
    assert np.linalg.matrix_rank(columns) == form.coefficients(groups)


@given(st.floats(0.001, 0.999))
def test_the_logit_is_undone(accuracy: float) -> None:
    networks = pool([trial(candidate((0.2, 0.3, 0.5)), accuracy)])
    seen = observe(networks, ["phi 1"], Form(logit=True))
    assert expit(seen.response)[0] == pytest.approx(accuracy)


def test_more_seeds_are_less_noise() -> None:
    outcomes = study(bowl((0.3, 0.3, 0.4)), np.random.default_rng(0), noise=0.01)
    seen = observe(pool([*outcomes, trial(candidate((0.21, 0.29, 0.5)), 0.7)]), ["phi 1"], Form())
    assert seen.seed_noise == pytest.approx(0.01, rel=0.25)
    assert seen.noise[0] == pytest.approx(seen.noise[-1] / 3)


def test_realised_cost_is_a_logarithm_and_0_where_unknown() -> None:
    some = [
        trial(candidate((0.2, 0.3, 0.5), realised=0.9), 0.7),
        trial(candidate((0.3, 0.3, 0.4), macs_factor=None), 0.7),
    ]
    assert observe(pool(some), ["phi 1"], Form()).cost == pytest.approx([np.log(0.9), 0])


def test_a_wide_prior_changes_nothing_that_the_data_decide() -> None:
    rng = np.random.default_rng(0)
    columns = design(grid(5), np.zeros(21, np.int64), np.zeros(21), 1, Form())
    response = rng.normal(size=21)
    fitted = columns @ (solve(columns, np.full(21, 1e4), 1, 1.0) @ (columns.T @ (1e4 * response)))
    assert fitted == pytest.approx(columns @ np.linalg.lstsq(columns, response, rcond=None)[0], abs=1e-3)


@pytest.mark.parametrize("deviation", [0.0, 0.01])
def test_misfit_is_what_the_noise_does_not_explain(deviation: float) -> None:
    columns = design(grid(5), np.zeros(21, np.int64), np.zeros(21), 1, Form())
    rng, found = np.random.default_rng(0), []
    for _ in range(40):
        seen = responses(rng.normal(0, np.hypot(deviation, 0.005), 21), 0.005**2)
        found.append(misfit_variance(columns, seen, 1, 0.05))
    assert np.mean(found) == pytest.approx(deviation**2, abs=1e-5)
    assert min(found) >= 0
