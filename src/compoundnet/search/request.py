"""A study as a request: what is asked for, as plain JSON in the study's storage, which every worker reads."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from compoundnet.architecture import Architecture
from compoundnet.baselines import SIDE, is_factory, open_baseline
from compoundnet.checks import check_choice, check_number, check_text, check_whole
from compoundnet.data import Dataset
from compoundnet.errors import RequestError
from compoundnet.scaling.accuracy import baseline_in_words
from compoundnet.scaling.baseline import AXES, ArchitectureBaseline, Axis
from compoundnet.scaling.compound import Rule, find
from compoundnet.search.trials import UNEQUAL
from compoundnet.train.recipe import Recipe
from compoundnet.units import counted

__all__ = ["Kind", "Method", "Request", "request_for"]

Kind = Literal["coefficients", "axes"]
Method = Literal["grid", "model"]

_REDUCTION = 3
_OF_THE_HEAD = ("head_epochs", "head_learning_rate", "head_weight_decay", "small_set", "head_is_enough")
_BASELINES = ({"architecture"}, {"factory", "resolution"})  # the keys of its two forms


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a study is asked for.

    Attributes:
        kind: the search of alpha, beta, gamma, or the comparison of axes.
        baseline: ``{"architecture": {...}}`` or ``{"factory": "package.module:name", "resolution": 224}``.
        data: where the images were; a worker elsewhere may name another place with the same images.
        fingerprint: of the images that are used.
        train_images: how many of them are trained on; None: all.
        val_images: how many of them judge; None: all.
        recipe: of every training; its seed is the first.
        seeds: trainings of each network, from as many seeds.
        phis: of coefficients: cost factors 2^phi.
        networks: of coefficients: how many distinct ones are tried at each phi.
        tolerance: of coefficients: how far realised MACs may lie from 2^phi times the baseline's, as a share.
        method: of coefficients: ``grid`` spreads the networks evenly; ``model`` begins with a third of them, and then
            takes from a pool four times as large the one that promises most.
        factors: of axes: cost factors.
        rules: of axes: published rules by name, or shares [depth, width, resolution] by any name.
        bases: of axes: multipliers (depth, resolution) of larger baselines that are scaled in width alone.
        min_epochs: before which no trial is given up; 0: none is.
        reduction: of successive halving: how many arrive at a rung for one that goes on.

    Raises:
        RequestError: a value that cannot be.
    """

    kind: Kind
    baseline: Mapping[str, Any]
    data: str
    fingerprint: str
    train_images: int | None
    val_images: int | None
    recipe: Mapping[str, Any]
    seeds: int = 3
    phis: tuple[float, ...] = (1.0,)
    networks: int = 15
    tolerance: float = 0.05
    method: Method = "grid"
    factors: tuple[float, ...] = (2.0, 4.0)
    rules: Mapping[str, Any] | None = None
    bases: tuple[tuple[float, float], ...] = ()
    min_epochs: int = 0
    reduction: int = _REDUCTION

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, get_args(Kind))
        check_choice("method", self.method, get_args(Method))
        check_text("data", self.data, "photos")
        check_text("fingerprint", self.fingerprint, "9f86d0")
        if not isinstance(self.baseline, Mapping) or set(self.baseline) not in _BASELINES:
            raise RequestError(f"baseline is {self.baseline!r:.60}; it must hold an architecture or a factory")
        Recipe.from_json(self.recipe)
        for name, least in (("seeds", 1), ("networks", 3), ("min_epochs", 0), ("reduction", 2)):
            check_whole(name, getattr(self, name), least=least)
        for name in ("train_images", "val_images"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name))
        check_number("tolerance", self.tolerance, lambda x: 0 < x <= 0.5, "lie in (0, 0.5], such as 0.05")
        _check_numbers("phis", self.phis, 0, 10)
        told_apart = math.log2(1 + 2 * self.tolerance)
        if min(self.phis) < told_apart:
            raise RequestError(
                f"phi {min(self.phis):g} is {2 ** min(self.phis):.4g} times the baseline's MACs, which a tolerance of "
                f"{self.tolerance:g} does not tell from the baseline's; "
                f"give a phi of at least {told_apart:.2f}, or less tolerance"
            )
        _check_numbers("factors", self.factors, 1, 1000)
        if self.kind == "axes" and min(self.factors) < 1 + 2 * UNEQUAL:
            raise RequestError(
                f"factor {min(self.factors)} is not told from the baseline, as MACs may lie {UNEQUAL:.0%} beside their "
                f"factor; give one of at least {1 + 2 * UNEQUAL:g}"
            )
        _check_bases(self.bases)
        self.named_rules()
        if self.kind == "axes":
            check_choice("method of axes", self.method, ("grid",))
            if not self.rules and not self.bases:
                raise RequestError("rules is empty; a comparison needs one or more, such as depth, width, efficientnet")

    def named_rules(self) -> dict[str, Rule]:
        """The rules that are compared, by name; RequestError if one cannot be."""
        if not isinstance(self.rules, Mapping | None):
            raise RequestError(f"rules are {self.rules!r:.60}; they must be a JSON object of names and shares")
        return {name: _rule(name, shares) for name, shares in (self.rules or {}).items()}

    @property
    def baseline_in_words(self) -> str:
        """What is scaled, as accuracy models and designs say it."""
        described: Mapping[str, Any] = self.baseline.get("architecture", self.baseline)
        return baseline_in_words(described.get("factory") or described["name"], described["resolution"])

    @property
    def scales(self) -> Collection[Axis]:
        """The axes that are scaled: those of the rules and of the bases, or all."""
        rules = [*self.named_rules().values(), *([find("width")] if self.bases else [])]
        moved = {"depth": any(d != 1 for d, _ in self.bases), "resolution": any(r != 1 for _, r in self.bases)}
        return [a for a in AXES if moved.get(a) or any(getattr(rule, a) for rule in rules)] if rules else AXES

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, without the bases where there are none: studies made before there were any stay the same."""
        record = {name: getattr(self, name) for name in self.__slots__ if name != "bases" or self.bases}
        plain: dict[str, Any] = json.loads(json.dumps(record))
        return plain

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Request":
        """The request of a dictionary that :meth:`to_json` made. RequestError: another version made it, or damage."""
        try:
            bases = tuple(map(tuple, record.get("bases", ())))
            return cls(**{**record, "phis": tuple(record["phis"]), "factors": tuple(record["factors"]), "bases": bases})
        except (TypeError, KeyError) as error:
            raise RequestError(
                f"the study's request cannot be read ({error}); it was written by another version"
            ) from error


def request_for(
    kind: Kind,
    baseline: str | Architecture,
    data: str,
    recipe: Recipe,
    *,
    dataset: Dataset,
    resolution: int | None = None,
    **more: Any,
) -> Request:
    """The request for a study of ``baseline`` (a name, a file, a factory) on ``dataset``, read from ``data``.

    Raises:
        RequestError: a baseline, recipe or number that cannot be, or would change nothing.
    """
    _check_recipe(recipe)
    described = _described(baseline, resolution)
    _check_rates(recipe, described)
    request = Request(
        kind=kind,
        baseline=described,
        data=data if ":" in data else str(Path(data).resolve()) if Path(data).exists() else data,
        fingerprint=dataset.fingerprint,
        recipe=recipe.to_json(),
        **more,
    )
    _check_halving(request, recipe.epochs)
    return request


def _check_recipe(recipe: Recipe) -> None:
    """RequestError: what a study cannot do, since its networks train as a whole, each at its own resolution."""
    if recipe.resolution is not None:
        raise RequestError(f"recipe resolution is {recipe.resolution}; the networks of a study train at their own")
    if not recipe.epochs:
        raise RequestError("recipe epochs is 0; the networks of a study train as a whole: give one epoch or more")
    if recipe.patience:
        raise RequestError(
            f"recipe patience is {recipe.patience}; the networks of a study are compared after as many epochs each: "
            "leave it at 0"
        )
    usual = Recipe()
    for name in _OF_THE_HEAD:
        value, ignored = getattr(recipe, name), getattr(usual, name)
        if value != ignored:
            raise RequestError(
                f"recipe {name} is {value}; the networks of a study train as a whole, without a phase of the "
                f"classifier alone: leave it at {ignored}"
            )


def _check_rates(recipe: Recipe, described: Mapping[str, Any]) -> None:
    """RequestError: rates for a factory, whose networks have what it gives them."""
    for name in ("dropout", "drop_path"):
        if "factory" in described and getattr(recipe, name):
            raise RequestError(
                f"recipe {name} is {getattr(recipe, name)}, which goes with an architecture; the networks of "
                f"{described['factory']} have what it gives them"
            )


def _check_halving(request: Request, epochs: int) -> None:
    """RequestError: successive halving that gives up nothing."""
    if not request.min_epochs and request.reduction != _REDUCTION:
        raise RequestError(f"reduction {request.reduction} goes with min_epochs, before which no training is given up")
    if request.min_epochs >= epochs:
        raise RequestError(
            f"min_epochs is {request.min_epochs} and trainings have {counted(epochs, 'epoch')}, so that none would be "
            "given up: give fewer, or 0"
        )


def _described(baseline: str | Architecture, resolution: int | None) -> dict[str, Any]:
    """As in :attr:`Request.baseline`; a factory is opened when the study is prepared."""
    if isinstance(baseline, str) and is_factory(baseline):
        return {"factory": baseline, "resolution": SIDE if resolution is None else resolution}
    opened = open_baseline(baseline, resolution)
    assert isinstance(opened, ArchitectureBaseline)
    return {"architecture": json.loads(opened.architecture.to_json())}


def _rule(name: str, shares: Sequence[float] | None) -> Rule:
    if shares is None:
        return find(name)
    if not isinstance(shares, list | tuple) or len(shares) != len(AXES):
        raise RequestError(f"rule {name!r} is {shares!r:.60}; it must be shares of depth, width and resolution")
    return Rule(**dict(zip(AXES, shares, strict=True)))


def _check_bases(bases: Sequence[Sequence[float]]) -> None:
    for base in bases:
        if len(base) != 2:
            raise RequestError(f"base is {list(base)!r:.60}; it must be two multipliers, of depth and of resolution")
        for axis, value in zip(("depth", "resolution"), base, strict=True):
            check_number(f"{axis} of base {list(base)!r:.60}", value, lambda x: 1 <= x <= 100, "lie in [1, 100]")
    if len({f"{depth:g},{resolution:g}" for depth, resolution in bases}) < len(bases):  # their lines are called so
        raise RequestError(f"bases are {list(bases)}; each must be given once, in six digits at most")


def _check_numbers(name: str, values: Sequence[float], above: float, most: float) -> None:
    for value in values:
        check_number(name, value, lambda x: above < x <= most, f"lie in ({above}, {most}]")
    if not values or len({f"{value:g}" for value in values}) < len(values):  # groups are called so
        raise RequestError(f"{name} is {list(values)}; it must be one or more different numbers, of six digits at most")
