"""The figures against scikit-learn and SciPy, against their definitions on drawn cases, and with bad input."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as oracle

from compoundnet.errors import RequestError
from compoundnet.evaluate import evaluate_logits, most_confident_mistakes, wilson_interval
from compoundnet.evaluate.metrics import RELIABILITY_BINS


def names(count: int) -> list[str]:
    return [f"class {i}" for i in range(count)]


@st.composite
def answers(draw: st.DrawFn, most_classes: int = 8) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Logits on a coarse grid, so that ties are common, and labels."""
    n, classes = draw(st.integers(1, 20)), draw(st.integers(1, most_classes))
    values = draw(st.lists(st.integers(-6, 6), min_size=n * classes, max_size=n * classes))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    return np.array(values, np.float32).reshape(n, classes) / 2, np.array(labels)


@pytest.mark.parametrize("classes", [3, 7, 40])
def test_equals_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes - 1, 150)  # the last class has no image
    logits = rng.normal(size=(150, classes)) * 2
    logits[np.arange(150), labels] += 2
    logits[:, 1] = -15  # and class 1 is never predicted
    found = evaluate_logits(logits, labels, names(classes))

    predicted = logits.argmax(axis=1)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    every = list(range(classes))
    assert found.top1 == oracle.accuracy_score(labels, predicted)
    assert found.loss == pytest.approx(oracle.log_loss(labels, probabilities, labels=every), rel=1e-12)
    assert np.array_equal(found.confusion, oracle.confusion_matrix(labels, predicted, labels=every))
    if classes > 5:
        assert found.top5 == oracle.top_k_accuracy_score(labels, logits, k=5, labels=every)
    expected = oracle.precision_recall_fscore_support(labels, predicted, labels=every, zero_division=np.nan)
    for score, precision, recall, f1, n in zip(found.per_class, *expected, strict=True):
        assert score.n == n
        for ours, theirs in ((score.precision, precision), (score.recall, recall), (score.f1, f1)):
            assert ours is None if math.isnan(theirs) else ours == pytest.approx(theirs, rel=1e-12)


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(share: tuple[int, int]) -> None:
    theirs = binomtest(*share).proportion_ci(0.95, "wilson")
    assert wilson_interval(*share) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    low, high = wilson_interval(*share)
    assert 0 <= low <= share[0] / share[1] <= high <= 1
    assert low < high


@given(answers())
def test_means_what_the_definitions_say(case: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    logits, labels = case
    n, classes = logits.shape
    found = evaluate_logits(logits, labels, names(classes))
    ranks = [sum(other >= row[label] for other in row) - 1 for row, label in zip(logits, labels, strict=True)]
    assert found.top1 == sum(rank < 1 for rank in ranks) / n
    assert found.top5 == sum(rank < 5 for rank in ranks) / n
    assert sum(found.confusion[i][i] for i in range(classes)) == round(found.top1 * n)
    assert [sum(row) for row in found.confusion] == [(labels == i).sum() for i in range(classes)]
    assert found.top1_interval[0] <= found.top1 <= found.top1_interval[1]
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert found.loss == pytest.approx(-np.log(probabilities[np.arange(n), labels]).mean(), abs=1e-12)

    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, rank in zip(probabilities, ranks, strict=True):
        confidence = min(float(row.max()), 1.0)
        assert any(b.low < confidence <= b.high + 1e-15 and b.count for b in found.reliability)
        place = next(i for i, b in enumerate(found.reliability) if confidence <= b.high + 1e-13)
        bins.setdefault(place, []).append((confidence, rank < 1))
    gaps = (abs(sum(c for c, _ in images) - sum(right for _, right in images)) for images in bins.values())
    assert found.ece == pytest.approx(sum(gaps) / n, abs=1e-9)


@given(answers(), st.randoms(use_true_random=False), st.integers(-1000, 1000))
def test_neither_order_nor_a_common_offset_matters(case: Any, random: Any, offset: int) -> None:
    logits, labels = case
    order = list(range(len(labels)))
    random.shuffle(order)
    classes = names(logits.shape[1])
    ours = evaluate_logits(logits, labels, classes)
    moved = evaluate_logits(logits[order] + offset, labels[order], classes)
    assert (moved.confusion, moved.top5, moved.per_class) == (ours.confusion, ours.top5, ours.per_class)
    assert (moved.loss, moved.ece) == pytest.approx((ours.loss, ours.ece), abs=1e-9)


@given(answers())
def test_json_is_plain_and_finite(case: Any) -> None:
    logits, labels = case
    record = evaluate_logits(logits, labels, names(logits.shape[1])).to_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {"top1", "top5", "loss", "ece", "n", "per_class"} <= set(record)
    assert sum(b["count"] for b in record["reliability"]) == record["n"] == len(labels)


def test_calibration_error_of_a_worked_example() -> None:
    """Three images of confidence 0.8 of which two are right, and one of 0.6 that is: 0.75 * 0.1333 + 0.25 * 0.4."""
    confidence = np.array([0.8, 0.8, 0.8, 0.6])
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1))
    found = evaluate_logits(logits, np.array([0, 0, 1, 0]), ["a", "b"])
    assert found.ece == pytest.approx(0.2)
    assert [b.count for b in found.reliability if b.count] == [1, 3]
    assert len(found.reliability) == RELIABILITY_BINS


