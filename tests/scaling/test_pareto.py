"""The front, against comparing every pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet import architecture, cost
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES
from compoundnet.scaling.accuracy import following
from compoundnet.scaling.pareto import pareto_front


@given(st.integers(1, 5).flatmap(lambda k: st.lists(st.tuples(*[st.integers(0, 6)] * k), max_size=60)))
def test_every_pair(rows: list[tuple[int, ...]]) -> None:
    points = np.array(rows, float).reshape(len(rows), -1) if rows else np.empty((0, 2))
    brute = [not any((p <= q).all() and (p < q).any() for p in points) for q in points]
    assert pareto_front(*points.T).tolist() == brute


@pytest.mark.parametrize("objectives", [1, 2, 3])
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


def test_a_front_of_more_than_a_block() -> None:
    """Every candidate is on it, or all but copies shifted upward."""
    line = np.arange(3000.0)
    assert pareto_front(line, -line).all()
    front = pareto_front(np.append(line, line + 0.5), np.append(-line, -line + 0.5))
    assert front.tolist() == [True] * 3000 + [False] * 3000


def test_equal_candidates_stay_together() -> None:
    column = np.repeat([1.0, 2.0], 2000)
    assert pareto_front(column, column).tolist() == [True] * 2000 + [False] * 2000


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        ((), "shapes none"),
        (([1, 2], [1, 2, 3]), r"shapes \(2,\), \(3,\)"),
        (([[1, 2]],), r"shapes \(1, 2\)"),
        ((3,), r"shapes \(\)"),
        (([1, float("nan")],), "holds NaN"),
        ((["a", "b"],), "no column of numbers"),
        (([10**400],), "no column of numbers"),
    ],
)
def test_what_is_no_column(objectives: tuple[object, ...], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        pareto_front(*objectives)  # type: ignore[arg-type]
