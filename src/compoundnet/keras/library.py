"""The Keras library, or one line that says what to install."""

from typing import Any

from compoundnet.errors import RequestError

try:
    import keras as _keras
except ModuleNotFoundError as error:
    package = (error.name or "").partition(".")[0]
    role = "" if package == "keras" else ", which Keras' backend computes with (KERAS_BACKEND=torch needs nothing more)"
    raise RequestError(
        f"compoundnet.keras needs the package {package}{role}; it is not installed: pip install 'compoundnet[keras]'"
    ) from error

__all__ = ["keras"]

keras: Any = _keras
"""The library as a value without types: it has none that a checker could read."""
