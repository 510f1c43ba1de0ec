"""Scaling a baseline: by a rule, or by its axes."""

from compoundnet.scaling.compound import RULES, Multipliers, Rule, scale, shipped

__all__ = ["RULES", "Multipliers", "Rule", "scale", "shipped"]
