"""How good a network's answers are: accuracy with its uncertainty, per class, and how honest its confidence is.

Everything is computed from logits, in float64, with NumPy alone. Arrays: ``n`` images, ``C`` classes.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compoundnet.errors import RequestError

if TYPE_CHECKING:
    import torch

__all__ = [
    "RELIABILITY_BINS",
    "ClassScore",
    "Evaluation",
    "Mistake",
    "ReliabilityBin",
    "evaluate_logits",
    "most_confident_mistakes",
    "wilson_interval",
]

RELIABILITY_BINS = 15
"""Equal-width bins of confidence for the calibration error, as in Guo et al. (ICML 2017)."""

_Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal
_LARGEST = float(np.finfo(np.float32).max)

Array: TypeAlias = "NDArray[Any] | torch.Tensor"
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """One class: ``n`` images of it; shares in 0..1, None where undefined (no image, never predicted)."""

    label: str
    n: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """Images whose confidence lies in ``(low, high]``; mean confidence and accuracy, None in an empty bin."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What :func:`evaluate_logits` found on ``n`` images.

    ``top1`` and ``top5`` are shares in 0..1 with 95 % Wilson intervals; ``top5`` is 1 by construction
    where there are five classes or fewer. ``loss`` is the mean cross-entropy in nats. ``ece`` is the
    expected calibration error, ``sum(count * |accuracy - confidence|) / n`` over ``reliability``.
    ``confusion`` has one row per true class and one column per predicted class.
    """

    n: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    top5_interval: tuple[float, float]
    loss: float
    ece: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary of dictionaries, lists, strings, finite numbers and None."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A wrong answer: the true ``label``, the ``predicted`` one and the probability given to it."""

    file: Path
    label: str
    predicted: str
    probability: float


def evaluate_logits(logits: Array, labels: Array, classes: Sequence[str]) -> Evaluation:
    """Judge logits (n, C) against class indices (n,); ``classes`` names the C columns.

    Ties are judged against the network: an image is right within the top k only where fewer than k
    *other* classes score as high as the true one, so a network that says the same for every class
    is never right. The confusion matrix follows the same rule and its diagonal sums to ``top1 * n``.

    Raises:
        RequestError: no images, shapes that do not agree, a label outside 0..C-1, or logits that are
            not finite.
    """
    scores, truth = _checked(logits, labels, classes)
    n = len(truth)
    log_probabilities = _log_softmax(scores)
    answers = _answers(scores, truth)
    others_as_high = (scores >= scores[np.arange(n), truth, None]).sum(axis=1) - 1
    top1, top5 = (int((others_as_high < k).sum()) for k in (1, 5))
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (truth, answers), 1)
    bins = _reliability(np.exp(log_probabilities.max(axis=1)), answers == truth)
    return Evaluation(
        n=n,
        top1=top1 / n,
        top1_interval=wilson_interval(top1, n),
        top5=top5 / n,
        top5_interval=wilson_interval(top5, n),
        loss=float(-log_probabilities[np.arange(n), truth].mean()),
        ece=_calibration_error(bins, n),
        per_class=_class_scores(confusion, classes),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        reliability=bins,
    )


