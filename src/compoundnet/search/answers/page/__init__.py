"""What a study's folder shows: a page, its tables, its charts."""

from compoundnet.search.answers.page.charts import cost_charts
from compoundnet.search.answers.page.page import axes_page, coefficients_page
from compoundnet.search.answers.page.triangle import triangle_chart

__all__ = ["axes_page", "coefficients_page", "cost_charts", "triangle_chart"]
