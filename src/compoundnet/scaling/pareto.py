"""The candidates that no other beats in everything."""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from compoundnet.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Mask: TypeAlias = NDArray[np.bool_]
    Ranks: TypeAlias = NDArray[np.int64]

__all__ = ["pareto_front"]

_BLOCK = 1024  # candidates, or of the front, at a time
_WORD = 64  # bits


def pareto_front(*objectives: "ArrayLike") -> "Mask":
    """Which candidates are on the front, every objective (n,) to be small; of equal ones all.

    A candidate is beaten by one that is nowhere larger and somewhere smaller, whose ranks then have a smaller
    sum. So they are taken in the order of that sum: none is beaten by a later one, and the first beat most.

    >>> pareto_front([1, 2, 3, 2], [9, 5, 6, 4]).tolist()  # (2, 5) and (3, 6) are beaten by (2, 4)
    [True, False, False, True]

    Raises:
        RequestError: no objective, some of unequal length, or a number that is none.
    """
    import numpy as np

    unsorted = np.stack([np.unique(column, return_inverse=True)[1].ravel() for column in _columns(objectives)])
    ranks: Ranks = np.concatenate([unsorted, unsorted.sum(axis=0, keepdims=True)])  # the sum last
    order = np.argsort(ranks[-1], kind="stable")
    ranks = ranks[:, order]
    front = ranks[:, :0]
    full: list[list[_Below]] = []  # of the front's whole blocks
    kept = []
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        for sets in (*full, _below(front[:, len(full) * _BLOCK :])):
            block = block[~_beaten(ranks[:, block], sets)]
        block = block[~_beaten(ranks[:, block], _below(ranks[:, block]))]
        kept.append(block)
        front = np.concatenate([front, ranks[:, block]], axis=1)
        if front.shape[1] >= (len(full) + 1) * _BLOCK:
            full.append(_below(front[:, len(full) * _BLOCK : (len(full) + 1) * _BLOCK]))
    mask = np.zeros(len(order), bool)
    mask[order[np.concatenate(kept)] if kept else []] = True
    return mask


def _columns(objectives: "tuple[ArrayLike, ...]") -> list[Any]:
    import numpy as np

    try:
        columns = [np.asarray(objective, float) for objective in objectives]
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"an objective is no column of numbers: {error}") from error
    if not columns or any(column.ndim != 1 or column.shape != columns[0].shape for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns) or "none"
        raise RequestError(f"objectives have shapes {shapes}; give one or more, each with a number for every candidate")
    if any(np.isnan(column).any() for column in columns):
        raise RequestError("an objective holds NaN, which is neither small nor large; leave such candidates out")
    return columns


class _Below(NamedTuple):
    """One row of ranks of some networks, ascending, and as bits, which of them are among the first 0, 1, 2, ..."""

    ascending: "Ranks"
    sets: Any


def _below(members: "Ranks") -> list[_Below]:
    import numpy as np

    count = members.shape[1]
    tables = []
    for row in members:
        order = np.argsort(row)
        bits = np.zeros((count + 1, count // _WORD + 1), np.uint64)
        bits[np.arange(1, count + 1), order // _WORD] = np.uint64(1) << (order % _WORD).astype(np.uint64)
        tables.append(_Below(row[order], np.bitwise_or.accumulate(bits, axis=0)))
    return tables


def _beaten(points: "Ranks", by: list[_Below]) -> "Mask":
    """Which columns are beaten by one of the others: nowhere smaller, and larger in sum."""
    import numpy as np

    *each, total = by
    smaller = total.sets[np.searchsorted(total.ascending, points[-1], side="left")]
    for row, below in zip(points[:-1], each, strict=True):
        smaller &= below.sets[np.searchsorted(below.ascending, row, side="right")]
    return np.asarray(smaller.any(axis=1))
