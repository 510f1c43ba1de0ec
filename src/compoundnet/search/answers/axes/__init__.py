"""One axis against compound at equal realised cost: means, differences, and what they support."""

from compoundnet.search.answers.axes.comparison import AxesResult, compare
from compoundnet.search.answers.axes.contrasts import BASELINE, LEVEL, Contrast, Row

__all__ = ["BASELINE", "LEVEL", "AxesResult", "Contrast", "Row", "compare"]
