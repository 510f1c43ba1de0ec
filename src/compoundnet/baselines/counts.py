"""What a factory's networks were found to cost, kept for this process and, in the user's cache, for the next.

Counting a network takes a fraction of a second, and a search asks for some hundred. A file holds the counts of one
state of the code: its name depends on the factory's source, on torch's version and on how is counted, so a factory
that was changed is not answered from what it was before. What the factory imports may change as well; so
:func:`compoundnet.baselines.open_baseline` counts a few networks anew, and :meth:`Counts.confirm` compares.
"""

import hashlib
import inspect
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from compoundnet.cost import Cost
from compoundnet.data.files import cache_root
from compoundnet.units import counted

__all__ = ["Counts", "Key", "counts_file", "silent"]

Key: TypeAlias = tuple[float, float, int]
"""Multipliers of depth and width, and the side in pixels."""

_QUIET_S = 10.0  # between two words on how far counting is
_LONGEST = 80  # characters of a factory's name in a file's


def silent(text: str) -> None:
    """Says nothing."""


class Counts:
    """Costs by :data:`Key`; in ``file`` too, a line each, where there is one.

    Any number of processes may use a file at once, and be killed at it: a line that cannot be read is left out. One
    that cannot be written, or not be read at all, costs only the time to count again.
    """

    def __init__(self, file: Path | None = None, tell: Callable[[str], None] = silent) -> None:
        """``tell`` hears now and then how many networks have been counted."""
        self._file, self._tell = file, tell
        self._costs = dict(_read(file)) if file is not None else {}
        self._counted, self._said = 0, time.monotonic()

    def __len__(self) -> int:
        """How many networks are known."""
        return len(self._costs)

    def find(self, key: Key) -> Cost | None:
        """What the network costs, if it was counted."""
        return self._costs.get(key)

    def add(self, key: Key, cost: Cost) -> None:
        """Keep what was counted."""
        self._costs[key] = cost
        if self._file is not None:
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps([*key, asdict(cost)]) + "\n")
        self._counted += 1
        if time.monotonic() - self._said > _QUIET_S:
            self._said = time.monotonic()
            self._tell(
                f"{counted(self._counted, 'network')} counted so far; each is built once, and kept for the next time"
            )

    def confirm(self, key: Key, cost: Cost) -> None:
        """Keep what was counted anew; if it was otherwise before, nothing that was kept holds any more."""
        before = self.find(key)
        if before == cost:
            return
        if before is not None:
            self._costs.clear()
            if self._file is not None:
                with suppress(OSError):
                    self._file.unlink(missing_ok=True)
        self.add(key, cost)


def counts_file(name: str, factory: Any, resolution: int) -> Path | None:
    """Where the counts of a factory as it is now are kept; None if it has no source to know it by."""
    from compoundnet.nn import counting

    files = {getattr(sys.modules.get(name.partition(":")[0]), "__file__", None)}
    with suppress(TypeError):  # an object that can be called, of a class without a file
        files.add(inspect.getsourcefile(inspect.unwrap(factory)))
    try:
        sources = sorted(Path(file).read_bytes() for file in files if file)
        by = Path(counting.__file__).read_bytes()
    except OSError:
        return None
    if not sources:
        return None
    digest = hashlib.sha256(json.dumps([name, resolution, version("torch")]).encode())
    for source in (by, *sources):
        digest.update(hashlib.sha256(source).digest())
    told = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:_LONGEST]
    return cache_root() / "counts" / f"{told}-{digest.hexdigest()[:12]}.jsonl"


def _read(file: Path) -> Iterator[tuple[Key, Cost]]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            depth, width, side, cost = json.loads(line)
            yield (float(depth), float(width), int(side)), Cost(**{name: int(n) for name, n in cost.items()})
