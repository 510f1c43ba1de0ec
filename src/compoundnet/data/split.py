"""Train, validation and test by content: stratified, stable, and no duplicate on two sides."""

import math
from collections import defaultdict
from collections.abc import Iterable

from compoundnet.errors import RequestError

__all__ = ["assign_splits", "check_fractions"]


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """RequestError unless both lie in [0, 1) and leave something to train on."""
    for name, value in (("val_fraction", val_fraction), ("test_fraction", test_fraction)):
        if not 0 <= value < 1:
            raise RequestError(f"{name} is {value!r}; it must lie in [0, 1)")
    if val_fraction + test_fraction >= 1:
        raise RequestError(f"val_fraction {val_fraction} and test_fraction {test_fraction} leave nothing to train on")


def assign_splits(contents: Iterable[tuple[str, str]], *, val_fraction: float, test_fraction: float) -> dict[str, str]:
    """Content hash to ``"train"``, ``"val"`` or ``"test"``, from (label, content hash) pairs.

    Within a class the distinct contents are ranked by hash: the first ceil(fraction * n) go to test,
    the next to val, at least one to train. So the split depends on nothing but the contents, and a new
    file moves at most two others across a border, and none between test and train. A content with
    several labels is ranked once, with the first of them, and goes to one side whole.

    Raises:
        RequestError: a class with too few distinct contents for every side to get one.
    """
    check_fractions(val_fraction, test_fraction)
    owner: dict[str, str] = {}
    labels = set()
    for label, sha in contents:
        labels.add(label)
        owner[sha] = min(label, owner.get(sha, label))
    ranked: dict[str, list[str]] = defaultdict(list)
    for sha in sorted(owner):
        ranked[owner[sha]].append(sha)
    sides: dict[str, str] = {}
    for label in sorted(labels):
        test, val = _sizes(label, len(ranked[label]), val_fraction, test_fraction)
        for rank, sha in enumerate(ranked[label]):
            sides[sha] = "test" if rank < test else "val" if rank < test + val else "train"
    return sides


def _sizes(label: str, n: int, val_fraction: float, test_fraction: float) -> tuple[int, int]:
    """How many of ``n`` go to test and to val."""
    held_out = (val_fraction > 0) + (test_fraction > 0)
    if n <= held_out:
        raise RequestError(
            f"class {label!r} has {n} distinct image{'' if n == 1 else 's'}; to set some aside for validation and "
            f"testing it needs at least {held_out + 1}: add images, or give train/, val/ and test/ folders"
        )
    test = min(_ceil(test_fraction * n), n - held_out)
    val = min(_ceil(val_fraction * n), n - test - 1)
    return test, val


def _ceil(x: float) -> int:
    return math.ceil(round(x, 9))  # 0.07 * 100 is 7.000000000000001
