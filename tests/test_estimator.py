"""The estimator keeps scikit-learn's habits, and trains as the command line does."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from compoundnet.data import decode_image, evaluation_image, normalize
from compoundnet.errors import RequestError
from compoundnet.estimator import CompoundNetClassifier
from compoundnet.train import Recipe
from tiny import ARCH, CLASSES, QUICK, pictures, uncharted

pytestmark = pytest.mark.filterwarnings("default::sklearn.exceptions.FitFailedWarning")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the page, whose charts take longer than the training."""
    monkeypatch.setattr("compoundnet.train.finish.write_report", uncharted)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(pictures(tmp_path_factory.mktemp("colours"), each=8, noise=20).rglob("*.png"))


@pytest.fixture(scope="module")
def pixels(files: list[Path]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(decode_image(file)) for file in files])


@pytest.fixture(scope="module")
def labels(files: list[Path]) -> list[str]:
    return [file.parent.name for file in files]


def estimator(recipe: Recipe = QUICK, **settings: Any) -> CompoundNetClassifier:
    return CompoundNetClassifier(ARCH, recipe=recipe, device="cpu", **settings)


def test_it_learns_and_answers(pixels: NDArray[np.uint8], labels: list[str]) -> None:
    fitted = estimator(epochs=4).fit(pixels, labels)
    assert fitted.classes_.tolist() == list(CLASSES)
    shares = fitted.predict_proba(pixels)
    assert shares.shape == (24, 3)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-12)
    assert fitted.predict(pixels).tolist() == [CLASSES[i] for i in shares.argmax(1)]
    assert fitted.score(pixels, labels) == np.mean(fitted.predict(pixels) == np.array(labels)) > 0.5
    assert len(fitted.run_.record["evaluations"]) == 1
    assert fitted.run_.record["recipe"]["epochs"] == 4


def test_the_answers_are_the_runs(files: list[Path], labels: list[str]) -> None:
    fitted = estimator().fit(files, labels)
    images = torch.stack([evaluation_image(decode_image(file), fitted.run_.preprocessing) for file in files])
    with torch.no_grad():
        shares = fitted.run_.model(normalize(images, fitted.run_.preprocessing)).double().softmax(1)
    np.testing.assert_allclose(fitted.predict_proba(files), shares, rtol=1e-5)


def test_paths_and_pixels_are_the_same(files: list[Path], pixels: NDArray[np.uint8], labels: list[str]) -> None:
    by_path, by_text, by_pixels, by_list = (
        estimator().fit(X, labels).predict_proba(files)
        for X in (files, np.array([str(file) for file in files]), pixels, list(pixels))
    )
    assert np.array_equal(by_path, by_text)
    assert np.array_equal(by_path, by_pixels)
    assert np.array_equal(by_path, by_list)


def test_the_seed_and_what_is_held_out(files: list[Path], labels: list[str]) -> None:
    first, same, other = (estimator(random_state=seed).fit(files, labels) for seed in (1, 1, 2))
    assert np.array_equal(first.predict_proba(files), same.predict_proba(files))
    assert not np.array_equal(first.predict_proba(files), other.predict_proba(files))
    counts = estimator(validation_fraction=0.25).fit(files, labels).run_.record["data"]["counts"]
    assert counts["train"] == dict.fromkeys(CLASSES, 6)
    assert counts["validation"] == dict.fromkeys(CLASSES, 2)


def test_labels_may_be_numbers(pixels: NDArray[np.uint8]) -> None:
    """In the order of numbers, not of texts."""
    y = np.repeat([10, 9, -1], 8)
    fitted = estimator(epochs=4).fit(pixels, y)
    assert fitted.classes_.tolist() == [-1, 9, 10]
    assert fitted.run_.labels == ("-1", "9", "10")
    assert fitted.predict(pixels).dtype == y.dtype
    assert fitted.score(pixels, y) > 0.5


