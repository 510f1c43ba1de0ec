"""One candidate of a study, and what came of it: values without storage or training."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from compoundnet.errors import FailureError
from compoundnet.scaling import Multipliers

__all__ = ["UNEQUAL", "Candidate", "Outcome", "State", "StorageError"]

UNEQUAL = 0.05
"""Share by which realised MACs may differ from what was asked for, or from each other, before it is said."""

State: TypeAlias = Literal["complete", "pruned", "failed"]


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
    """

    network: str
    multipliers: Multipliers
    seed: int
    group: str
    tags: Mapping[str, Any] = field(default_factory=dict)

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
    """

    candidate: Candidate
    state: State
    value: float | None
    curve: tuple[float, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)


class StorageError(FailureError):
    """What a study keeps cannot be read or written now (a full disk, a server that is away): no trial is to blame."""
