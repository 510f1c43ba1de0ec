"""Coefficients: the rule is right, its interval honest, and every warning comes when it should and only then."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Rule
from compoundnet.search.answers.coefficients import CoefficientsResult, analyse
from compoundnet.search.trials import Outcome
from search.answers.synthetic import bowl, candidate, study, trial

PEAK = (0.25, 0.35, 0.4)

# A word that only the one warning has.
WARNINGS = {
    "few networks": "Too few networks",
    "flat": "more than chance",
    "published": "not shown to be better",
    "edge": "On the edge",
    "groups": "differ between groups",
    "short": "too short to trust",
    "seeds": "Too few seeds",
    "pruned": "Stopped early",
    "failed": "Failed",
    "untested": "Not tested",
    "costs": "from what was asked",
}


def clean(seed: int = 0, **changes: Any) -> list[Outcome]:
    """A study that deserves no warning."""
    return study(bowl(PEAK), np.random.default_rng(seed), **changes)


def said(result: CoefficientsResult) -> set[str]:
    found = {name for name, words in WARNINGS.items() if any(words in sentence for sentence in result.warnings)}
    assert len(found) == len(result.warnings)  # each sentence is known, and comes once
    return found


def halve(outcomes: Sequence[Outcome], epochs: int = 3) -> list[Outcome]:
    """As successive halving would have it: of each group and seed the best third goes on."""
    out = []
    for group, seed in sorted({(o.candidate.group, o.candidate.seed) for o in outcomes}):
        mates = [o for o in outcomes if (o.candidate.group, o.candidate.seed) == (group, seed)]
        ranked = sorted(mates, key=lambda o: -o.curve[epochs - 1])
        out += ranked[: len(ranked) // 3]
        out += [
            replace(o, state="pruned", value=o.curve[epochs - 1], curve=o.curve[:epochs])
            for o in ranked[len(ranked) // 3 :]
        ]
    return out


def test_a_clean_study_is_answered_without_a_warning() -> None:
    result = analyse(clean())
    assert said(result) == set()
    assert np.abs(np.array(result.shares) - PEAK).max() < 0.05
    truth = Rule(depth=0.25, width=0.35, resolution=0.4).coefficients
    assert result.coefficients_interval is not None
    for interval, coefficient, exact in zip(result.coefficients_interval, result.rule.coefficients, truth, strict=True):
        assert interval.low <= exact <= interval.high
        assert interval.low <= coefficient <= interval.high
    assert result.answer.replace("\u00a0", " ").startswith("Of a doubled cost, depth takes 2")


def test_shares_and_coefficients_say_the_same_at_any_factor() -> None:
    for factor in (2.0, 3.0):
        result = analyse(clean(), factor=factor)
        assert result.rule.factor == factor
        assert result.shares_interval is not None
        assert result.coefficients_interval is not None
        for axis, power in enumerate((1, 0.5, 0.5)):
            ends = [factor ** (power * end) for end in result.shares_interval[axis]]
            assert list(result.coefficients_interval[axis]) == pytest.approx(ends)
    with pytest.raises(RequestError, match="factor is 1"):
        analyse(clean(), factor=1.0)


def test_the_same_outcomes_give_the_same_result_in_any_order() -> None:
    outcomes = clean()
    first, again = analyse(outcomes).to_json(), analyse(outcomes).to_json()
    assert first == again
    turned = analyse(outcomes[::-1]).to_json()
    assert turned["rule"]["depth"] == pytest.approx(first["rule"]["depth"], abs=0.011)


def test_one_phi_or_several() -> None:
    result = analyse(clean(factors=(2.0, 4.0), steps=4))
    assert said(result) == set()
    assert {network.group for network in result.best} == {"phi 1", "phi 2"}


def test_json_is_the_rule_again_and_has_no_nan() -> None:
    for outcomes in (clean(), clean(networks=2), clean(seeds=1), halve(clean())):
        result = analyse(outcomes)
        text = json.dumps(result.to_json(), allow_nan=False)
        assert Rule(**json.loads(text)["rule"]) == result.rule


def test_duplicates_do_not_count_twice() -> None:
    outcomes = clean()
    assert analyse([*outcomes, *outcomes]).to_json() == analyse(outcomes).to_json()


def test_the_baseline_has_no_place_on_the_triangle() -> None:
    outcomes = clean()
    base = trial(replace(candidate((1 / 3, 1 / 3, 1 / 3), factor=1.0), group="x1"), 0.5)
    assert analyse([base, *outcomes]).to_json() == analyse(outcomes).to_json()


def test_the_table_has_nominal_and_realised_cost_side_by_side() -> None:
    result = analyse(clean())
    rows = result.table()
    assert len(rows) == 21
    assert all(row["nominal_factor"] == 2 and 1.95 < row["macs_factor"] <= 2 and row["seeds"] == 3 for row in rows)
    assert [row["accuracy"] for row in rows] == sorted((row["accuracy"] for row in rows), reverse=True)
    assert all(row["accuracy_standard_error"] > 0 for row in rows)
    assert rows[0]["network"] == result.best[0].name


def test_the_best_network_is_not_one_lucky_seed() -> None:
    lucky = trial(candidate((0.9, 0.05, 0.05)), 0.99)
    result = analyse([*clean(), lucky])
    assert result.best[0].name != lucky.candidate.network
    assert result.table()[0]["network"] == lucky.candidate.network  # but the table hides nothing


def test_published_rules_are_compared() -> None:
    result = analyse(clean())
    gains = {other.name: other.gain for other in result.published}
    assert set(gains) == set(RULES)
    exact = {
        name: 0.12 * sum((a - b) ** 2 for a, b in zip(PEAK, shares(rule), strict=True)) for name, rule in RULES.items()
    }
    for name, gain in gains.items():
        assert gain.low - 0.002 <= exact[name] <= gain.high + 0.002
    assert gains["depth"].low > 0.05


def shares(rule: Rule) -> tuple[float, float, float]:
    return rule.depth, rule.width, rule.resolution


def test_a_flat_surface_is_called_flat_and_nothing_else_is_made_of_it() -> None:
    for seed in range(3):
        result = analyse(study(bowl(PEAK, 0.0), np.random.default_rng(seed)))
        assert said(result) == {"flat"}
        assert result.answer.startswith("The data do not show that any shares are better than others.")
        assert result.shares_interval is not None
        assert max(high - low for low, high in result.shares_interval) > 0.5


def test_rules_within_noise_are_named_unless_they_are_the_answer() -> None:
    weak = study(bowl(PEAK, 0.02), np.random.default_rng(0), halfway=bowl(PEAK, 0.02, top=0.795))
    (sentence,) = [s for s in analyse(weak).warnings if "not shown to be better" in s]
    assert "efficientnet_x_gpu" in sentence
    assert "uniform" not in sentence  # less than a tenth away on every axis: the same rule
    assert "depth" not in sentence  # clearly worse
    near = tuple(shares(RULES["efficientnet"]))
    strong = analyse(study(bowl(near), np.random.default_rng(0)))
    assert not any("efficientnet" in s for s in strong.warnings)


@pytest.mark.parametrize("peak", [(1.0, 0.0, 0.0), (0.0, 0.5, 0.5), (-0.3, 0.6, 0.7)])
def test_an_answer_on_the_edge_of_the_triangle_is_said(peak: tuple[float, float, float]) -> None:
    result = analyse(study(bowl(peak), np.random.default_rng(0)))
    assert "edge" in said(result)


def test_an_answer_on_the_edge_of_what_was_tried_is_said() -> None:
    """Nothing deep was tried, and deep would be best."""
    outcomes = [
        o for o in study(bowl((0.7, 0.1, 0.2)), np.random.default_rng(0)) if o.candidate.tags["shares"][0] < 0.5
    ]
    result = analyse(outcomes)
    assert said(result) == {"edge"}
    assert "depth 0.00–0.40" in next(iter(result.warnings))
    assert result.rule.depth == pytest.approx(0.4, abs=0.01)
    outside = {other.name for other in result.published if other.extrapolated}
    assert "depth" in outside
    assert "uniform" not in outside


def test_groups_that_differ_are_said() -> None:
    rng = np.random.default_rng(0)
    outcomes = [
        *study(bowl((0.6, 0.2, 0.2)), rng, factors=(2.0,)),
        *study(bowl((0.2, 0.6, 0.2)), rng, factors=(4.0,)),
    ]
    assert "groups" in said(analyse(outcomes))


def test_curves_that_cross_are_said() -> None:
    """Width wins at half the epochs, depth at the end."""
    deep, wide = (0.5, 0.2, 0.3), (0.1, 0.6, 0.3)
    result = analyse(study(bowl(deep), np.random.default_rng(0), halfway=bowl(wide, top=0.77)))
    assert said(result) == {"short"}
    (sentence,) = result.warnings
    assert "that of depth moved by +0.3" in sentence
    assert "Spearman" in sentence
    assert result.training.halfway == pytest.approx(wide, abs=0.06)
    assert result.training.rank_correlation is not None
    assert result.training.rank_correlation < 0.5


def test_a_ranking_that_only_noise_shuffles_is_not_blamed_on_short_training() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        result = analyse(study(bowl(PEAK, 0.0), rng, halfway=bowl(PEAK, 0.0, top=0.77)))
        assert said(result) == {"flat"}


def test_accuracy_that_still_climbs_is_said() -> None:
    steep = [trial(o.candidate, o.value or 0.0, halfway=0.1) for o in clean()]
    result = analyse(steep)
    assert result.training.rise is not None
    assert result.training.rise > 0.1
    assert said(result) == {"short"}
    assert "still rose" in result.warnings[0]


def test_trainings_of_few_epochs_or_without_curves_are_said() -> None:
    short = [trial(o.candidate, o.value or 0.0, epochs=2) for o in clean()]
    assert said(analyse(short)) == {"short"}
    bare = [replace(o, curve=()) for o in clean()]
    assert said(analyse(bare)) == {"short"}


@pytest.mark.parametrize(("seeds", "warned"), [(1, True), (2, True), (3, False), (5, False)])
def test_few_seeds_are_said(seeds: int, warned: bool) -> None:
    assert ("seeds" in said(analyse(clean(seeds=seeds)))) == warned


def test_stopped_trials_are_said_and_do_not_move_the_answer() -> None:
    result = analyse(halve(clean()))
    assert "pruned" in said(result)
    assert "42 of 63 trials" in next(s for s in result.warnings if "Stopped" in s)
    assert np.abs(np.array(result.shares) - PEAK).max() < 0.06
    assert sum(row["pruned"] for row in result.table()) == 42


def test_failed_trials_are_said_and_count_for_nothing() -> None:
    broken = [replace(o, state="failed", value=None, curve=()) for o in clean(seed=1)[:2]]
    kept = clean()[2:]
    result = analyse([*kept, *broken])
    assert said(result) == {"failed"}
    assert result.rule == analyse(kept).rule


@pytest.mark.parametrize(("least", "warned"), [(0.98, False), (0.85, True)])
def test_unequal_realised_costs_are_said(least: float, warned: bool) -> None:
    assert ("costs" in said(analyse(clean(realised=(least, 1.0))))) == warned


@pytest.mark.parametrize("networks", [1, 2, 3, 8])
def test_few_networks_give_the_best_of_them_without_an_interval(networks: int) -> None:
    outcomes = clean(networks=networks)
    result = analyse(outcomes)
    assert said(result) == {"few networks"} | ({"edge"} if min(result.shares) == 0 else set())
    assert result.shares_interval is None
    assert result.surface is None
    best = max(result.networks, key=lambda network: network.mean or 0)
    assert result.shares == pytest.approx(best.shares)
    assert f"best of {networks} network" in result.answer
    assert len(result.table()) == networks


def test_nine_networks_give_a_surface() -> None:
    assert analyse(clean(networks=9)).shares_interval is not None


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_without_any_training_to_the_end_there_is_no_answer(state: Any) -> None:
    outcomes = [replace(o, state=state, value=None if state == "failed" else 0.5) for o in clean()]
    with pytest.raises(RequestError, match="of 21 networks none was trained to the end"):
        analyse(outcomes)


def test_no_outcomes_are_refused() -> None:
    with pytest.raises(RequestError, match="no trial has ended"):
        analyse([])
