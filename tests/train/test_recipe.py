"""The recipe as a value: what it refuses, and its way through JSON."""

import json
import math
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.data import Augmentation
from compoundnet.errors import RequestError
from compoundnet.train import RECIPES, Recipe, read_recipe
from compoundnet.train.recipe import ClassWeights, NormPolicy, Optimizer, Precision, Schedule

shares = st.floats(0, 1)
positive = st.floats(0, 1e6)
pairs = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(lambda pair: tuple(sorted(pair)))
augmentations = st.builds(
    Augmentation,
    crop_scale=pairs,
    crop_ratio=pairs,
    flip=st.booleans(),
    randaugment_ops=st.integers(0, 20),
    randaugment_magnitude=st.integers(0, 30),
    mixup=positive,
    cutmix=positive,
)
recipes = st.builds(
    Recipe,
    head_epochs=st.integers(0, 1000),
    epochs=st.integers(1, 1000),
    batch_size=st.integers(1, 4096),
    accumulate=st.integers(1, 64),
    optimizer=st.sampled_from(get_args(Optimizer)),
    schedule=st.sampled_from(get_args(Schedule)),
    norm=st.sampled_from(get_args(NormPolicy)),
    class_weights=st.sampled_from(get_args(ClassWeights)),
    precision=st.sampled_from(get_args(Precision)),
    learning_rate=positive,
    backbone_factor=positive,
    weight_decay=positive,
    warmup_epochs=positive,
    clip_norm=positive,
    momentum=shares,
    label_smoothing=shares,
    ema_decay=shares,
    dropout=st.none() | shares,
    drop_path=st.none() | shares,
    resolution=st.none() | st.integers(8, 1024),
    seed=st.integers(0, 2**40),
    augmentation=augmentations,
)


@given(recipes)
def test_json_round_trip(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_are_found_and_survive_a_file(name: str, tmp_path: Path) -> None:
    assert read_recipe(name) is RECIPES[name]
    file = tmp_path / "r.json"
    file.write_text(json.dumps(RECIPES[name].to_json()))
    assert read_recipe(str(file)) == RECIPES[name]


def test_fields_left_out_take_their_defaults() -> None:
    record = {"epochs": 3, "augmentation": {"flip": False}}
    assert Recipe.from_json(record) == Recipe(epochs=3, augmentation=Augmentation(flip=False))


def test_every_field_is_documented() -> None:
    assert Recipe.__doc__ is not None
    for field in fields(Recipe):
        assert f"        {field.name}: " in Recipe.__doc__


WHOLE = ("epochs", "head_epochs", "batch_size", "accumulate", "patience", "small_set", "seed", "resolution")
RATES = (
    *("learning_rate", "head_learning_rate", "backbone_factor", "weight_decay", "head_weight_decay"),
    *("warmup_epochs", "step_epochs", "clip_norm"),
)
SHARES = ("momentum", "label_smoothing", "ema_decay", "step_decay", "dropout", "drop_path", "head_is_enough")
CHOICES = ("optimizer", "schedule", "norm", "class_weights", "precision")
MAY_BE_NONE = ("dropout", "drop_path", "resolution")
WRONG = [
    *((name, value) for name in WHOLE for value in (-1, 2.5, 1.0, True, "3", math.inf, math.nan, [1])),
    *((name, value) for name in RATES for value in (-0.1, True, "3", math.inf, math.nan)),
    *((name, value) for name in SHARES for value in (-0.1, 1.1, False, "3", math.nan)),
    *((name, value) for name in CHOICES for value in ("magic", 3)),
    *((name, None) for name in (*WHOLE, *RATES, *SHARES, *CHOICES) if name not in MAY_BE_NONE),
    *(("batch_size", 0), ("accumulate", 0), ("resolution", 7)),
]


def test_every_number_and_choice_is_checked() -> None:
    assert {f.name for f in fields(Recipe)} == {*WHOLE, *RATES, *SHARES, *CHOICES, "augmentation"}


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda x: str(x))
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(RequestError, match=rf"recipe {name}") as caught:
        Recipe(**{name: value})
    assert str(value) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nearest_choices_are_suggested() -> None:
    with pytest.raises(RequestError, match=r"unknown recipe optimizer 'adam'; did you mean 'adamw'\?"):
        Recipe(optimizer="adam")  # type: ignore[arg-type]


def test_one_phase_must_train() -> None:
    with pytest.raises(RequestError, match="epochs and head_epochs are both 0; at least one"):
        Recipe(epochs=0)
    assert Recipe(epochs=0, head_epochs=1).epochs == 0


BAD_RECORDS = {
    "unknown field": ({"epoch": 3}, r"unknown field in recipe 'epoch'; did you mean 'epochs'"),
    "unknown augmentation": (
        {"augmentation": {"flop": 1}},
        r"unknown field in augmentation 'flop'; did you mean 'flip'",
    ),
    "a list": ([1], r"recipe is \[1\]; it must be a JSON object"),
    "augmentation a number": ({"augmentation": 3}, r"augmentation is 3; it must be a JSON object"),
    "a float for a count": ({"batch_size": 2.5}, r"recipe batch_size is 2.5; it must be a positive integer"),
    "a seed beyond torch's": ({"seed": 2**63}, r"recipe seed is 9223372036854775808; it must be .*at most"),
    "epochs without end": ({"epochs": 10**400}, r"recipe epochs is 1000.*at most 1000000"),
    "a rate beyond reason": ({"learning_rate": 1e38}, r"recipe learning_rate is 1e\+38; it must be a number from 0"),
    "null": ({"momentum": None}, r"recipe momentum is None; it must be a number in 0..1"),
    "crop_scale a number": ({"augmentation": {"crop_scale": 3}}, r"recipe has a value of the wrong type"),
    "mixup a word": ({"augmentation": {"mixup": "much"}}, r"recipe has a value of the wrong type"),
    "too many ops": ({"augmentation": {"randaugment_ops": 21}}, r"augmentation.randaugment_ops is 21"),
}


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_bad_files(tmp_path: Path, case: str) -> None:
    record, said = BAD_RECORDS[case]
    with pytest.raises(RequestError, match=said):
        Recipe.from_json(record)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(record))
    with pytest.raises(RequestError, match=rf"recipe .*mine\.json: {said}"):
        read_recipe(str(file))


def test_read_recipe_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"unknown recipe 'finetun'; did you mean 'finetune'\?"):
        read_recipe("finetun")
    with pytest.raises(RequestError, match=r"cannot read recipe .*none\.json': No such file"):
        read_recipe(str(tmp_path / "none.json"))
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(RequestError, match=r"cannot read recipe .*folder\.json': Is a directory"):
        read_recipe(str(tmp_path / "folder.json"))
    for content in (b"{", b"\xff\xfe\x00", b""):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(RequestError, match=r"recipe .*bad\.json: "):
            read_recipe(str(tmp_path / "bad.json"))


def test_to_json_is_plain() -> None:
    record = RECIPES["scratch"].to_json()
    assert record == json.loads(json.dumps(record))
    assert record["augmentation"]["crop_scale"] == [0.25, 1.0]
    assert record != asdict(RECIPES["scratch"])  # whose pairs are tuples, which never equal what a file holds


def test_recipes_are_values() -> None:
    assert replace(Recipe(), epochs=3) == Recipe(epochs=3)
    assert len({Recipe(), Recipe(), Recipe(epochs=3)}) == 2
