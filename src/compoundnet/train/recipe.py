"""A recipe: everything about a training but the architecture and the data, as one value."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from compoundnet.checks import LARGEST, check_choice, check_number, check_whole
from compoundnet.data.augment import Augmentation
from compoundnet.errors import RequestError, unknown

__all__ = ["RECIPES", "Recipe", "read_recipe"]

Optimizer = Literal["adamw", "sgd", "rmsprop"]
Schedule = Literal["cosine", "step"]
NormPolicy = Literal["train", "frozen", "precise"]
ClassWeights = Literal["auto", "balanced", "none"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "norm": get_args(NormPolicy),
    "class_weights": get_args(ClassWeights),
    "precision": get_args(Precision),
}
_WHOLE_FROM = {  # the least that each may be
    "epochs": 0, "head_epochs": 0, "batch_size": 1, "accumulate": 1, "patience": 0, "small_set": 0, "seed": 0,
    "resolution": 8,
}  # fmt: skip
_NOT_NEGATIVE = (
    "learning_rate", "head_learning_rate", "backbone_factor", "weight_decay", "head_weight_decay", "warmup_epochs",
    "step_epochs", "clip_norm",
)  # fmt: skip
_SHARES = ("momentum", "label_smoothing", "ema_decay", "step_decay", "dropout", "drop_path", "head_is_enough")
_LARGEST_NUMBER = 1e30  # float32 overflows not far beyond
_LARGEST_SEED = 2**63 - 1  # what torch takes
_MAY_BE_NONE = ("dropout", "drop_path", "resolution")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A training in up to two phases: the classifier on the frozen network's features, then the whole network.

    Rates are per optimiser step; an epoch is one pass over the training images.

    Attributes:
        head_epochs: passes of the first phase; 0 leaves it out.
        head_learning_rate: its step size, on standardised features.
        head_weight_decay: its decay, on standardised features.
        small_set: with fewer training images than this the second phase is left out if the first is enough.
        head_is_enough: validation accuracy from which it is.
        epochs: passes of the second phase; 0 leaves it out.
        batch_size: images in a step of the network.
        accumulate: batches whose gradients make one optimiser step.
        optimizer: adamw, sgd (Nesterov) or rmsprop (torch's).
        learning_rate: peak rate, for ``batch_size * accumulate`` images.
        backbone_factor: the pretrained layers' rate as a share of the classifier's.
        momentum: of sgd and rmsprop.
        weight_decay: decoupled in adamw; not on norms and biases.
        schedule: cosine to 0, or times ``step_decay`` every ``step_epochs``.
        step_epochs: see schedule.
        step_decay: see schedule.
        warmup_epochs: linear from 0.
        label_smoothing: share of the target given to all classes alike.
        class_weights: balanced weighs classes inversely to their size; auto does where sizes differ 4-fold.
        ema_decay: of the moving average that is evaluated and kept, min(decay, (1 + t) / (10 + t)); 0: none.
        norm: batch norms train as usual, stay frozen, or are re-estimated precisely after each epoch.
        dropout: before the classifier; None: the architecture's.
        drop_path: stochastic depth; None: the architecture's.
        resolution: side of training images in pixels; None: that of evaluation.
        clip_norm: largest gradient norm; 0: no clipping.
        precision: of the network's arithmetic; auto: on a GPU bfloat16 or, without it, float16, else float32.
        patience: epochs without a better validation result before stopping early; 0: never.
        seed: of every random choice.
        augmentation: how training images vary.
    """

    head_epochs: int = 0
    head_learning_rate: float = 0.001
    head_weight_decay: float = 1.0
    small_set: int = 0
    head_is_enough: float = 0.95
    epochs: int = 30
    batch_size: int = 32
    accumulate: int = 1
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    backbone_factor: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 0.05
    schedule: Schedule = "cosine"
    step_epochs: float = 2.4
    step_decay: float = 0.97
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.1
    class_weights: ClassWeights = "auto"
    ema_decay: float = 0.0
    norm: NormPolicy = "train"
    dropout: float | None = None
    drop_path: float | None = None
    resolution: int | None = None
    clip_norm: float = 0.0
    precision: Precision = "auto"
    patience: int = 0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            check_choice(f"recipe {name}", getattr(self, name), choices)
        for name, least in _WHOLE_FROM.items():
            if getattr(self, name) is not None or name not in _MAY_BE_NONE:
                most = _LARGEST_SEED if name == "seed" else LARGEST
                check_whole(f"recipe {name}", getattr(self, name), least=least, most=most)
        for name in _NOT_NEGATIVE:
            self._check(name, lambda x: 0 <= x <= _LARGEST_NUMBER, f"be a number from 0 to {_LARGEST_NUMBER:g}")
        for name in _SHARES:
            self._check(name, lambda x: 0 <= x <= 1, "be a number in 0..1")
        if not self.epochs and not self.head_epochs:
            raise RequestError("recipe epochs and head_epochs are both 0; at least one phase must train")

    def _check(self, name: str, fits: Callable[[float], bool], right: str) -> None:
        if getattr(self, name) is not None or name not in _MAY_BE_NONE:
            check_number(f"recipe {name}", getattr(self, name), fits, right)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that :meth:`from_json` reads back equal."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self)))  # tuples become lists, as in a file
        return record

    @classmethod
    def from_json(cls, record: Any) -> "Recipe":
        """The recipe of a dictionary; fields left out take their defaults. RequestError names a wrong one."""
        values = _known(record, cls, "recipe")
        try:
            if "augmentation" in values:
                values["augmentation"] = Augmentation(**_known(values["augmentation"], Augmentation, "augmentation"))
            return cls(**values)
        except TypeError as error:
            raise RequestError(f"recipe has a value of the wrong type: {error}") from error


