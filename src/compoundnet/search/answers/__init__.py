"""What trials come to: coefficients with their uncertainty, axes compared, charts and pages. Values in, values out."""

__all__: list[str] = []
