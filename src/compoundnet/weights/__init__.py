"""Weights: a registry of published ones, files and the hub, one adapter a layout.

``read_weights`` gives :class:`Weights`, the state with its preprocessing; ``apply_weights`` puts it into a network,
``write_weights`` into a file that others load.
"""

from compoundnet.weights.load import Applied, Weights, adapt_input, apply_weights
from compoundnet.weights.read import read_weights
from compoundnet.weights.registry import Record, find, published
from compoundnet.weights.write import write_weights

__all__ = [
    "Applied",
    "Record",
    "Weights",
    "adapt_input",
    "apply_weights",
    "find",
    "published",
    "read_weights",
    "write_weights",
]
