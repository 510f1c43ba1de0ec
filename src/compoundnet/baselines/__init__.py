"""Baselines by name: a zoo name, a JSON file, or ``package.module:factory`` for networks of any kind."""

from compoundnet.baselines.factory import SIDE, FactoryBaseline, Scaled, aside
from compoundnet.baselines.opening import is_factory, open_baseline

__all__ = ["SIDE", "FactoryBaseline", "Scaled", "aside", "is_factory", "open_baseline"]