RECIPES: dict[str, Recipe] = {
    # From pretrained weights. The classifier first, alone: it costs one pass, and on a small set of
    # everyday photographs nothing more is needed (docs/decisions/020-small-sets.md).
    "finetune": Recipe(
        head_epochs=60,
        small_set=2000,
        epochs=8,
        learning_rate=1e-3,
        backbone_factor=0.1,
        weight_decay=0.01,
        norm="frozen",
        drop_path=0.1,
        patience=4,
        augmentation=Augmentation(crop_scale=(0.35, 1.0)),
    ),
    # From nothing: the regularisation of a modern recipe at a size that a small machine can train.
    "scratch": Recipe(
        epochs=60,
        learning_rate=2e-3,
        warmup_epochs=3,
        ema_decay=0.999,
        augmentation=Augmentation(
            crop_scale=(0.25, 1.0), randaugment_ops=2, randaugment_magnitude=7, mixup=0.2, cutmix=1.0
        ),
    ),
    # Short trainings of small networks, to rank candidates: regularisation that pays only over many epochs is off.
    "proxy": Recipe(
        epochs=12,
        batch_size=64,
        learning_rate=4e-3,
        warmup_epochs=1,
        dropout=0.0,
        drop_path=0.0,
        augmentation=Augmentation(crop_scale=(0.5, 1.0)),
    ),
}
"""Recipes by name."""


def read_recipe(name: str) -> Recipe:
    """The recipe of that name, or the one in a JSON file (a path that ends in ``.json``).

    Raises:
        RequestError: no such recipe or file, or a file that is not a recipe.
    """
    if not name.endswith(".json"):
        if name not in RECIPES:
            raise unknown("recipe", name, RECIPES)
        return RECIPES[name]
    try:
        return Recipe.from_json(json.loads(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise RequestError(f"cannot read recipe {name!r}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # RequestError and JSONDecodeError are ValueErrors
        raise RequestError(f"recipe {name}: {error}") from error


def _known(record: Any, cls: type, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise RequestError(f"{where} is {record!r:.60}; it must be a JSON object")
    known = [f.name for f in fields(cls)]
    for key in record:
        if key not in known:
            raise unknown(f"field in {where}", key, known)
    return dict(record)
