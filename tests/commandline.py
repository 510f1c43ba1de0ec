"""The command line inside a test: what it exits with, prints and says."""

import json
from typing import Any

import pytest

from compoundnet.cli import main

__all__ = ["run", "told"]


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def told(capsys: pytest.CaptureFixture[str], *argv: object) -> Any:
    """The JSON on standard output, and nothing on standard error."""
    code, out, err = run(capsys, *argv, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)
