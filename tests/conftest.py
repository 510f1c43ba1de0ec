"""What every test may use: the shared data, a cache of its own, one thread a worker, hypothesis profiles.

Nothing here imports torch: the tests of the torch-free rooms stay fast.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

__all__ = ["ROOT", "SHARED", "needs_shared"]

# pytest loads this file as `tests.conftest`; a test that imports from `conftest` gets the same module, not a copy.
sys.modules.setdefault("conftest", sys.modules[__name__])

ROOT = Path(__file__).resolve().parents[1]
"""The repository's root."""

SHARED = Path(os.environ.get("COMPOUNDNET_SHARED") or ROOT.parent / "shared").resolve()
"""Data and reference numbers that are not part of the product. May be absent; see ``needs_shared``."""

needs_shared = pytest.mark.needs_shared
"""``@needs_shared`` or ``@needs_shared("data/awkward", ...)``: skip where SHARED, or a part of it, is missing."""

os.environ.setdefault("KERAS_BACKEND", "torch")  # in this process; the others have processes of their own

# Workers that each have as many threads as there are cores wait for each other at every barrier: ten times
# slower. One thread also makes sums the same however the tests are started. libgomp, MKL and OpenBLAS read
# this when they are loaded, so it comes before any test imports torch or NumPy; child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# On a shared machine a deadline, or a slow draw, says nothing about the code.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure(config: pytest.Config) -> None:
    """Point every cache at a folder that goes with the session, so that no test reads or fills the user's."""
    cache = tempfile.mkdtemp(prefix="compoundnet-test-cache-")
    config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))
    os.environ["COMPOUNDNET_CACHE"] = cache
    os.environ["HF_HOME"] = str(Path(cache, "huggingface"))
    config.addinivalue_line(
        "markers", "needs_shared(*parts): skip where the shared folder, or a part of it, is missing"
    )


def _missing(parts: tuple[str, ...]) -> str | None:
    for path in (SHARED, *(SHARED / part for part in parts)):
        if not path.exists():
            return f"needs {path}, which is not there; set COMPOUNDNET_SHARED to the folder that holds the shared data"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a ``needs_shared`` test whose data is missing, and say which."""
    for marker in item.iter_markers("needs_shared"):
        if reason := _missing(marker.args):
            pytest.skip(reason)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; a test that asks for it is skipped where it is missing."""
    if reason := _missing(()):
        pytest.skip(reason)
    return SHARED
