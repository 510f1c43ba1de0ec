"""The loss that ranks scaled networks: its optimum is the rule, and a fit finds the truth again."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Multipliers, Rule
from compoundnet.scaling.accuracy import AccuracyModel, Term, fit, following, read_model

TRUTH = AccuracyModel(
    depth=Term(weight=0.10, power=0.5),
    width=Term(weight=0.15, power=0.8),
    resolution=Term(weight=0.2, power=1.2),
    floor=0.1,
)
POINTS = [Multipliers(d, w, r) for d in (1, 1.5, 2, 4) for w in (0.7, 1, 2) for r in (1, 1.4, 2)]


@pytest.mark.parametrize("name", ["efficientnet", "efficientnet_x_gpu", "uniform", "fast"])
@pytest.mark.parametrize("s", [0.3, 2.0, 16.0, 100.0])
def test_the_best_under_a_nominal_cost_is_the_rules(name: str, s: float) -> None:
    rule = RULES[name]
    model = following(rule)

    def loss(logs: np.ndarray) -> float:  # of depth and width; resolution takes what is left
        d, w = np.exp(logs)
        return float(model.loss(d, w, (s / d / w**2) ** 0.5))

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-14, "maxiter": 5000})
    assert np.exp(found.x) == pytest.approx(rule.multipliers(s)[:2], rel=2e-3)


@given(st.floats(0.01, 0.3), st.floats(1.01, 50))
def test_along_the_rule_the_loss_falls_as_a_power(slope: float, s: float) -> None:
    rule = RULES["efficientnet"]
    model = following(rule, slope)
    assert model.loss(*rule.multipliers(s)) == pytest.approx(s**-slope)


def test_an_axis_without_a_share_counts_for_nothing() -> None:
    model = following(Rule(depth=0.5, width=0.5, resolution=0))
    assert model.counts("depth") and model.counts("width") and not model.counts("resolution")
    assert model.loss(2, 2, 1) == model.loss(2, 2, 9)


def test_a_fit_finds_the_truth() -> None:
    accuracy = [1 - TRUTH.loss(*p) for p in POINTS]
    found = fit(POINTS, accuracy)
    elsewhere = [Multipliers(3, 1.5, 1.7), Multipliers(1.2, 2, 1.1)]
    assert [found.loss(*p) for p in elsewhere] == pytest.approx([TRUTH.loss(*p) for p in elsewhere], abs=2e-3)
    assert found.deviation is not None and found.deviation < 1e-3


def test_a_fit_of_noisy_accuracies_says_how_noisy() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, len(POINTS))
    found = fit(POINTS, [1 - TRUTH.loss(*p) + e for p, e in zip(POINTS, noise, strict=True)], [3.0] * len(POINTS))
    assert found.deviation is not None and 0.005 < found.deviation < 0.015


def test_too_little_to_fit() -> None:
    with pytest.raises(RequestError, match="2 networks"):
        fit(POINTS[:2], [0.5, 0.6])
    with pytest.raises(RequestError, match="different sizes"):
        fit([Multipliers(1, 1, 1)] * 9, [0.5] * 9)


def test_json(tmp_path: Path) -> None:
    assert AccuracyModel.from_json(json.loads(json.dumps(TRUTH.to_json()))) == TRUTH
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"accuracy_model": TRUTH.to_json()}))
    assert read_model(file) == TRUTH


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not JSON"),
        ("[]", "holds no accuracy model"),
        ("{}", "holds no accuracy model"),
        ('{"accuracy_model": 3}', "not an accuracy model"),
        ('{"accuracy_model": {"depth": {"weight": 1}}}', "not an accuracy model"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(RequestError, match=told):
        read_model(tmp_path / "x.json")
    with pytest.raises(RequestError, match="No such file"):
        read_model(tmp_path / "missing.json")


def test_numbers_that_cannot_be() -> None:
    with pytest.raises(RequestError, match="finite and not negative"):
        AccuracyModel(depth=Term(weight=-1, power=1), width=Term(weight=1, power=1), resolution=Term(weight=1, power=1))
