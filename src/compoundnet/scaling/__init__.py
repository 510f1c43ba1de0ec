"""Scaling a baseline: by a rule, by its axes, or under limits on its costs."""

from compoundnet.scaling.compound import RULES, Multipliers, Rule, read_rule, scale

# ``design`` is both a function and its module, so the function is bound here, after the module is loaded.
from compoundnet.scaling.design import Design, design
from compoundnet.scaling.pareto import pareto_front

__all__ = ["RULES", "Design", "Multipliers", "Rule", "design", "pareto_front", "read_rule", "scale"]
