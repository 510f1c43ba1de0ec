"""Sentences on coefficients: support is claimed where there is some, and doubt has its reason."""

from dataclasses import replace
from functools import cache

import numpy as np

from compoundnet.search.answers.coefficients import CoefficientsResult, analyse
from compoundnet.search.answers.coefficients.sentences import answer, doubt, flat, supported, unsupported, warnings
from compoundnet.search.trials import Outcome
from search.answers.synthetic import bowl, candidate, race, study, trial

PEAK = (0.25, 0.35, 0.4)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@cache
def clear() -> CoefficientsResult:
    return analyse(study(bowl(PEAK), np.random.default_rng(0)))


@cache
def level() -> CoefficientsResult:
    return analyse(study(bowl(PEAK, 0.0), np.random.default_rng(0)))


def test_a_clear_surface_is_supported_and_names_its_level() -> None:
    result = clear()
    assert result.surface is not None
    assert not flat(result.surface)
    assert doubt(result) is None
    assert plain(answer(result)).endswith("intervals at 90 %.")
    assert "better than" in supported(result)[1]
    assert "the intervals, at 90 %, take accuracy for a quadratic" in plain(unsupported(result)[0])


def test_a_flat_surface_is_doubted_and_supports_nothing() -> None:
    result = level()
    assert result.surface is not None
    assert flat(result.surface)
    assert "more than chance" in (doubt(result) or "")
    assert supported(result) == ()


def test_too_few_networks_are_doubted_and_no_form_is_claimed() -> None:
    result = analyse(study(bowl(PEAK), np.random.default_rng(0), networks=3))
    assert "too few networks" in (doubt(result) or "")
    assert not any("quadratic" in sentence for sentence in unsupported(result))


def test_stopped_trials_that_nobody_can_estimate_leave_no_interval() -> None:
    """All but four networks were stopped at the first epoch: nothing is known of how they would have ended."""

    def cut(i: int, o: Outcome) -> Outcome:
        return o if i < 4 * 3 else replace(o, state="pruned", value=o.curve[0], curve=o.curve[:1])

    outcomes = [cut(i, o) for i, o in enumerate(study(bowl(PEAK), np.random.default_rng(0)))]
    few = analyse([o for i, o in enumerate(outcomes) if i < 3 or i >= 12])  # one network went to the end
    assert few.surface is None
    assert few.published == ()
    assert few.shares_interval is None
    assert "stopped early" in (doubt(few) or "")
    (sentence,) = [s for s in warnings(few) if s.startswith("Stopped early")]
    assert "Too few went on to say how 51 of them would have ended" in sentence


def test_drawn_ends_are_said_and_the_length_of_training_is_checked_up_to_the_stop() -> None:
    result = analyse(race(bowl(PEAK, 0.1, top=0.7), np.random.default_rng(0), (3,), reduction=2)[0])
    (sentence,) = [s for s in warnings(result) if s.startswith("Stopped early")]
    assert "was drawn from how the others went on" in sentence
    assert "unbiased" not in sentence
    assert "was checked up to epoch 3 only" in sentence
    assert result.training.compared == (1, 3)
    assert result.training.drift is not None and result.training.rank_correlation is not None


def test_without_a_surface_the_edge_is_said_too() -> None:
    places = [(1.0, 0.0, 0.0), (0.4, 0.3, 0.3), (0.2, 0.4, 0.4)]
    few = analyse([trial(candidate(shares), 0.8 + 0.1 * shares[0]) for shares in places])
    assert few.surface is None
    assert few.shares == (1.0, 0.0, 0.0)
    assert any(said.startswith("On the edge: the best rule leaves width and resolution") for said in warnings(few))


def test_that_the_length_of_training_could_not_be_checked_is_said() -> None:
    outcomes = study(bowl(PEAK), np.random.default_rng(0))
    assert analyse(outcomes).training.compared == (6, 12)
    assert not any("could not be checked" in said for said in warnings(analyse(outcomes)))
    stopped = [replace(outcomes[0], state="pruned", value=outcomes[0].curve[0], curve=outcomes[0].curve[:1])]
    assert any("could not be checked" in said for said in warnings(analyse([*stopped, *outcomes[1:]])))


def test_networks_that_never_came_to_the_end_are_named() -> None:
    result = analyse(race(bowl(PEAK, 0.4, top=0.7), np.random.default_rng(0), (6,), reduction=2)[0])
    never = [network for network in result.networks if not network.values]
    assert 0 < len(never) < 12
    (sentence,) = [s for s in warnings(result) if s.startswith("Stopped early")]
    assert f"{len(never)} networks of 21 never came to the end" in sentence


def test_a_ranking_that_changes_before_the_first_stop_is_said() -> None:
    """Deep networks are slow at first; halving stops them, and their curves up to there tell of it."""
    rng = np.random.default_rng(0)
    outcomes = [
        replace(o, curve=tuple(c - 0.3 * o.candidate.tags["shares"][0] * max(0, 4 - e) for e, c in enumerate(o.curve)))
        for o in study(bowl((0.8, 0.1, 0.1), drop=0.3), rng)
    ]
    cut = [
        replace(o, state="pruned", value=o.curve[5], curve=o.curve[:6]) if i % 3 == 2 and i > 30 else o
        for i, o in enumerate(outcomes)
    ]
    result = analyse(cut)
    assert result.training.compared == (3, 6)
    assert any("from epoch 3 to epoch 6 the best share shifted" in said for said in warnings(result))
