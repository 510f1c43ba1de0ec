"""The examples in the docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

from conftest import ROOT

SOURCE = ROOT / "src"
EXAMPLES = sorted(path for path in (SOURCE / "compoundnet").rglob("*.py") if ">>> " in path.read_text())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_examples(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0
