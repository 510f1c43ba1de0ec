"""Proposals: they go where accuracy is high or unknown, and a study that was killed decides the same again."""

import numpy as np

from compoundnet.search.answers.simplex import grid
from compoundnet.search.propose import next_points
from compoundnet.search.trials import Candidate, Outcome
from search.answers.synthetic import bowl, candidate, study, trial

PEAK = (0.25, 0.35, 0.4)


def candidates(steps: int = 8, seeds: int = 2, factor: float = 2.0) -> list[Candidate]:
    return [candidate(tuple(map(float, shares)), seed, factor) for seed in range(seeds) for shares in grid(steps)]


def test_proposals_go_where_it_is_high_or_unknown_and_bring_every_seed() -> None:
    outcomes = study(bowl(PEAK), np.random.default_rng(0), steps=4)
    chosen = next_points(outcomes, candidates(), 3)
    assert len(chosen) == 6
    assert len({c.network for c in chosen}) == 3
    assert not {c.network for c in chosen} & {o.candidate.network for o in outcomes}
    away = [np.linalg.norm(np.array(c.tags["shares"]) - PEAK) for c in chosen]
    assert max(away) < 0.3


def test_a_flat_surface_is_explored() -> None:
    """Tried in one corner only: what is proposed lies outside of it."""
    near = [s for s in grid(10) if s[0] >= 0.6]
    rng = np.random.default_rng(0)
    outcomes = [trial(candidate(tuple(map(float, s))), 0.7 + rng.normal(0, 0.003)) for s in near]
    chosen = next_points(outcomes, candidates(seeds=1), 2)
    assert all(c.tags["shares"][0] < 0.3 for c in chosen)


def test_proposals_are_a_pure_function() -> None:
    outcomes = study(bowl(PEAK), np.random.default_rng(0), steps=4)
    waiting = candidates()
    before = list(waiting)
    assert next_points(outcomes, waiting, 4) == next_points(list(outcomes), waiting, 4)
    assert waiting == before
    assert next_points(outcomes, waiting, 4)[:4] == next_points(outcomes, waiting, 2)


def test_without_a_surface_the_triangle_is_filled() -> None:
    chosen = next_points([], candidates(seeds=1), 4)
    places = [tuple(c.tags["shares"]) for c in chosen]
    assert places[0] == (0.375, 0.375, 0.25) or max(places[0]) <= 0.375
    assert set(places[1:]) == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    tried = [Outcome(candidate=c, state="failed", value=None) for c in chosen]
    assert not {c.network for c in next_points(tried, candidates(seeds=1), 3)} & {c.network for c in chosen}


def test_proposals_end_with_the_candidates() -> None:
    outcomes = study(bowl(PEAK), np.random.default_rng(0), steps=4)
    assert next_points(outcomes, [o.candidate for o in outcomes], 3) == ()
    assert len(next_points(outcomes, candidates(steps=5, seeds=1), 100)) == 21 - 3
    other_cost = next_points(outcomes, candidates(seeds=1, factor=4.0), 1)
    assert other_cost[0].group == "phi 2"
