"""Training as scikit-learn has it: ``fit``, ``predict``, ``score``; works in a Pipeline and a GridSearchCV."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from compoundnet.checks import check_number
from compoundnet.data import Dataset, Split, seed_for
from compoundnet.errors import RequestError
from compoundnet.evaluate.inference import outputs
from compoundnet.run import Run, load
from compoundnet.train import Recipe, read_recipe, train
from compoundnet.zoo import AnyNetwork

__all__ = ["CompoundNetClassifier"]

Images = Iterable[str | Path] | Iterable[NDArray[np.uint8]]


class CompoundNetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An image classifier, trained by :func:`compoundnet.train.train` as on the command line.

    X are paths of image files, or uint8 images: an array (N, H, W) or (N, H, W, C) with C of 1, 3 or 4, or a
    list of such images of any sizes. After ``fit``: ``classes_``, and ``run_``, the trained
    :class:`~compoundnet.run.Run`.

    Args:
        architecture: a name, a JSON file, or a network's value.
        weights: where to start: ``"imagenet"``, a tag or a file; None: from nothing.
        recipe: a name, a JSON file or a Recipe; None: ``finetune`` with weights, ``scratch`` without.
        epochs: of the whole network, instead of the recipe's.
        validation_fraction: share of each class that is held out to choose the epoch that is kept.
        device: such as cpu or cuda; None: a GPU if there is one.
        random_state: the seed, instead of the recipe's.
    """

    run_: Run
    classes_: NDArray[Any]

    def __init__(
        self,
        architecture: str | AnyNetwork = "efficientnet_b0",
        *,
        weights: str | Path | None = None,
        recipe: str | Path | Recipe | None = None,
        epochs: int | None = None,
        validation_fraction: float = 0.15,
        device: str | None = None,
        random_state: int | None = None,
    ) -> None:
        self.architecture = architecture
        self.weights = weights
        self.recipe = recipe
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def fit(self, X: Images, y: ArrayLike) -> "CompoundNetClassifier":
        """Train on images and their labels (N), which may be texts or numbers.

        Raises:
            RequestError: images of another kind, fewer than two classes, or settings that training refuses.
        """
        check_number("validation_fraction", self.validation_fraction, lambda x: 0 < x < 1, "lie in (0, 1)")
        classes, labels = _labels(y)
        recipe = self._recipe()
        with TemporaryDirectory(prefix="compoundnet-fit-") as scratch:
            files = _files(X, Path(scratch))
            if len(files) != len(labels):
                raise RequestError(f"X has {len(files)} images and y {len(labels)} labels; there must be one each")
            names = tuple(map(str, classes.tolist()))
            dataset = _dataset(files, labels.tolist(), names, self.validation_fraction, recipe.seed)
            folder = train(
                self.architecture,
                dataset,
                Path(scratch, "run"),
                weights=self.weights,
                recipe=recipe,
                device=self.device,
            )
            self.run_, self.classes_ = load(folder.path), classes
        return self

    def predict_proba(self, X: Images) -> NDArray[np.float64]:
        """(N, classes), in the order of ``classes_``; each row sums to 1."""
        check_is_fitted(self, "run_")
        with TemporaryDirectory(prefix="compoundnet-predict-") as scratch:
            files = _files(X, Path(scratch))
            split = Split(files=files, labels=(0,) * len(files))
            logits = outputs(self.run_.model, split, self.run_.preprocessing)
        shares: NDArray[np.float64] = logits.double().softmax(1).numpy()
        return shares

    def predict(self, X: Images) -> NDArray[Any]:
        """(N): the most probable of ``classes_``."""
        places = self.predict_proba(X).argmax(1)
        answers: NDArray[Any] = self.classes_[places]
        return answers

    def _recipe(self) -> Recipe:
        given = self.recipe
        if given is None:
            given = "finetune" if self.weights is not None else "scratch"
        recipe = read_recipe(str(given)) if isinstance(given, (str, Path)) else given
        if not isinstance(recipe, Recipe):
            raise RequestError(f"recipe is {recipe!r:.60}; it must be a name, a JSON file or a Recipe")
        return replace(
            recipe,
            epochs=recipe.epochs if self.epochs is None else _whole(self.epochs),
            seed=recipe.seed if self.random_state is None else _whole(self.random_state),
        )


def _whole(value: Any) -> Any:
    """A whole number of NumPy's, as a grid of settings holds them, as Python's; what else it is, a recipe will name."""
    return int(value) if isinstance(value, np.integer) else value


def _labels(y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """The classes, sorted, and the number of each image's."""
    column = column_or_1d(y)
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise RequestError("y has NaN or infinity in it; a label is a text or a whole number")
    try:
        classes, labels = np.unique(column, return_inverse=True)
    except TypeError as error:
        raise RequestError(
            f"y mixes kinds of labels that cannot be sorted ({error}); make all of them texts"
        ) from error
    if len(classes) < 2:
        raise RequestError(f"y has {len(classes)} class; there must be at least two to tell apart")
    return classes, labels


def _files(images: Images, folder: Path) -> tuple[Path, ...]:
    """Every image as a file: paths as they are, pixels as PNG in ``folder``, which loses nothing."""
    if isinstance(images, (str, Path)):
        raise RequestError(f"X is {str(images)!r}; it must be a list of paths, such as [{str(images)!r}]")
    if not isinstance(images, Iterable):
        raise RequestError(f"X is {images!r:.60}; it must be a list of paths or of uint8 arrays")
    files = tuple(_file(image, i, folder) for i, image in enumerate(images))
    if not files:
        raise RequestError("X has no images; give paths, or uint8 arrays (H, W) or (H, W, C)")
    return files


def _file(image: Any, i: int, folder: Path) -> Path:
    if isinstance(image, (str, Path)):
        if not Path(image).is_file():
            raise RequestError(f"X[{i}] is {str(image)!r}; there is no such file")
        return Path(image).absolute()
    pixels = np.asarray(image)
    if (
        not pixels.size
        or pixels.dtype != np.uint8
        or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4)))
    ):
        raise RequestError(
            f"X[{i}] is {pixels.dtype} of shape {pixels.shape}; "
            "an image is a path, or uint8 of shape (H, W) or (H, W, C) with C of 1, 3 or 4"
        )
    file = folder / f"{i}.png"
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(file, compress_level=1)
    return file


def _dataset(
    files: Sequence[Path], labels: Sequence[int], classes: tuple[str, ...], share: float, seed: int
) -> Dataset:
    """``share`` of each class is for validation, one image at least and never the only one; the rest for training."""
    order = np.random.default_rng(seed_for(seed, "validation")).permutation(len(files)).tolist()
    held_out: set[int] = set()
    for label in range(len(classes)):
        own = [i for i in order if labels[i] == label]
        held_out.update(own[: min(max(1, round(share * len(own))), len(own) - 1)])
    if not held_out:
        raise RequestError(f"X has one image of each of the {len(classes)} classes; training needs two of one at least")
    parts = {"train": [i for i in range(len(files)) if i not in held_out], "val": sorted(held_out), "test": []}
    splits = {
        name: Split(files=tuple(files[i] for i in chosen), labels=tuple(labels[i] for i in chosen))
        for name, chosen in parts.items()
    }
    content = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    lines = sorted(f"{name}\0{classes[labels[i]]}\0{content[i]}\n" for name, chosen in parts.items() for i in chosen)
    fingerprint = hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()
    return Dataset(name="X", classes=classes, fingerprint=fingerprint, bad=(), notes=(), **splits)
