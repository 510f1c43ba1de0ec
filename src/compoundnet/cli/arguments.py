"""How a function becomes a verb: its signature is the command line, its docstring the help."""

import json
from collections.abc import Callable, Sequence
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


def call(verb: str, function: Callable[..., None], argv: Sequence[str]) -> None:
    """Call ``function`` with the arguments in ``argv``; a wrong command line exits with 2 and says why.

    RequestError: an output without a name, which would be the current folder.
    """
    for flag in ("-o", "--output"):
        if value_of(argv, flag) == "":
            raise RequestError(f"{flag} is ''; give a file or a folder")
    tyro.cli(function, prog=f"compoundnet {verb}", args=list(argv))


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
