"""Axes: means, intervals and differences are those of the textbooks, and no sentence says more than they do."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from compoundnet.errors import RequestError
from compoundnet.search.answers.axes import AxesResult, compare
from compoundnet.search.trials import Outcome
from search.answers.synthetic import axes_study

GAINS = {"depth": (0.02, 0.03), "width": (0.03, 0.05), "resolution": (0.03, 0.05), "compound": (0.06, 0.10)}
EQUAL = {rule: (0.03, 0.05) for rule in GAINS}


def clear(seed: int = 0, **changes: Any) -> list[Outcome]:
    return axes_study(GAINS, np.random.default_rng(seed), noise=0.002, **changes)


def values(outcomes: list[Outcome], group: str, rule: str) -> list[float]:
    return [
        o.value
        for o in outcomes
        if o.value is not None and (o.candidate.group, o.candidate.tags["rule"]) == (group, rule)
    ]


def text(result: AxesResult) -> str:
    return " ".join([result.answer, *result.sentences, *result.warnings]).replace("\u00a0", " ")


def pooled(outcomes: list[Outcome]) -> tuple[float, int]:
    """Variance of one training, and its degrees of freedom, as an analysis of variance has them."""
    together: dict[tuple[str, str], list[float]] = {}
    for o in outcomes:
        together.setdefault((o.candidate.group, o.candidate.tags["rule"]), []).append(o.value or 0.0)
    freedom = sum(len(v) - 1 for v in together.values())
    return sum(float(np.var(v, ddof=1)) * (len(v) - 1) for v in together.values()) / freedom, freedom


def test_means_and_intervals_have_the_pooled_noise() -> None:
    outcomes = clear()
    variance, freedom = pooled(outcomes)
    for row in compare(outcomes).rows:
        mine = values(outcomes, row.group, row.rule)
        ends = stats.t.interval(0.95, freedom, np.mean(mine), np.sqrt(variance / 3))
        assert (row.accuracy, row.low, row.high) == pytest.approx((np.mean(mine), *ends))
        assert row.seeds == 3


def test_differences_have_the_pooled_noise() -> None:
    outcomes = clear()
    result = compare(outcomes)
    variance, freedom = pooled(outcomes)
    assert len(result.contrasts) == 6
    for contrast in (*result.contrasts, *result.overall):
        costs = ["x2", "x4"] if contrast.group is None else [contrast.group]
        one, two = ([values(outcomes, g, rule) for g in costs] for rule in (contrast.rule, contrast.other))
        reach = stats.t.ppf(0.975, freedom) * np.sqrt(variance * 2 / 3 / len(costs))
        value = np.mean(one) - np.mean(two)
        assert (contrast.value, contrast.low, contrast.high) == pytest.approx((value, value - reach, value + reach))
        assert contrast.costs == len(costs)


def test_the_mean_over_costs_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        result = compare(axes_study(GAINS, np.random.default_rng(seed), noise=0.01))
        mean = next(c for c in result.overall if c.other == "depth")
        assert mean.low is not None
        assert mean.high is not None
        held += mean.low <= 0.055 <= mean.high
    assert 88 <= held <= 100


def test_a_clear_winner_is_said_with_its_margin() -> None:
    result = compare(clear())
    assert result.answer.startswith(
        "compound scaling beats each axis alone at equal realised MACs, averaged over 2 costs"
    )
    assert re.search(r"x2: compound beats depth by [34]\.\d points \(\d\.\d–\d\.\d\)", text(result))
    assert "cannot be told" not in text(result)


def test_no_winner_is_said_where_there_is_none() -> None:
    """At 95 % of single comparisons; of studies, most say nothing at all."""
    results = [compare(axes_study(EQUAL, np.random.default_rng(seed), noise=0.004)) for seed in range(40)]
    told = [c for result in results for c in result.contrasts if c.low is not None and c.low * (c.high or 0) > 0]
    assert len(told) / (6 * 40) < 0.1
    silent = [r for r in results if r.answer.startswith("The data do not tell compound scaling from depth, width or")]
    assert len(silent) > 30
    assert "at 3 seeds" in text(silent[0])


def test_a_loss_is_said_too() -> None:
    gains = {**EQUAL, "resolution": (0.08, 0.12)}
    result = compare(axes_study(gains, np.random.default_rng(0), noise=0.002))
    assert result.answer.startswith("Scaling resolution alone beats compound by ")
    assert "compound cannot be told from depth" in text(result)
    assert re.search(r"x4: compound .*loses to resolution by [67]\.\d points", text(result))


def test_a_win_over_some_is_not_a_win_over_all() -> None:
    gains = {**GAINS, "resolution": GAINS["compound"]}
    answer = compare(axes_study(gains, np.random.default_rng(0), noise=0.002)).answer
    assert answer.startswith("compound scaling beats depth and width alone")
    assert "but is not told from resolution (the clearest of 3 comparisons, each at 95" in answer


def test_one_seed_has_no_interval_and_no_verdict() -> None:
    result = compare(clear(seeds=1))
    assert all(row.low is None for row in result.rows)
    assert all(contrast.low is None for contrast in result.contrasts)
    assert "One seed only" in text(result)
    assert "from too few seeds for an interval" in text(result)
    assert " beats " not in text(result)
    json.dumps(result.to_json(), allow_nan=False)


def test_unequal_realised_costs_are_priced_by_the_rules_own_slope() -> None:
    assert "unequal" not in text(compare(clear()))
    result = compare(clear(realised={"depth": 0.9}))
    assert "x2, depth has 9 % fewer MACs than compound, worth +0." in text(result)
    assert "width has" not in text(result)


@pytest.mark.parametrize(
    ("realised", "said"),
    [
        (0.99, "at equal realised MACs"),
        (0.85, "at realised MACs up to 16 % apart"),
        (None, "at what is taken for equal"),
    ],
)
def test_the_answer_says_how_far_apart_the_costs_are(realised: float | None, said: str) -> None:
    outcomes = clear(realised={"width": realised or 1.0})
    if realised is None:
        outcomes = [
            replace(o, candidate=replace(o.candidate, tags={**o.candidate.tags, "macs_factor": None})) for o in outcomes
        ]
    assert said in compare(outcomes).answer.replace("\u00a0", " ")


def test_only_costs_that_have_both_are_averaged() -> None:
    """Width at x4 is missing: compound against width has one cost, against the others two."""
    outcomes = [o for o in clear() if not (o.candidate.group == "x4" and o.candidate.tags["rule"] == "width")]
    assert "averaged over 1 to 2 costs" in compare(outcomes).answer
    assert "averaged over 2 costs" in compare(clear()).answer


def test_missing_rules_and_trials_that_did_not_end_are_said() -> None:
    outcomes = [o for o in clear() if not (o.candidate.group == "x4" and o.candidate.tags["rule"] == "width")]
    outcomes[-1] = replace(outcomes[-1], state="failed", value=None)
    outcomes[0] = replace(outcomes[0], state="pruned", value=0.1, curve=(0.1,))
    result = compare(outcomes)
    assert "No result: width at x4." in text(result)
    assert "1 trial stopped early and 1 failed" in text(result)
    assert {(c.group, c.other) for c in result.contrasts if c.group == "x4"} == {("x4", "depth"), ("x4", "resolution")}


def test_the_table_starts_from_the_baseline() -> None:
    rows = compare(clear()).table()
    assert (rows[0]["rule"], rows[0]["gain"], rows[0]["factor"]) == ("baseline", 0, 1)
    assert [row["factor"] for row in rows] == sorted(row["factor"] for row in rows)
    assert rows[-1]["macs_factor"] == pytest.approx(3.96)
    assert set(rows[0]) == set(rows[-1])


WIDER = {"width": (0.03, 0.05), "width at d2 r1": (0.035, 0.07), "width at d2 r1.3": (None, 0.08)}
STARTS = {"width at d2 r1": (1.8, 0.02), "width at d2 r1.3": (3.6, 0.07)}


def wide(gains: Any = WIDER, starts: Any = STARTS, **changes: Any) -> tuple[list[Outcome], AxesResult]:
    outcomes = axes_study(gains, np.random.default_rng(0), noise=0.002, bases=starts)
    return outcomes, compare(outcomes, bases=("width at d2 r1", "width at d2 r1.3"), **changes)


def test_width_on_larger_bases_is_compared_with_plain_width() -> None:
    """At the costs of both; the bases themselves stand in the table, and are compared with nothing."""
    outcomes, result = wide({**GAINS, **WIDER})
    found = {(c.group, c.rule, c.other) for c in result.contrasts if c.rule != "compound"}
    assert found == {
        ("x2", "width at d2 r1", "width"), ("x4", "width at d2 r1", "width"), ("x4", "width at d2 r1.3", "width"),
    }  # fmt: skip
    one, two = (np.mean(values(outcomes, "x4", rule)) for rule in ("width at d2 r1.3", "width"))
    assert next(c.value for c in result.contrasts if c.rule == "width at d2 r1.3") == pytest.approx(one - two)
    assert {c.other for c in result.contrasts if c.rule == "compound"} == {"depth", "width", "resolution"}
    assert [r.group for r in result.rows if r.factor in (1.8, 3.6)] == ["width at d2 r1", "width at d2 r1.3"]
    assert "compound scaling beats each axis alone" in result.answer
    assert "Of width on larger bases against width on the baseline" in result.answer
    assert [c.rule for c in result.contrasts if c.group == "x4"][-3:] == ["compound", *STARTS]
    assert result.bases == ("width at d2 r1", "width at d2 r1.3")
    assert "No result" not in text(result)  # at x2 the larger base costs more itself


def test_what_a_base_lacks_is_said() -> None:
    outcomes, _ = wide()
    lost = [o for o in outcomes if (o.candidate.group, o.candidate.tags["rule"]) != ("x4", "width at d2 r1")]
    kept = [replace(o, state="failed", value=None) if o.candidate.group == "width at d2 r1.3" else o for o in lost]
    said = text(compare(kept, bases=list(STARTS)))
    assert "No result: width at d2 r1 at x4, the base of width at d2 r1.3." in said


def test_a_cheaper_network_is_priced_along_its_own_base() -> None:
    outcomes = axes_study(
        WIDER, np.random.default_rng(0), noise=0.002, bases=STARTS, realised={"width at d2 r1.3": 0.9}
    )
    slope = np.log(4 / 3.6)
    gain = [np.mean(values(outcomes, g, "width at d2 r1.3")) for g in ("x4", "width at d2 r1.3")]
    worth = 100 * (gain[0] - gain[1]) / slope * np.log(3.96 / 3.6)
    assert f"x4, width at d2 r1.3 has 9 % fewer MACs than width, worth {worth:+.1f} points" in text(
        compare(outcomes, bases=list(STARTS))
    )
    alone = [o for o in outcomes if o.candidate.group != "width at d2 r1.3"]
    assert "9 % fewer MACs than width." in text(compare(alone, bases=list(STARTS)))


def test_a_rule_that_rounds_to_another_ones_network_has_its_results() -> None:
    """Counted once in the noise and among the trials; in the table and the differences like any other rule."""
    outcomes = [o for o in clear() if (o.candidate.group, o.candidate.tags["rule"]) != ("x2", "compound")]
    result = compare(outcomes, same={("x2", "compound"): ("x2", "width"), ("x4", "gone"): ("x4", "away")})
    copy, own = (next(r for r in result.rows if (r.group, r.rule) == ("x2", rule)) for rule in ("compound", "width"))
    assert replace(copy, rule="width") == own
    against = next(c for c in result.contrasts if (c.group, c.other) == ("x2", "width"))
    assert against.identical and "compound is the same network as width" not in result.answer
    assert "is the same network as width" in text(result)
    variance, freedom = pooled(outcomes)
    assert own.low is not None and own.accuracy is not None
    assert own.accuracy - own.low == pytest.approx(stats.t.ppf(0.975, freedom) * np.sqrt(variance / 3))
    assert "No result" not in text(result)
    assert "5 comparisons were made" in text(result)
    json.dumps(result.to_json(), allow_nan=False)


def test_a_base_that_is_a_rules_network_at_another_cost_has_its_results() -> None:
    gains = {"width": (0.03, 0.05), "depth": (0.02,), "width at d2 r1": (0.035, 0.07)}
    outcomes = axes_study(gains, np.random.default_rng(0))
    result = compare(outcomes, same={("width at d2 r1",) * 2: ("x2", "depth")}, bases=["width at d2 r1"])
    rows = {(r.group, r.rule): r for r in result.rows}
    assert len(rows) == 1 + 2 + 1 + 2 + 1
    assert rows["width at d2 r1", "width at d2 r1"].accuracy == rows["x2", "depth"].accuracy


def test_other_rules_than_compound_are_compared_as_well() -> None:
    gains = {**GAINS, "fast": (0.05, 0.06)}
    result = compare(axes_study(gains, np.random.default_rng(0)))
    assert {contrast.rule for contrast in result.contrasts} == {"compound", "fast"}


def test_seeds_that_agree_by_chance_are_no_certainty() -> None:
    """The noise is that of all networks; where all seeds agree to the bit, nothing is known of it."""
    result = compare(axes_study(GAINS, np.random.default_rng(0), noise=0.0))
    assert result.contrasts[0].low is None and result.contrasts[0].high is None
    assert "do not tell" in result.answer
    json.dumps(result.to_json(), allow_nan=False)
    noisy = axes_study(GAINS, np.random.default_rng(0), noise=0.01)
    agreeing = noisy[0].candidate.network
    same = [replace(o, value=0.5) if o.candidate.network == agreeing else o for o in noisy]
    row = next(r for r in compare(same).rows if r.accuracy == 0.5)
    assert row.deviation == 0 and row.high is not None and row.high - 0.5 > 0.005


def test_json_has_everything() -> None:
    content = json.loads(json.dumps(compare(clear()).to_json(), allow_nan=False))
    assert len(content["rows"]) == 9
    assert len(content["contrasts"]) == 6
    assert len(content["overall"]) == 3
    assert content["overall"][0]["group"] is None


def test_only_the_baseline_or_one_kind_of_rule_leaves_nothing_to_compare() -> None:
    only = [o for o in clear() if o.candidate.tags["rule"] in ("baseline", "depth")]
    result = compare(only)
    assert result.answer.startswith("There is no pair to compare")
    assert result.sentences == ()


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_without_any_training_to_the_end_there_is_no_answer(state: Any) -> None:
    outcomes = [replace(o, state=state, value=None if state == "failed" else 0.5) for o in clear()]
    with pytest.raises(RequestError, match="none was trained to the end"):
        compare(outcomes)


def test_requests_that_make_no_comparison_are_refused() -> None:
    with pytest.raises(RequestError, match="of 0 trials none"):
        compare([])
    first, *_ = clear()
    bare = replace(first, candidate=replace(first.candidate, tags={"macs": 1}))
    with pytest.raises(RequestError, match="needs 'rule' and 'nominal_factor'"):
        compare([bare])
    other = replace(first, candidate=replace(first.candidate, network="another"))
    with pytest.raises(RequestError, match="'baseline' has more than one network in group 'x1'"):
        compare([first, other])
