"""Settings, names and preprocessing as a reader wants them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape

from compoundnet.preprocessing import Preprocessing
from compoundnet.units import SPACE

__all__ = [
    "breakable",
    "preprocessing_text",
    "settings",
]

_BREAKS = re.compile(r"([_/.-])(?=\w)")


def breakable(text: object) -> Markup:
    """The text, escaped, with places to break a long name: after ``_``, ``-``, ``/`` and a dot."""
    return Markup(_BREAKS.sub(r"\1<wbr>", str(escape(str(text)))))


def settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values as text, nested mappings with dotted names, in their order."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def preprocessing_text(preprocessing: Preprocessing) -> str:
    """What is done to a photograph, in words."""
    side = f"{preprocessing.resolution}{SPACE}×{SPACE}{preprocessing.resolution} pixels"
    short = f"{preprocessing.short_side}{SPACE}pixels"
    if preprocessing.crop == "squash":
        frame = f"squashed to {side} ({preprocessing.interpolation})"
        if preprocessing.crop_fraction < 1:
            frame = f"squashed to a square of {short} ({preprocessing.interpolation}), then the centre {side}"
    else:
        frame = f"short side to {short} ({preprocessing.interpolation}), then the centre {side}"
    return f"{frame}; minus mean {_text(preprocessing.mean)}, by deviation {_text(preprocessing.std)}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    return str(value)
