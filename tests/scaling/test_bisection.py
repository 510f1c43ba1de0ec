"""Many bisections at once find what looking at every index finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.scaling.bisection import first_index


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-3, 25)), max_size=30))
def test_finds_the_first_index_that_holds(searches: list[tuple[int, int]]) -> None:
    low, threshold = (np.array([s[i] for s in searches], int) for i in (0, 1))
    found = first_index(lambda i, at: at >= threshold[i], low, 20)
    assert found.tolist() == [next((at for at in range(a, 20) if at >= b), 20) for a, b in searches]


def test_looks_only_at_what_is_still_open() -> None:
    asked: list[int] = []

    def holds(i: np.ndarray, at: np.ndarray) -> np.ndarray:
        asked.extend(i.tolist())
        return at >= 0

    assert first_index(holds, np.array([5, 0]), 5).tolist() == [5, 0]
    assert set(asked) == {1}
