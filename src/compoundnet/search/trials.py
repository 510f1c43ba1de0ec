"""One candidate of a study, and what came of it: values without storage or training."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from compoundnet.checks import check_choice, check_whole, finite
from compoundnet.errors import FailureError, RequestError
from compoundnet.scaling import Multipliers

__all__ = ["UNEQUAL", "Candidate", "Outcome", "State", "StorageError"]

UNEQUAL = 0.05
"""Share by which realised MACs may differ from what was asked for, or from each other, before it is said."""

State: TypeAlias = Literal["complete", "pruned", "failed"]

_LARGEST_SEED = 2**63 - 1  # what torch takes


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What one trial trains: a scaled network, once, from one seed.

    Attributes:
        network: identity of the realised network; two roundings to the same numbers share it.
        multipliers: of the baseline's depth, width and resolution.
        seed: of initialisation, order and augmentation.
        group: candidates compete for further training, and are compared, inside their group only
            (``"phi 1"``, ``"x4"``).
        tags: what a table shows beside the result: shares, rule, nominal and realised cost. Plain JSON values.

    Raises:
        RequestError: a value that cannot be, as in a damaged record.
    """

    network: str
    multipliers: Multipliers
    seed: int
    group: str
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("network", "group"):
            if not isinstance(getattr(self, name), str):
                raise RequestError(f"{name} is {getattr(self, name)!r:.60}; it must be a text")
        check_whole("seed", self.seed, least=0, most=_LARGEST_SEED)
        if not all(finite(m) and m > 0 for m in self.multipliers):
            raise RequestError(f"multipliers are {tuple(self.multipliers)!r:.60}; they must be positive numbers")
        if not isinstance(self.tags, Mapping):
            raise RequestError(f"tags are {self.tags!r:.60}; they must be a JSON object")

    @property
    def key(self) -> str:
        """Name of this trial, in file names too: the same for the same network, seed and group."""
        text = json.dumps([self.network, self.seed, self.group])
        return f"{hashlib.sha256(text.encode()).hexdigest()[:12]}-s{self.seed}"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that :meth:`from_json` reads back equal."""
        return {**asdict(self), "multipliers": list(self.multipliers), "tags": dict(self.tags)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Candidate":
        """The candidate of a dictionary that :meth:`to_json` made."""
        return cls(**{**record, "multipliers": Multipliers(*record["multipliers"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A trial that has ended.

    ``value`` is what is to be maximised (validation accuracy in 0..1), None if it failed; ``curve`` holds
    it after each epoch as far as the trial went; ``info`` is what else was measured (seconds, error, ...).

    Raises:
        RequestError: a value that cannot be, as in a damaged record.
    """

    candidate: Candidate
    state: State
    value: float | None
    curve: tuple[float, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("state", self.state, get_args(State))
        if not (self.value is None if self.state == "failed" else finite(self.value)):
            raise RequestError(f"value is {self.value!r:.60}; it must be a number, or null of a trial that failed")
        if not isinstance(self.info, Mapping):
            raise RequestError(f"info is {self.info!r:.60}; it must be a JSON object")
        if not all(isinstance(value, int | float) for value in self.curve):  # NaN for one: it was reported
            raise RequestError(f"curve is {self.curve!r:.60}; it must be numbers")


class StorageError(FailureError):
    """What a study keeps cannot be read or written now (a full disk, a server that is away): no trial is to blame."""
