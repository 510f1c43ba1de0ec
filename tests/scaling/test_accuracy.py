"""The loss that ranks scaled networks: its optimum is the rule, and a fit finds the truth again."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Multipliers, Rule, design
from compoundnet.scaling.accuracy import AccuracyModel, Studied, Term, fit, following, read_model

TRUTH = AccuracyModel(
    depth=Term(weight=0.10, power=0.5),
    width=Term(weight=0.15, power=0.8),
    resolution=Term(weight=0.2, power=1.2),
    floor=0.1,
)
STUDIED = {"networks": 9, "least": [1, 1, 1], "most": [2, 2, 2], "cheapest": 1, "dearest": 32}
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
    cheapest, dearest = 0.7**2, 4 * 2**2 * 2**2
    assert found.studied == Studied(
        networks=36, least=Multipliers(1, 0.7, 1), most=Multipliers(4, 2, 2), cheapest=cheapest, dearest=dearest
    )


def test_a_fit_of_noisy_accuracies_says_how_noisy() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, len(POINTS))
    found = fit(POINTS, [1 - TRUTH.loss(*p) + e for p, e in zip(POINTS, noise, strict=True)], [3.0] * len(POINTS))
    assert found.deviation is not None and 0.005 < found.deviation < 0.015


def test_the_deviation_is_by_the_degrees_of_freedom() -> None:
    """Of nine networks seven numbers are fitted: what is left over would look 2.1 times too small."""
    points = [
        Multipliers(1, 1, 1),
        *(Multipliers(*(x if a == b else 1 for b in range(3))) for a in range(3) for x in (2, 4)),
    ]
    points += [Multipliers(2, 2, 2), Multipliers(3, 1.5, 1.5)]
    draw = np.random.default_rng(0)
    found = [fit(points, [1 - TRUTH.loss(*p) + draw.normal(0, 0.01) for p in points]).deviation or 0 for _ in range(30)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(0.01, rel=0.35)


def test_an_axis_that_never_changed_counts_for_nothing() -> None:
    points = [Multipliers(d, w, 1) for d in (1, 2, 4) for w in (1, 1.5, 2)]
    found = fit(points, [1 - TRUTH.loss(*p) for p in points])
    assert not found.counts("resolution")
    assert found.loss(3, 1.2, 1) == pytest.approx(TRUTH.loss(3, 1.2, 1), abs=2e-3)


@pytest.mark.parametrize("accuracy", [lambda p: 0.5, lambda p: 1.0, lambda p: 0.6 / (p.depth * p.width * p.resolution)])
def test_what_brings_nothing_counts_for_nothing(accuracy: Callable[[Multipliers], float]) -> None:
    found = fit(POINTS, [accuracy(p) for p in POINTS])
    assert [axis for axis in Multipliers._fields if found.counts(axis)] == []


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (POINTS[:2], "2 networks of different sizes .* at least 5"),
        ([Multipliers(1, 1, 1)] * 20, "1 networks of different sizes"),
        (POINTS[::5] * 3, "8 networks of different sizes .* at least 9"),
        (
            [Multipliers(d, w, (2 / d / w**2) ** 0.5) for d in (1, 1.3, 1.7) for w in (1, 1.1, 1.2)],
            "all cost about the same",
        ),
    ],
)
def test_too_little_to_fit(points: list[Multipliers], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        fit(points, np.linspace(0.5, 0.6, len(points)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("points", "accuracy", "weights", "said"),
    [
        (POINTS, [0.5] * 35, None, "36 networks, 35 accuracies and 36 weights"),
        (POINTS, [0.5] * 36, [1.0], "36 accuracies and 1 weights"),
        (POINTS, [float("nan")] * 36, None, "not finite"),
        (POINTS, [0.5] * 36, [0.0] * 36, "not positive"),
        ([Multipliers(-1, 1, 1)] * 36, [0.5] * 36, None, "not positive"),
        (POINTS, ["good"] * 36, None, "must be numbers"),
        (POINTS, 0.5, None, "36 networks, 1 accuracies"),
        (POINTS, [50.0 + i for i in range(36)], None, "accuracies are 50 to 85; they are shares, 0..1: 50 % is 0.5"),
        (POINTS, [0.5] * 35 + [-0.1], None, "accuracies are -0.1 to 0.5"),
    ],
)
def test_a_table_that_is_none(points: Any, accuracy: Any, weights: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        fit(points, accuracy, weights)


def test_json(tmp_path: Path) -> None:
    assert AccuracyModel.from_json(json.loads(json.dumps(TRUTH.to_json()))) == TRUTH
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"accuracy_model": TRUTH.to_json()}))
    assert read_model(file) == read_model(tmp_path) == TRUTH
    file.write_text("\ufeff" + json.dumps({"accuracy_model": TRUTH.to_json()}), encoding="utf-8")
    assert read_model(file) == TRUTH


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"baseline": {"architecture": {"name": "mbconv_tiny", "resolution": 32}}}, "mbconv_tiny at 32 px"),
        ({"baseline": {"factory": "mine:net", "resolution": 64}}, "mine:net at 64 px"),
        ({"baseline": {"architecture": None}}, None),
        ("damaged", None),
        (None, None),
    ],
)
def test_a_study_says_what_it_was_of(tmp_path: Path, request_: Any, said: str | None) -> None:
    model = fit(POINTS, [1 - TRUTH.loss(*p) for p in POINTS])
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"accuracy_model": model.to_json(), "request": request_}))
    found = read_model(file)
    assert found.studied is not None and found.studied.baseline == said
    file.write_text(json.dumps({"accuracy_model": found.to_json()}))  # as design prints it
    assert read_model(file) == found


def test_a_model_says_itself_what_was_scaled(tmp_path: Path) -> None:
    """The request beside it is asked only where a model of an older version does not."""
    points = [Multipliers(d, w, r) for d in (1.0, 2.0) for w in (1.0, 1.5, 2.0) for r in (1.0, 1.5)]
    model = fit(points, [1 - TRUTH.loss(*p) for p in points], baseline="mine:net at 64 px")
    assert model.studied is not None and model.studied.baseline == "mine:net at 64 px"
    request = {"baseline": {"factory": "other:net", "resolution": 64}}
    file = tmp_path / "result.json"
    file.write_text(json.dumps({"accuracy_model": model.to_json(), "request": request}))
    assert read_model(file) == model


def test_of_another_baseline_than_was_studied_there_is_a_doubt() -> None:
    model = fit(POINTS, [1 - TRUTH.loss(*p) for p in POINTS])
    assert model.studied is not None
    of = replace(model, studied=replace(model.studied, baseline="mbconv_tiny at 32 px"))
    inside = Multipliers(1.5, 1, 1.4)
    assert list(of.doubts(inside, "mbconv_tiny at 32 px")) == list(of.doubts(inside)) == []
    assert list(model.doubts(inside, "mbconv_tiny at 16 px")) == []
    (doubt,) = of.doubts(inside, "mbconv_tiny at 16 px")
    assert "study was of mbconv_tiny at 32 px" in doubt and doubt.endswith("for mbconv_tiny at 16 px")


def test_json_of_a_fit_and_of_one_that_does_not_say_what_it_rests_on() -> None:
    found = fit(POINTS, [1 - TRUTH.loss(*p) for p in POINTS])
    record = json.loads(json.dumps(found.to_json()))
    assert AccuracyModel.from_json(record) == found
    del record["studied"]
    older = AccuracyModel.from_json(record)
    assert older == replace(found, studied=None)
    assert list(older.doubts(Multipliers(99, 99, 99))) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not JSON"),
        ("[]", "holds no accuracy model"),
        ("{}", "holds no accuracy model"),
        ('{"accuracy_model": 3}', "not an accuracy model"),
        ('{"accuracy_model": {"depth": {"weight": 1}}}', "not an accuracy model"),
        (json.dumps({"accuracy_model": TRUTH.to_json() | {"deviation": "small"}}), "deviation is 'small'"),
        (json.dumps({"accuracy_model": TRUTH.to_json() | {"floor": 10**400}}), "must be a finite number"),
        (json.dumps({"accuracy_model": TRUTH.to_json() | {"studied": 3}}), "not an accuracy model"),
        (json.dumps({"accuracy_model": TRUTH.to_json() | {"studied": {}}}), "not an accuracy model"),
        (json.dumps({"accuracy_model": TRUTH.to_json() | {"studied": STUDIED | {"baseline": 3}}}), "baseline is 3"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(RequestError, match=told) as raised:
        read_model(tmp_path / "x.json")
    assert str(raised.value).count("x.json") == 1
    with pytest.raises(RequestError, match="No such file"):
        read_model(tmp_path / "missing.json")
    with pytest.raises(RequestError, match="File name too long"):
        read_model(tmp_path / ("x" * 300))
    with pytest.raises(RequestError, match="No such file"):
        read_model(str(tmp_path))


def test_numbers_that_cannot_be() -> None:
    one: Any = Term(weight=1, power=1)
    for make, said in (
        (lambda: Term(weight=-1, power=1), "weight is -1; it must be a finite number that is not negative"),
        (lambda: Term(weight="a", power=1), "weight is 'a'"),  # type: ignore[arg-type]
        (lambda: Term(weight=1, power=1e300), "power is 1e\\+300; it must lie in 0..1e\\+06"),
        (lambda: AccuracyModel(depth="x", width=one, resolution=one), "depth is 'x'; it must be a Term"),  # type: ignore[arg-type]
        (lambda: AccuracyModel(depth=one, width=one, resolution=one, floor=-1), "floor is -1"),
    ):
        with pytest.raises(RequestError, match=said):
            make()


@pytest.mark.parametrize("power", [1e3, 1e6])
def test_the_steepest_models_choose_without_a_warning(power: float) -> None:
    steep, usual = Term(weight=0.1, power=power), Term(weight=0.1, power=0.5)
    found = design("mbconv_tiny", macs=20e6, model=AccuracyModel(depth=steep, width=usual, resolution=usual))
    assert found.cost.macs <= 20e6 and found.scaling.depth > 1
