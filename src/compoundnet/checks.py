"""Checks of values that a user gives: each raises RequestError naming the field, its value and what would be right."""

import math
import tempfile
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path

from compoundnet.errors import RequestError, unknown

__all__ = [
    "LARGEST",
    "check_choice",
    "check_number",
    "check_odd",
    "check_outside",
    "check_text",
    "check_whole",
    "check_writable",
    "check_yes_or_no",
    "finite",
]

LARGEST = 1_000_000
"""Of whole numbers, unless a check says otherwise: beyond it lies a slip of the pen, and a machine that hangs."""


def finite(value: object) -> bool:
    """Whether ``value`` is a number (NumPy's too, no bool) that is finite as a float; 10**400 is not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_whole(name: str, value: object, *, least: int = 1, most: int = LARGEST) -> None:
    """``value`` is an int in ``least..most``, and not a bool.

    >>> check_whole("channels", 0)
    Traceback (most recent call last):
    compoundnet.errors.RequestError: channels is 0; it must be a positive integer
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return
    kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
    too_large = f", at most {most}" if isinstance(value, int) and value > most else ""
    raise RequestError(f"{name} is {value!r}; it must be {kind}{too_large}")


def check_odd(name: str, value: object) -> None:
    """``value`` is a positive odd int, as the side of a kernel that has a middle."""
    check_whole(name, value)
    if isinstance(value, int) and value % 2 == 0:
        raise RequestError(f"{name} is {value}; it must be odd, such as 3 or 5")


def check_number(name: str, value: object, fits: Callable[[float], bool], right: str) -> None:
    """``value`` is a finite int or float (not a bool) that ``fits``. ``right`` follows "it must"."""
    if not isinstance(value, (int, float)) or not finite(value) or not fits(value):
        raise RequestError(f"{name} is {value!r:.60}; it must {right}")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """``value`` is one of the texts; the nearest are named if it is not."""
    choices = tuple(choices)
    if value not in choices:
        raise unknown(name, str(value), choices)


def check_yes_or_no(name: str, value: object) -> None:
    """``value`` is a bool."""
    if not isinstance(value, bool):
        raise RequestError(f"{name} is {value!r}; it must be true or false")


def check_text(name: str, value: object, example: str) -> None:
    """``value`` is a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise RequestError(f"{name} is {value!r}; it must be a text, such as {example!r}")


def check_writable(path: Path) -> None:
    """A file can be made at ``path``, as far as can be told beforehand; said before work whose result it would lose."""
    try:
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if path.is_dir():
            why = "it is a folder"
        elif not folder.is_dir():
            why = f"{str(folder)!r} is no folder"
        else:
            why = _untaken(folder)
    except (OSError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error)
    if why:
        raise RequestError(f"cannot write {str(path)!r}: {why}")


def _untaken(folder: Path) -> str:
    """Why a folder takes no file, empty if it does; found by making one, as permissions tell root nothing."""
    try:
        tempfile.NamedTemporaryFile(dir=folder, prefix=".partial-").close()
    except OSError as error:
        return f"{str(folder)!r} takes no file: {error.strerror}"
    return ""


def check_outside(name: str, output: str | Path, data: str | Path) -> None:
    """``output`` does not lie in the folder of images ``data``, which would grow by it."""
    if Path(data).is_dir() and Path(output).resolve().is_relative_to(Path(data).resolve()):
        raise RequestError(f"{name} {str(output)!r} would lie inside the images of {str(data)!r}; give another folder")
