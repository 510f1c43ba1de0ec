"""Numbers in the sentences, tables and charts of an answer: points of accuracy, shares in per cent."""

from collections.abc import Iterable

from compoundnet.units import SPACE

__all__ = ["at_level", "points", "signed", "triple", "whole"]


def points(difference: float) -> str:
    """The size of a difference of accuracy in percentage points: -0.0123 is ``1.2 points``."""
    return f"{abs(100 * difference):.1f}{SPACE}points"


def signed(difference: float) -> str:
    """In percentage points with a sign, and never a zero below zero: 0.0123 is ``+1.2``."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def whole(share: float) -> str:
    """A share in whole per cent, without the sign for it: 0.284 is ``28``."""
    return f"{100 * share:.0f}"


def triple(shares: Iterable[float]) -> str:
    """The shares of depth, width and resolution in per cent: ``25 / 30 / 45``."""
    return " / ".join(map(whole, shares))


def at_level(level: float) -> str:
    """The level of an interval: ``90 %``."""
    return f"{whole(level)}{SPACE}%"
