"""compoundnet: find, scale, train, explain and ship the most accurate convolutional network that fits a budget.

Describing, counting and scaling are loaded at once and need no torch; what builds networks is loaded
when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Two functions share their names with modules, so they are bound here, after the modules are loaded.
from compoundnet.architecture import Architecture
from compoundnet.cost import Cost
from compoundnet.costs import cost
from compoundnet.scaling import Design, design, scale
from compoundnet.zoo import Comparator, architecture, list_architectures, list_networks, network

if TYPE_CHECKING:
    from compoundnet.estimator import CompoundNetClassifier
    from compoundnet.factory import create
    from compoundnet.hub import from_pretrained, push_to_hub, save_pretrained
    from compoundnet.run import load
    from compoundnet.weights import read_weights, write_weights

__all__ = [
    "Architecture",
    "Comparator",
    "CompoundNetClassifier",
    "Cost",
    "Design",
    "architecture",
    "cost",
    "create",
    "design",
    "from_pretrained",
    "list_architectures",
    "list_networks",
    "load",
    "network",
    "push_to_hub",
    "read_weights",
    "save_pretrained",
    "scale",
    "write_weights",
]

_LOADED_WHEN_USED = {
    "CompoundNetClassifier": "compoundnet.estimator",
    "create": "compoundnet.factory",
    "from_pretrained": "compoundnet.hub",
    "load": "compoundnet.run",
    "push_to_hub": "compoundnet.hub",
    "read_weights": "compoundnet.weights",
    "save_pretrained": "compoundnet.hub",
    "write_weights": "compoundnet.weights",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("compoundnet")
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module 'compoundnet' has no attribute {name!r}")
    return getattr(import_module(_LOADED_WHEN_USED[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
