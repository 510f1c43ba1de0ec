"""TinyNet A-E (Han et al., "Model Rubik's Cube", NeurIPS 2020): B0 scaled down, named as in timm.

Depth is rounded to the nearest, the stem is never scaled and the head never below 1280.
"""

from dataclasses import replace

from compoundnet.architecture import Architecture, Rounding
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo import efficientnet
from compoundnet.zoo.rows import Coefficients, variant

__all__ = ["ARCHITECTURES", "PREPROCESSING"]

_BASE = replace(
    efficientnet.ARCHITECTURES["efficientnet_b0"],
    rounding=Rounding(depth="round", fixed_stem=True, least_head=1280),
)

# Multipliers and sizes: timm 1.0.31 ``timm/models/efficientnet.py`` ``tinynet_*``, whose weights are the paper's.
_ROWS: dict[str, Coefficients] = {
    "tinynet_a": Coefficients(1.0, 1.2, 192, 0.2, 0.875),
    "tinynet_b": Coefficients(0.75, 1.1, 188, 0.2, 0.875),
    "tinynet_c": Coefficients(0.54, 0.85, 184, 0.2, 0.875),
    "tinynet_d": Coefficients(0.54, 0.695, 152, 0.2, 0.875),
    "tinynet_e": Coefficients(0.51, 0.6, 106, 0.2, 0.875),
}

ARCHITECTURES: dict[str, Architecture] = {name: variant(_BASE, name, row) for name, row in _ROWS.items()}
"""Every variant, by name."""

PREPROCESSING: dict[str, Preprocessing] = {
    name: Preprocessing(resolution=row.resolution, crop_fraction=row.crop_fraction) for name, row in _ROWS.items()
}
"""As in timm. A weights record, where there is one, comes first."""
