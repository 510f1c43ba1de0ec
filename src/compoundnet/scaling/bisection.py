"""Bisection for many searches at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Indices: TypeAlias = NDArray[np.int64]

__all__ = ["first_index"]


def first_index(holds: "Callable[[Indices, Indices], NDArray[np.bool_]]", low: "Indices", end: int) -> "Indices":
    """For each of many searches the first index in ``low..end-1`` at which something holds, else ``end``.

    Args:
        holds: of searches, by number, and an index for each; once true of a search it stays so as its index grows.
        low: (n,) where each search begins.
        end: where all of them end.

    >>> import numpy as np
    >>> squares = np.arange(10) ** 2
    >>> first_index(lambda i, at: squares[at] >= np.array([5, 50, 500])[i], np.zeros(3, int), 10)
    array([ 3,  8, 10])
    """
    import numpy as np

    low, high = low.copy(), np.full_like(low, end)
    while len(open_ := np.flatnonzero(low < high)):
        middle = (low[open_] + high[open_]) // 2
        yes = holds(open_, middle)
        high[open_[yes]], low[open_[~yes]] = middle[yes], middle[~yes] + 1
    return low