@pytest.mark.parametrize("shape", [(10, 12), (10, 12, 1), (10, 12, 3), (10, 12, 4)])
def test_kinds_of_pixels(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    X = [random.integers(0, 256, shape, dtype=np.uint8) for _ in range(16)]
    fitted = estimator(epochs=1).fit(X, [0, 1] * 8)
    assert fitted.predict(X).shape == (16,)


def test_habits_of_scikit_learn(pixels: NDArray[np.uint8], labels: list[str]) -> None:
    given = estimator(epochs=1, random_state=3)
    assert given.get_params()["random_state"] == 3
    assert clone(given).set_params(epochs=2).get_params() == given.get_params() | {"epochs": 2}
    assert len(cross_val_score(given, pixels, labels, cv=2, error_score="raise")) == 2
    grid = GridSearchCV(Pipeline([("net", given)]), {"net__epochs": [1, 4]}, cv=2, error_score="raise")
    grid.fit(pixels, labels)
    assert grid.best_params_["net__epochs"] in (1, 4)
    again = pickle.loads(pickle.dumps(grid.best_estimator_))
    assert np.array_equal(again.predict_proba(pixels), grid.predict_proba(pixels))


def test_nothing_is_answered_before_fit(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(NotFittedError):
        estimator().predict(pixels)


def test_recipes() -> None:
    assert CompoundNetClassifier()._recipe().head_epochs == 0  # from scratch
    assert CompoundNetClassifier(weights="imagenet")._recipe().head_epochs > 0
    assert CompoundNetClassifier(recipe="proxy", epochs=7, random_state=5)._recipe().epochs == 7
    assert CompoundNetClassifier(recipe=replace(QUICK, seed=4))._recipe().seed == 4


GREY = np.zeros((6, 12, 12), np.uint8)
BAD: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "one class": (GREY, [1] * 6, {}, "y has 1 class; there must be at least two"),
    "unequal": (GREY, [0, 1], {}, "X has 6 images and y 2 labels"),
    "no images": ([], [0, 1], {}, "X has no images"),
    "one path": ("cat.png", [0, 1], {}, r"X is 'cat.png'; it must be a list of paths"),
    "no file": (["no/cat.png"] * 6, [0, 1] * 3, {}, r"X\[0\] is 'no/cat.png'; there is no such file"),
    "floats": (GREY / 255, [0, 1] * 3, {}, r"X\[0\] is float64 of shape \(12, 12\); an image is a path, or uint8"),
    "flat": (GREY.reshape(6, -1), [0, 1] * 3, {}, r"X\[0\] is uint8 of shape \(144,\)"),
    "channels": (np.zeros((6, 8, 8, 2), np.uint8), [0, 1] * 3, {}, r"X\[0\] is uint8 of shape \(8, 8, 2\)"),
    "channels first": (np.zeros((6, 3, 8, 8), np.uint8), [0, 1] * 3, {}, r"X\[0\] is uint8 of shape \(3, 8, 8\)"),
    "one of each": (GREY, range(6), {}, "X has one image of each of the 6 classes"),
    "fraction": (GREY, [0, 1] * 3, {"validation_fraction": 1.5}, "validation_fraction is 1.5; it must lie in"),
    "epochs": (GREY, [0, 1] * 3, {"epochs": -1}, "recipe epochs is -1"),
    "architecture": (GREY, [0, 1] * 3, {"architecture": "efficientnet_b00"}, "unknown architecture 'efficientnet_b00'"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_requests_are_a_line(what: str) -> None:
    X, y, settings, said = BAD[what]
    with pytest.raises(RequestError, match=said) as caught:
        CompoundNetClassifier(**{"architecture": ARCH, "recipe": QUICK, **settings}).fit(X, y)
    assert "\n" not in str(caught.value)


def test_a_picture_that_cannot_be_read(files: list[Path], labels: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(RequestError, match=r"bad\.png: is not an image"):
        estimator().fit([*files, bad], [*labels, "red"])
    with pytest.raises(RequestError, match=r"bad\.png: is not an image"):
        estimator().fit(files, labels).predict([bad])


def test_a_fit_that_fails_leaves_what_was_fitted(pixels: NDArray[np.uint8], labels: list[str]) -> None:
    fitted = estimator(epochs=np.int64(1), random_state=np.int64(3)).fit(pixels, labels)
    before = fitted.predict(pixels)
    with pytest.raises(RequestError, match="uint8 of shape"):
        fitted.fit(np.zeros((4, 8, 8, 2), np.uint8), [5, 6, 7, 8])
    assert (fitted.predict(pixels) == before).all()
    new = estimator()
    with pytest.raises(RequestError, match="uint8 of shape"):
        new.fit(np.zeros((4, 8, 8, 2), np.uint8), [5, 6, 7, 8])
    with pytest.raises(NotFittedError):
        new.predict(pixels)


@pytest.mark.parametrize(
    ("settings", "labelled", "message"),
    [
        ({"recipe": 5}, ["a", "b"], "recipe is 5; it must be"),
        ({"recipe": {}}, ["a", "b"], "recipe is {}; it must be"),
        ({}, [0.0, float("nan")], "y has NaN"),
        ({}, np.array(["a", 5], dtype=object), "y mixes kinds"),
    ],
)
def test_other_mistakes_are_a_line(
    pixels: NDArray[np.uint8], settings: dict[str, Any], labelled: Any, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        CompoundNetClassifier(ARCH, device="cpu", **settings).fit(pixels[:2], labelled)


def test_images_that_are_none() -> None:
    for images in (None, 5, np.zeros((2, 0, 8), np.uint8)):
        with pytest.raises(RequestError, match=r"^X"):
            estimator().fit(images, ["a", "b"])  # type: ignore[arg-type]
