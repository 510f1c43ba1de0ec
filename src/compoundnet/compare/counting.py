"""What networks cost, counted once: comparators take seconds each, so their counts are kept in the user's cache."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from compoundnet.baselines import FactoryBaseline
from compoundnet.compare.asked import Compared
from compoundnet.cost import Cost
from compoundnet.costs import cost
from compoundnet.data.files import cache_root
from compoundnet.files import write_atomically
from compoundnet.zoo import Comparator

__all__ = ["Tell", "counted_cost", "kept_file"]

Tell = Callable[[str], None]
"""Hears a sentence for a person."""

_MAKERS = ("compoundnet", "torch", "torchvision", "timm")  # whose code says what a comparator is made of


def counted_cost(network: Compared, tell: Tell) -> Cost:
    """The cost of a network; a comparator's, as a factory's, is kept for the next time.

    ``tell`` hears when a comparator has to be counted.

    Raises:
        RequestError: a comparator of timm's where timm is not installed.
    """
    if isinstance(network, FactoryBaseline):
        return network.count(1.0, 1.0, network.resolution)
    if not isinstance(network, Comparator):
        return cost(network)
    file = kept_file(network)
    kept = _read(file)
    if kept is not None:
        return kept
    tell(f"counting {network.name}, which is kept in {file.parent} for the next time")
    price = cost(network)
    with suppress(OSError):  # it only has to be counted again
        write_atomically(file, json.dumps(asdict(price)) + "\n")
    return price


def kept_file(network: Comparator) -> Path:
    """Where its count is kept: for these very settings and these versions of the libraries that make it."""
    digest = sha256(json.dumps([network.to_json(), *map(_version, _MAKERS)]).encode()).hexdigest()
    return cache_root() / "counts" / f"{network.name}-{digest[:12]}.json"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _read(file: Path) -> Cost | None:
    """None where there is nothing, or nothing that can be a cost."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        values = {field.name: record[field.name] for field in fields(Cost)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = all(isinstance(value, int) and value > 0 for value in values.values())
    return Cost(**values) if whole else None
