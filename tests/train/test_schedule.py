"""The learning rate over a training: known points, and bounds for every recipe."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.train import Recipe
from compoundnet.train.schedule import cosine, rate_factor


def test_cosine_at_known_points() -> None:
    assert [cosine(step, 12) for step in (0, 3, 4, 6, 8, 12)] == pytest.approx(
        [1, (2 + math.sqrt(2)) / 4, 0.75, 0.5, 0.25, 0]
    )
    assert cosine(0, 0) == 1


def test_warmup_then_cosine() -> None:
    """10 steps an epoch, 5 epochs, one of warm-up: k/11, then half a cosine over the other 40 steps."""
    recipe = Recipe(warmup_epochs=1)
    factors = [rate_factor(step, 10, 5, recipe) for step in range(50)]
    assert factors[:10] == pytest.approx([k / 11 for k in range(1, 11)])
    assert factors[10] == 1
    assert factors[30] == pytest.approx(0.5)
    assert factors[49] == pytest.approx(0.5 * (1 + math.cos(math.pi * 39 / 40)))
    assert max(factors) == factors[10]


def test_warmup_takes_at_most_half() -> None:
    recipe = Recipe(warmup_epochs=100)
    factors = [rate_factor(step, 4, 2, recipe) for step in range(8)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert factors[4:] == sorted(factors[4:], reverse=True)


def test_no_warmup_begins_at_the_peak() -> None:
    assert rate_factor(0, 10, 5, Recipe(warmup_epochs=0)) == 1


def test_staircase_counts_from_step_0() -> None:
    """tensorflow/tpu: 0.97 every 2.4 epochs, floored, the warm-up inside the first stair."""
    recipe = Recipe(schedule="step", warmup_epochs=1)
    factors = [rate_factor(step, 10, 20, recipe) for step in range(200)]
    assert factors[9] == pytest.approx(10 / 11)
    assert factors[10] == factors[23] == 1
    assert factors[24] == factors[47] == pytest.approx(0.97)
    assert factors[48] == pytest.approx(0.97**2)
    assert factors[199] == pytest.approx(0.97 ** (199 // 24))


def test_staircase_without_stairs() -> None:
    recipe = Recipe(schedule="step", step_epochs=0, warmup_epochs=0)
    assert {rate_factor(step, 3, 4, recipe) for step in range(12)} == {1.0}


@given(
    recipe=st.builds(
        Recipe,
        schedule=st.sampled_from(["cosine", "step"]),
        warmup_epochs=st.floats(0, 50),
        step_epochs=st.floats(0, 50),
        step_decay=st.floats(0, 1),
    ),
    steps=st.integers(1, 50),
    epochs=st.integers(1, 30),
    share=st.floats(0, 1, exclude_max=True),
)
def test_always_a_share_and_never_0_before_the_end(recipe: Recipe, steps: int, epochs: int, share: float) -> None:
    step = int(share * steps * epochs)
    factor = rate_factor(step, steps, epochs, recipe)
    assert 0 <= factor <= 1
    if recipe.schedule == "cosine":
        assert factor > 0
    if step:
        assert rate_factor(0, steps, epochs, recipe) > 0
