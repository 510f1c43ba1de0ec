"""Errors for people: one clear line that repeats the request and says what would work."""

from collections.abc import Iterable
from difflib import get_close_matches
from textwrap import shorten

_NAMES_SHOWN = 40
_SHOWN = 160  # characters of somebody else's error

__all__ = ["FailureError", "RequestError", "StoppedError", "foreign", "plain", "unknown"]


class RequestError(ValueError):
    """A request that cannot be met as stated. The command line prints it and exits with 2."""


def unknown(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """The error for a name that is not in a table, with the nearest names that are.

    >>> str(unknown("colour", "gren", ["blue", "green"]))
    "unknown colour 'gren'; did you mean 'green'?"
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return RequestError(f"unknown {kind} {name!r}; did you mean {' or '.join(map(repr, near))}?")
    shown = ", ".join(names[:_NAMES_SHOWN]) + (
        f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    )
    return RequestError(f"unknown {kind} {name!r}; known: {shown}")


def foreign(error: BaseException) -> str:
    """Kind and message of an error of somebody else's code, on one short line; its ``__str__`` is their code too.

    >>> foreign(KeyError("no such\\nthing"))
    "KeyError: 'no such\\\\nthing'"
    """
    try:
        message = str(error)
    except Exception as another:
        message = f"its message raised {type(another).__name__}"
    return f"{type(error).__name__}: {shorten(message or 'no message', _SHOWN, placeholder='...')}"


def plain(text: str) -> str:
    """A name from a stranger's file for a terminal: short, on one line, nothing in it that a terminal obeys.

    >>> plain("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return shorten(text if text.isprintable() else repr(text)[1:-1], _SHOWN, placeholder="...")


class FailureError(RuntimeError):
    """Work that was asked for rightly and could not be done. The command line prints it and exits with 1."""


class StoppedError(Exception):
    """Work that was interrupted and saved: the same request goes on from there."""
