"""The command line: one verb a function, in ``describe`` (no torch), ``design``, ``learn`` and others.

A verb's module is imported only when the verb is called, so that describing and scaling answer at once.
Standard output carries the result alone (with ``--json`` for machines); everything else goes to
standard error. Exit 0: done, 1: failed, 2: bad request, 130: stopped, the same command goes on.
"""

import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from compoundnet.cli.process import keep_freed_memory
from compoundnet.errors import FailureError, RequestError, StoppedError, unknown

__all__ = ["main"]

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EBADF, errno.EIO)  # of a full or closed standard output

# verb: module, summary
_VERBS = {
    "list": ("describe", "names of the networks that are known"),
    "describe": ("describe", "stages and cost of a network"),
    "scale": ("describe", "a network scaled by a rule or by its axes"),
    "design": ("design", "the best scaling of a network under limits on its costs"),
    "profile": ("devices", "measure this device, to predict and limit latency"),
    "train": ("learn", "train on a folder of images; goes on where it was stopped"),
    "evaluate": ("learn", "judge a trained run on labelled images"),
    "predict": ("learn", "label images with a trained run"),
    "coefficients": ("search", "search alpha, beta, gamma for a network on your images"),
    "study": ("search", "compare one axis alone with compound scaling at equal cost"),
    "worker": ("search", "join a study from any process or machine"),
    "compare": ("compare", "networks and trained runs side by side: costs, accuracy, charts"),
    "demo": ("demo", "the whole story on real handwritten digits, offline, in under three minutes"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(list(sys.argv[1:] if argv is None else argv)))


def _run(argv: list[str]) -> int:
    try:
        status = _carried_out(argv)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has left is no error yet
        return status
    except RequestError as error:
        return _told(error, 2)
    except FailureError as error:
        return _told(error, 1)
    except StoppedError as error:
        return _told(f"{error}; the same command goes on from there", 130)
    except KeyboardInterrupt:
        return _told("interrupted; what was saved stays, and a training or study goes on with the same command", 130)
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _told(f"cannot write the output: {error.strerror}", 1)


def _carried_out(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        from importlib.metadata import version

        print(version("compoundnet"))
        return 0
    keep_freed_memory()
    if argv[0] not in _VERBS:
        raise unknown("verb", argv[0], _VERBS)
    command = getattr(import_module(f"compoundnet.cli.{_VERBS[argv[0]][0]}"), f"{argv[0]}_command")
    command(argv[1:])
    return 0


def _told(error: object, status: int) -> int:
    print(f"compoundnet: {error}", file=sys.stderr)
    return status


def _usage() -> str:
    width = max(map(len, _VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {summary}" for verb, (_, summary) in _VERBS.items())
    return (
        "usage: compoundnet VERB ...\n\n"
        "Find, scale, train and judge the convolutional network that fits your images and your budget.\n\n"
        f"{verbs}\n\n"
        "compoundnet VERB --help tells the rest."
    )
