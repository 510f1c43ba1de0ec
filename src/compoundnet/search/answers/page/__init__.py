"""What a study's folder shows: a page, its tables, its charts."""

from compoundnet.search.answers.page.charts import cost_charts, save
from compoundnet.search.answers.page.page import axes_page, coefficients_page, write_csv
from compoundnet.search.answers.page.triangle import triangle_chart

__all__ = ["axes_page", "coefficients_page", "cost_charts", "save", "triangle_chart", "write_csv"]
