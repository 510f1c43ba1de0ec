"""Scaling a baseline: rules (compound)."""

from compoundnet.scaling.compound import RULES, Multipliers, Rule, scale, shipped

__all__ = ["RULES", "Multipliers", "Rule", "scale", "shipped"]
