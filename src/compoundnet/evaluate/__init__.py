"""Judge a trained network: figures with their uncertainty, and a report that a person can read."""

from compoundnet.evaluate.metrics import (
    ClassScore,
    Evaluation,
    Mistake,
    ReliabilityBin,
    evaluate_logits,
    most_confident_mistakes,
    wilson_interval,
)
from compoundnet.evaluate.report import ReportInput, render_report, write_report

__all__ = [
    "ClassScore",
    "Evaluation",
    "Mistake",
    "ReliabilityBin",
    "ReportInput",
    "evaluate_logits",
    "most_confident_mistakes",
    "render_report",
    "wilson_interval",
    "write_report",
]
