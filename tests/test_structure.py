"""The habits that no linter checks: sizes, public names, light imports, and what a repository must not hold."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from conftest import ROOT

PACKAGE = ROOT / "src" / "compoundnet"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_FILE_BYTES = 350, 60, 1_000_000

MACHINE_PATH = re.compile(r"(?<![\w.~/-])/(?:home|root|Users|work|mnt)/\w")
PACKAGE_INDEX = re.compile(r"--(?:extra-)?index-url|https?://[^\s\"'<>]+/simple\b|registry\s*=\s*\"https?://")
PINNED = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z0-9_.<>=!'() ]+)?", re.IGNORECASE)

HEAVY = {"torch", "torchvision", "numpy", "sklearn", "PIL", "altair", "huggingface_hub"}

per_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def repository_files() -> tuple[Path, ...]:
    """All that git holds or would take."""
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("needs git and a checkout, to know which files belong to the repository")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    return tuple(path for name in names if name and (path := ROOT / name).is_file())


def text_lines() -> Iterator[tuple[str, str]]:
    """(file:number, line) of every text file of the repository."""
    for path in repository_files():
        content = path.read_bytes()
        if b"\0" not in content:
            for number, line in enumerate(content.decode().splitlines(), 1):
                yield f"{path.relative_to(ROOT)}:{number}", line


@per_module
def test_a_file_can_be_read_in_one_go(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES


@per_module
def test_a_function_fits_a_screen(path: Path) -> None:
    functions = (n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {f"{f.name}:{f.lineno}": f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


@per_module
def test_a_module_says_what_is_public(path: Path) -> None:
    assigned = (n for n in parsed(path).body if isinstance(n, ast.Assign | ast.AnnAssign))
    targets = (t for n in assigned for t in (n.targets if isinstance(n, ast.Assign) else [n.target]))
    assert path.name == "__main__.py" or "__all__" in {t.id for t in targets if isinstance(t, ast.Name)}


@per_module
def test_no_error_is_swallowed(path: Path) -> None:
    """Ruff sees ``except Exception: pass``; this sees ``suppress(Exception)`` and bodies that only say ``...``."""
    broad = {"Exception", "BaseException"}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            assert not broad & {ast.unparse(argument) for argument in node.args}, f"line {node.lineno}"
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in broad):
            assert not all(isinstance(s, ast.Pass | ast.Continue | ast.Expr) for s in node.body), f"line {node.lineno}"


def heavy_libraries_after(code: str) -> set[str]:
    """What of HEAVY a fresh interpreter has loaded once ``code`` has run."""
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["compoundnet", "compoundnet.cli", "compoundnet.cost", "compoundnet.scaling", "compoundnet.zoo"]
)
def test_import_loads_no_heavy_library(module: str) -> None:
    assert heavy_libraries_after(f"import {module}") == set()


@pytest.mark.parametrize("line", ["list", "describe efficientnet_b0 --json", "scale efficientnet_b0 --phi 1 --json"])
def test_verbs_that_only_describe_load_no_heavy_library(line: str) -> None:
    assert heavy_libraries_after(f"from compoundnet.cli import main; main({line.split()})") == set()


def test_the_light_import_check_can_see() -> None:
    assert heavy_libraries_after("import numpy") == {"numpy"}


def test_no_file_is_big() -> None:
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in repository_files()}
    assert sizes
    assert {name: size for name, size in sizes.items() if size > MAX_FILE_BYTES} == {}


def test_no_path_of_one_machine() -> None:
    assert [f"{where}: {line}" for where, line in text_lines() if MACHINE_PATH.search(line)] == []


def test_no_package_index_is_named() -> None:
    assert [f"{where}: {line}" for where, line in text_lines() if PACKAGE_INDEX.search(line)] == []


def test_constraints_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line)] == []


def test_version_has_one_source() -> None:
    import compoundnet

    assert compoundnet.__version__ == importlib.metadata.version("compoundnet")
