"""The front, against comparing every pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet import architecture, cost
from compoundnet.scaling import RULES
from compoundnet.scaling.accuracy import following
from compoundnet.scaling.pareto import pareto_front


@given(st.integers(1, 5).flatmap(lambda k: st.lists(st.tuples(*[st.integers(0, 6)] * k), max_size=60)))
def test_every_pair(rows: list[tuple[int, ...]]) -> None:
    points = np.array(rows, float).reshape(len(rows), -1) if rows else np.empty((0, 2))
    brute = [not any((p <= q).all() and (p < q).any() for p in points) for q in points]
    assert pareto_front(*points.T).tolist() == brute


@pytest.mark.parametrize("objectives", [2, 3])
def test_many_candidates_of_a_network(objectives: int) -> None:
    """More than a block of them, with real costs: nothing on the front is beaten, all else is."""
    draw = np.random.default_rng(0)
    by = [draw.uniform(0.5, 3, 4000) for _ in range(3)]
    costs = cost(architecture("efficientnet_b0"), depth=by[0], width=by[1], resolution=by[2])
    columns = [costs.macs, following(RULES["efficientnet"]).loss(*by), costs.params][:objectives]
    front = pareto_front(*columns)
    points = np.column_stack(columns)
    best = points[front]
    for q, on in zip(points, front, strict=True):
        assert on != bool(((best <= q).all(axis=1) & (best < q).any(axis=1)).any())
