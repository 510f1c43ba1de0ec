"""The networks side by side: what each costs here, and how accurate it is said, or was measured, to be."""

from compoundnet.compare.rows import Comparison, Row, compare

__all__ = ["Comparison", "Row", "compare"]
