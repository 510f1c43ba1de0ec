"""The search for alpha, beta, gamma: analysed, as values, and in sentences."""

from compoundnet.search.answers.coefficients.analysis import analyse
from compoundnet.search.answers.coefficients.result import (
    LEVEL,
    CoefficientsResult,
    Comparison,
    Interval,
    Training,
)

__all__ = ["LEVEL", "CoefficientsResult", "Comparison", "Interval", "Training", "analyse"]
