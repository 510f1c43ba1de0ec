"""The comparison as a value: a row a network, measured or published, in plain JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from compoundnet.compare.asked import Accuracy, Asked, asked_for
from compoundnet.compare.counting import Tell, counted_cost
from compoundnet.compare.latency import Latency, measure_latencies
from compoundnet.cost import Cost
from compoundnet.errors import RequestError
from compoundnet.scaling.latency import Setting

__all__ = ["COSTS", "Comparison", "CostName", "Row", "compare", "measured", "silent"]

CostName: TypeAlias = Literal["params", "macs", "activations", "latency"]

COSTS: tuple[CostName, ...] = get_args(CostName)
"""What accuracy can be drawn against."""


def silent(text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A network with what it costs here, None where it is not implemented, and what is known of its accuracy."""

    asked: Asked
    cost: Cost | None
    latency: Latency | None = None

    @property
    def label(self) -> str:
        """Its name; no two rows of a comparison have the same."""
        return self.asked.label

    @property
    def accuracy(self) -> Accuracy | None:
        """As published, or as a run measured it."""
        return self.asked.accuracy

    def value(self, cost: CostName) -> float | None:
        """What it costs by one of :data:`COSTS`, measured or else published; latency in ms. None: not known."""
        if cost == "latency":
            return None if self.latency is None else self.latency.median_ms
        return float(getattr(self.cost, cost)) if self.cost is not None else self.asked.published_value(cost)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; every row has the same keys."""
        asked, price = self.asked, self.cost
        kind = "run" if asked.run is not None else "network" if asked.network is not None else "published"
        side = asked.network.resolution if asked.network else asked.published and asked.published.resolution
        return {
            "label": asked.label,
            "name": asked.network.name if asked.network else None,
            "kind": kind,
            "resolution": side,
            **{key: getattr(price, key, None) for key in ("params", "macs", "activations")},
            "memory": {key: getattr(price, key, None) for key in ("weights_bytes", "inference_bytes")},
            "latency": self.latency and asdict(self.latency),
            "accuracy": asked.accuracy and {k: v for k, v in asdict(asked.accuracy).items() if k != "data"},
            "published": {key: self.asked.published_value(key) for key in ("params", "macs")},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The rows, and where latency was measured, if it was."""

    rows: tuple[Row, ...]
    setting: Setting | None = None
    machine: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        measured = None if self.setting is None else {**asdict(self.setting), "machine": self.machine}
        return {"networks": [row.to_json() for row in self.rows], "latency": measured}


def compare(
    networks: Sequence[str | Path] = (),
    *,
    paper: bool = False,
    side: int | None = None,
    latency: Setting | None = None,
    tell: Tell = silent,
) -> Comparison:
    """Networks side by side: parameters, MACs, activations and memory counted, latency measured if asked for.

    Args:
        networks: names (of the zoo, or as published), JSON files, factories and run folders; none: those of the paper.
        paper: the paper's as well.
        side: pixels that factories are given, 224 unless said.
        latency: how to run the networks; None: latency is not measured. All but architectures run in eager PyTorch.
        tell: hears of progress.

    Raises:
        RequestError: see :func:`compoundnet.compare.asked.asked_for`; a package that is missing, no such device; or
            latency of networks that are not implemented here.
        FailureError: an engine cannot run a network.
    """
    return measured(asked_for(networks, paper, side), latency=latency, tell=tell)


def measured(asked: Sequence[Asked], *, latency: Setting | None = None, tell: Tell = silent) -> Comparison:
    """:func:`compare` of what :func:`compoundnet.compare.asked.asked_for` gave."""
    built = [one.network for one in asked if one.network is not None]
    if latency is not None and not built:
        raise RequestError(
            f"no latency can be measured: {asked[0].label} is not implemented here; add a network of the zoo"
        )
    machine = None
    if latency is not None:
        from compoundnet.deploy.profile import machine_here

        machine = machine_here(latency)
    costs = {id(network): counted_cost(network, tell) for network in built}
    times = {} if latency is None else dict(zip(map(id, built), measure_latencies(built, latency, tell), strict=True))
    rows = (Row(asked=one, cost=costs.get(id(one.network)), latency=times.get(id(one.network))) for one in asked)
    return Comparison(rows=tuple(rows), setting=latency, machine=machine)
