"""How a function becomes a verb: its signature is the command line, its docstring the help."""

import io
import json
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any

import tyro

from compoundnet.errors import RequestError

__all__ = ["Arch", "Data", "Flag", "Json", "Output", "RunPath", "call", "print_json", "value_of"]

Arch = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ARCH")]
Data = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Output = tyro.conf.arg(aliases=["-o"])
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""``--name``, or ``--no-name`` where the default is True."""
Json = Flag
"""``--json``: the result for machines, on standard output."""


_FRAME = re.compile("[─-]{4}")  # of a terminal without Unicode too
_JARGON = re.compile(r"Error parsing (\S+): no type matching (?:\{None\}\|)?(\S+) could be instantiated from \[(.*)\]")
_KINDS = {"INT": "an integer", "FLOAT": "a number", "PATH": "a path"}


def call(verb: str, function: Callable[..., None], argv: Sequence[str]) -> None:
    """Call ``function`` with the arguments in ``argv``; a wrong command line exits with 2 and says why.

    RequestError: an output without a name, which would be the current folder.
    """
    for flag in ("-o", "--output"):
        if value_of(argv, flag) == "":
            raise RequestError(f"{flag} is ''; give a file or a folder")
    _parsed(verb, function, argv)()


def _parsed(verb: str, function: Callable[..., None], argv: Sequence[str]) -> Callable[[], None]:
    """``function`` with its arguments, not called yet. RequestError: a wrong command line."""

    @wraps(function)
    def asked(*args: Any, **named: Any) -> Callable[[], None]:
        return partial(function, *args, **named)

    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            parsed: Callable[[], None] = tyro.cli(asked, prog=f"compoundnet {verb}", args=list(argv))
    except SystemExit as end:
        if not end.code:
            raise
        raise RequestError(f"{_in_one_line(complaint.getvalue())}; see compoundnet {verb} --help") from end
    return parsed


def _in_one_line(box: str) -> str:
    """What tyro says in a box of many lines: the first part of it, and the flags that it holds for meant."""
    lines = box.splitlines()
    parts: list[list[str]] = [[]]
    for line in lines if _FRAME.search(lines[0]) else lines[1:]:  # the title is in the frame, or on a line of its own
        text = line.strip("│| ")
        if not text or _FRAME.search(text):
            parts.append([])
        else:
            parts[-1].append(text)
    first, *more = [" ".join(part) for part in parts if part]
    meant = [flag for part in more if part.startswith("Perhaps") for flag in re.findall(r"(?<!\S)--[\w-]+", part)]
    said = _JARGON.sub(lambda m: f"{m[1]} is {m[3]}; it must be {_KINDS.get(m[2], m[2])}", first)
    said = re.sub(r"^Error parsing \w+: ", "", said).rstrip(".")
    return f"{said}; did you mean {' or '.join(dict.fromkeys(meant))}?" if meant else said


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


def value_of(argv: Sequence[str], flag: str) -> str | None:
    """The value of a flag before the command line is parsed as a whole."""
    for i, word in enumerate(argv):
        if word == flag:
            return argv[i + 1] if i + 1 < len(argv) and argv[i + 1] != "None" else None
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return None