def most_confident_mistakes(
    logits: Array, labels: Array, files: Sequence[Path], classes: Sequence[str], most: int = 12
) -> tuple[Mistake, ...]:
    """The wrong answers with the highest probability, at most ``most``, the surest first.

    Arguments, ties and errors as in :func:`evaluate_logits`; ``files`` are the n images, in order.
    """
    scores, truth = _checked(logits, labels, classes)
    if len(files) != len(truth):
        raise RequestError(f"{len(files)} files for {len(truth)} images; every image needs its file")
    answers = _answers(scores, truth)
    probability = np.exp(_log_softmax(scores)[np.arange(len(truth)), answers])
    wrong = np.flatnonzero(answers != truth)
    surest = wrong[np.argsort(-probability[wrong], kind="stable")][:most]
    return tuple(
        Mistake(
            file=Path(files[i]),
            label=classes[truth[i]],
            predicted=classes[answers[i]],
            probability=float(probability[i]),
        )
        for i in surest
    )


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share, ``right`` of ``n`` (Wilson, 1927); it stays inside 0..1 and never has zero width.

    >>> [round(end, 3) for end in wilson_interval(197, 200)]
    [0.957, 0.995]
    """
    if not 0 <= right <= n or n < 1:
        raise RequestError(f"{right} of {n} is not a share; it needs 0 <= right <= n and n >= 1")
    share, weight = right / n, _Z_95**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    low = 0.0 if right == 0 else max(0.0, centre - half)
    high = 1.0 if right == n else min(1.0, centre + half)
    return low, high


def _checked(logits: Array, labels: Array, classes: Sequence[str]) -> tuple[Floats, Ints]:
    """Logits as float64 (n, C) and labels as int64 (n,), or a RequestError that says what is wrong."""
    scores, truth = _numpy(logits), _numpy(labels)
    if scores.ndim != 2 or truth.ndim != 1 or len(scores) != len(truth):
        raise RequestError(
            f"logits have shape {scores.shape} and labels {truth.shape}; they must be (images, classes) and (images,)"
        )
    if len(truth) == 0:
        raise RequestError("there are no images to evaluate; at least one is needed")
    if scores.shape[1] != len(classes) or not classes:
        raise RequestError(f"logits have {scores.shape[1]} columns for {len(classes)} classes; they must be as many")
    if not np.issubdtype(truth.dtype, np.integer):
        raise RequestError(f"labels are {truth.dtype}; they must be whole numbers, the classes' indices")
    if truth.min() < 0 or truth.max() >= len(classes):
        raise RequestError(f"labels span {truth.min()}..{truth.max()}; they must lie in 0..{len(classes) - 1}")
    scores = scores.astype(np.float64)
    sound = np.abs(scores) <= _LARGEST  # False for NaN too
    if not sound.all():
        bad = np.flatnonzero(~sound.all(axis=1))
        raise RequestError(
            f"the model produced NaN or infinity for {len(bad)} of {len(truth)} images (the first is number {bad[0]}, "
            "counted from 0); the training diverged, or its precision is too low: try a lower learning rate or float32"
        )
    return scores, truth.astype(np.int64)


def _numpy(values: Array) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()  # NumPy has no bfloat16
    return np.asarray(values)


def _log_softmax(scores: Floats) -> Floats:
    shifted: Floats = scores - scores.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _answers(scores: Floats, truth: Ints) -> Ints:
    """The highest class, (n,); of several, the first that is not the true one."""
    highest = scores == scores.max(axis=1, keepdims=True)
    several = highest.sum(axis=1) > 1
    highest[several, truth[several]] = False
    first: Ints = highest.argmax(axis=1)
    return first


def _class_scores(confusion: Ints, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    columns = zip(confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0), classes, strict=True)
    return tuple(
        ClassScore(
            label=label,
            n=int(n),
            precision=_share(right, predicted),
            recall=_share(right, n),
            f1=_share(2 * right, n + predicted),
        )
        for right, n, predicted, label in columns
    )


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _calibration_error(bins: Sequence[ReliabilityBin], n: int) -> float:
    gaps = (
        b.count * abs(b.accuracy - b.confidence) for b in bins if b.accuracy is not None and b.confidence is not None
    )
    return math.fsum(gaps) / n


def _reliability(confidence: Floats, right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    edges = np.arange(RELIABILITY_BINS + 1) / RELIABILITY_BINS
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, RELIABILITY_BINS - 1)
    counts, confidences, rights = (
        np.bincount(place, weights=weights, minlength=RELIABILITY_BINS)
        for weights in (np.ones_like(confidence), confidence, right.astype(np.float64))
    )
    return tuple(
        ReliabilityBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            count=int(counts[i]),
            confidence=_share(confidences[i], counts[i]),
            accuracy=_share(rights[i], counts[i]),
        )
        for i in range(RELIABILITY_BINS)
    )
