"""The candidates that no other beats in everything."""

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Mask: TypeAlias = NDArray[np.bool_]
    Ranks: TypeAlias = NDArray[np.int32]

__all__ = ["pareto_front"]

_BLOCK = 1024  # candidates compared with the front at a time
_FIRST = 64  # of the front, compared first


def pareto_front(*objectives: "ArrayLike") -> "Mask":
    """Which candidates are on the front, every objective (n,) to be small; of equal ones all.

    A candidate is beaten by one that is nowhere larger and somewhere smaller, whose ranks then have a smaller
    sum. So they are taken in the order of that sum: none is beaten by a later one, and the first beat most.

    >>> pareto_front([1, 2, 3, 2], [9, 5, 6, 4]).tolist()  # (2, 5) and (3, 6) are beaten by (2, 4)
    [True, False, False, True]
    """
    import numpy as np

    unsorted = np.stack([np.unique(np.asarray(o, float), return_inverse=True)[1].ravel() for o in objectives])
    order = np.argsort(unsorted.sum(axis=0), kind="stable")
    ranks: Ranks = np.ascontiguousarray(unsorted[:, order], np.int32)
    front = ranks[:, :0]
    kept = []
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        for part in (*_parts(front), ranks[:, block]):
            block = block[~_beaten(ranks[:, block], part)]
        kept.append(block)
        front = np.concatenate([front, ranks[:, block]], axis=1)
    mask = np.zeros(len(order), bool)
    mask[order[np.concatenate(kept)] if kept else []] = True
    return mask


def _parts(front: "Ranks") -> "list[Ranks]":
    """The front in parts, each twice the one before: the first, small one beats most of a block."""
    import numpy as np

    ends = [_FIRST * (2**k - 1) for k in range(1, 32) if _FIRST * (2**k - 1) < front.shape[1]]
    return np.split(front, ends, axis=1)


def _beaten(points: "Ranks", by: "Ranks") -> "Mask":
    """Which columns are beaten by a column of the other: nowhere smaller, and larger in sum."""
    import numpy as np

    beaten = by.sum(axis=0) < points.sum(axis=0)[:, None]
    for p, b in zip(points, by, strict=True):
        beaten &= b <= p[:, None]
    return np.asarray(beaten.any(axis=1))
