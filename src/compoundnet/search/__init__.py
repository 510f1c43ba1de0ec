"""Searching with trained candidates: trials in shared storage, workers, scaling coefficients, axes compared."""

__all__: list[str] = []
