"""Successive halving: the rungs, the best share of those who came as far, and agreement with Optuna's pruner."""

import math

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.pruners import SuccessiveHalvingPruner

from compoundnet.errors import RequestError
from compoundnet.search.engine.database import quiet
from compoundnet.search.engine.halving import gives_up

NUMBERS = st.floats(0, 1) | st.sampled_from([0.25, 0.5])
VALUES = NUMBERS | st.just(math.nan)
CURVES = st.lists(VALUES, min_size=1, max_size=20)
MANY = 1000  # epochs of a whole trial: none of these is near its end


def given_up(value: float, others: list[float], factor: int = 3) -> bool:
    return gives_up([value], [[other] for other in others], min_epochs=1, factor=factor, epochs=MANY)


def test_the_first_to_come_goes_on() -> None:
    assert not given_up(0.0, [])


def test_the_best_third_goes_on() -> None:
    others = [i / 10 for i in range(8)]  # nine with itself: three go on
    assert [given_up(value, others) for value in (0.8, 0.7, 0.6, 0.51, 0.5)] == [False] * 5  # ties go on
    assert [given_up(value, others) for value in (0.49, 0.4, 0.0)] == [True] * 3


def test_of_few_one_goes_on() -> None:
    assert [given_up(value, [0.5]) for value in (0.4, 0.5, 0.6)] == [True, False, False]


@pytest.mark.parametrize(("min_epochs", "factor"), [(1, 2), (2, 3), (5, 2), (4, 4)])
def test_it_is_judged_at_rungs_only(min_epochs: int, factor: int) -> None:
    better = [[1.0] * 100]
    rungs = {min_epochs * factor**k for k in range(8)}
    for epochs in range(1, 100):
        judged = gives_up([0.0] * epochs, better, min_epochs=min_epochs, factor=factor, epochs=MANY)
        assert judged == (epochs in rungs)


def test_who_has_come_to_the_end_has_nothing_to_give_up() -> None:
    curve, others = [0.1] * 10, [[0.9] * 10] * 9
    assert gives_up(curve, others, min_epochs=5, factor=2, epochs=11)
    assert not gives_up(curve, others, min_epochs=5, factor=2, epochs=10)


def test_only_those_who_came_as_far_count() -> None:
    curve = [0.1, 0.5]
    assert not gives_up(curve, [[0.9], [0.9], []], min_epochs=2, factor=2, epochs=MANY)
    assert not gives_up(curve, [[0.9, 0.4, 0.9]], min_epochs=2, factor=2, epochs=MANY)
    assert gives_up(curve, [[0.0, 0.6, 0.0]], min_epochs=2, factor=2, epochs=MANY)


def test_nothing_seen_is_no_reason() -> None:
    assert not gives_up([], [[0.5]], min_epochs=1, factor=2, epochs=MANY)


def test_no_number_gives_up_and_is_below_every_number() -> None:
    assert given_up(math.nan, [])
    assert given_up(math.nan, [math.nan])
    assert not given_up(0.0, [math.nan] * 9)
    assert not given_up(-math.inf, [math.nan] * 2)


@given(curve=CURVES, others=st.lists(CURVES, max_size=12), min_epochs=st.integers(1, 4), factor=st.integers(2, 4))
def test_the_share_that_goes_on(curve: list[float], others: list[list[float]], min_epochs: int, factor: int) -> None:
    """If all who came as far were judged now, at least one and at least 1 / factor of them would go on."""
    epochs = len(curve)
    arrived = [each[:epochs] for each in (curve, *others) if len(each) >= epochs]
    numbers = [each for each in arrived if not math.isnan(each[-1])]
    assume(numbers)
    stay = 0
    for i, each in enumerate(arrived):
        stay += not gives_up(each, arrived[:i] + arrived[i + 1 :], min_epochs=min_epochs, factor=factor, epochs=MANY)
    at_rung = any(min_epochs * factor**k == epochs for k in range(10))
    assert stay == len(arrived) if not at_rung else stay >= min(len(numbers), max(1, len(arrived) // factor))
    distinct = len({each[-1] for each in numbers}) == len(numbers)
    if at_rung and distinct and len(numbers) == len(arrived):
        assert stay == max(1, len(arrived) // factor)


@settings(max_examples=40)
@given(
    curves=st.lists(st.lists(NUMBERS, min_size=8, max_size=8), min_size=1, max_size=10),
    min_epochs=st.integers(1, 3),
    factor=st.integers(2, 4),
)
def test_it_decides_as_optunas_pruner(curves: list[list[float]], min_epochs: int, factor: int) -> None:
    """One trial after the other, each as far as it gets."""
    pruner = SuccessiveHalvingPruner(min_resource=min_epochs, reduction_factor=factor)
    with quiet():
        theirs = optuna.create_study(direction="maximize", pruner=pruner)
    ours: list[list[float]] = []
    for curve in curves:
        trial = theirs.ask({"x": FloatDistribution(0, 1)})
        ours.append([])
        for epoch, value in enumerate(curve, 1):
            trial.report(value, epoch)
            ours[-1].append(value)
            stops = gives_up(ours[-1], ours[:-1], min_epochs=min_epochs, factor=factor, epochs=MANY)
            assert stops == trial.should_prune()
            if stops:
                break
        theirs.tell(trial, state=optuna.trial.TrialState.FAIL)


@pytest.mark.parametrize(("min_epochs", "factor"), [(0, 3), (-1, 3), (1, 1), (1, 0), (1.5, 2), (1, 2.5)])
def test_settings_that_make_no_sense(min_epochs: int, factor: int) -> None:
    with pytest.raises(RequestError, match="must be"):
        gives_up([0.5], [], min_epochs=min_epochs, factor=factor, epochs=MANY)