def test_a_network_that_says_the_same_for_every_class_is_never_right() -> None:
    found = evaluate_logits(np.zeros((6, 3)), np.array([0, 0, 1, 1, 2, 2]), names(3))
    assert found.top1 == 0
    assert [row[i] for i, row in enumerate(found.confusion)] == [0, 0, 0]
    assert found.loss == pytest.approx(math.log(3))


def test_one_class_is_always_right() -> None:
    found = evaluate_logits(np.ones((4, 1)), np.zeros(4, np.int64), ["all"])
    assert (found.top1, found.loss, found.ece) == (1, 0, 0)


def test_extreme_logits_stay_finite() -> None:
    found = evaluate_logits(np.array([[3e38, -3e38], [-1e30, 1e30]]), np.array([1, 1]), ["a", "b"])
    assert math.isfinite(found.loss)
    assert found.top1 == 0.5


def test_takes_tensors_of_any_precision() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.tensor([[2.0, 1.0], [0.5, 3.0]], requires_grad=True)
    labels = torch.tensor([0, 0])
    expected = evaluate_logits(np.array([[2.0, 1.0], [0.5, 3.0]]), np.array([0, 0]), ["a", "b"])
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert evaluate_logits(logits.to(dtype), labels, ["a", "b"]) == expected


GOOD = np.zeros((2, 3))
LABELS = np.array([0, 1])


@pytest.mark.parametrize(
    ("logits", "labels", "classes", "says"),
    [
        (np.zeros((0, 3)), np.zeros(0, np.int64), 3, "no images"),
        (np.zeros(3), LABELS, 3, r"shape \(3,\)"),
        (GOOD, np.zeros((2, 1), np.int64), 3, r"labels \(2, 1\)"),
        (GOOD, np.array([0, 1, 2]), 3, r"must be \(images, classes\)"),
        (GOOD, LABELS, 2, "3 columns for 2 classes"),
        (np.zeros((2, 0)), LABELS, 0, "0 columns for 0 classes"),
        (GOOD, np.array([0.0, 1.0]), 3, "labels are float64"),
        (GOOD, np.array([0, 3]), 3, r"0\.\.3; they must lie in 0\.\.2"),
        (GOOD, np.array([-1, 0]), 3, r"-1\.\.0"),
        (np.array([[0, 1, 2], [0, np.nan, 1]]), LABELS, 3, r"NaN or infinity for 1 of 2 images .* number 1"),
        (np.array([[np.inf, 1, 2], [0, -np.inf, 1]]), LABELS, 3, "for 2 of 2 images"),
    ],
)
def test_bad_input_is_named(logits: Any, labels: Any, classes: int, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        evaluate_logits(logits, labels, names(classes))


@pytest.mark.parametrize(("right", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_no_interval_of_what_is_no_share(right: int, n: int) -> None:
    with pytest.raises(RequestError, match=f"{right} of {n} is not a share"):
        wilson_interval(right, n)


def test_mistakes_come_with_the_surest_first() -> None:
    logits = np.array([[5.0, 0.0], [0.0, 1.0], [0.0, 4.0], [2.0, 0.0], [1.0, 1.0]])
    labels = np.array([0, 0, 0, 1, 0])
    files = [Path(f"{i}.jpg") for i in range(5)]
    found = most_confident_mistakes(logits, labels, files, ["cat", "dog"])
    assert [m.file.name for m in found] == ["2.jpg", "3.jpg", "1.jpg", "4.jpg"]
    assert (found[1].label, found[1].predicted) == ("dog", "cat")
    assert found[0].probability == pytest.approx(1 / (1 + math.exp(-4)))
    assert found[3].probability == pytest.approx(0.5)
    assert most_confident_mistakes(logits, labels, files, ["cat", "dog"], most=2) == found[:2]


@given(answers())
def test_there_are_as_many_mistakes_as_wrong_answers(case: Any) -> None:
    logits, labels = case
    classes = names(logits.shape[1])
    files = [Path(f"{i}.jpg") for i in range(len(labels))]
    found = most_confident_mistakes(logits, labels, files, classes, most=100)
    assert len(found) == len(labels) - round(evaluate_logits(logits, labels, classes).top1 * len(labels))
    assert all(m.label != m.predicted and m.label == classes[labels[int(m.file.stem)]] for m in found)
    assert list(found) == sorted(found, key=lambda m: -m.probability)


def test_mistakes_need_a_file_for_every_image() -> None:
    with pytest.raises(RequestError, match="1 files for 2 images"):
        most_confident_mistakes(GOOD, LABELS, [Path("a.jpg")], names(3))
