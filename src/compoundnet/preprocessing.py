"""How a photograph becomes a network's input. A part of a weights' record, never a guess."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from compoundnet.errors import RequestError, unknown

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Interpolation", "Preprocessing"]

Interpolation = Literal["bicubic", "bilinear"]
Crop = Literal["center", "squash"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """Evaluation preprocessing: resize, crop, scale to 0..1, subtract the mean, divide by the deviation.

    ``crop="center"`` resizes the short side to ``floor(resolution / crop_fraction)``, ``"squash"`` resizes both
    sides to it; then the centre square of ``resolution`` is cut out.
    ``mean`` and ``std`` are per RGB channel in units of the 0..1 range.

    >>> Preprocessing(resolution=224).short_side
    256
    """

    resolution: int
    crop_fraction: float = 0.875
    crop: Crop = "center"
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not isinstance(self.resolution, int) or isinstance(self.resolution, bool) or self.resolution < 1:
            raise RequestError(f"preprocessing.resolution is {self.resolution!r}; it must be a positive integer")
        if not _is_number(self.crop_fraction) or not 0 < self.crop_fraction <= 1:
            raise RequestError(f"preprocessing.crop_fraction is {self.crop_fraction!r}; it must lie in (0, 1]")
        for field, choices in (("crop", get_args(Crop)), ("interpolation", get_args(Interpolation))):
            if getattr(self, field) not in choices:
                raise unknown(f"preprocessing.{field}", str(getattr(self, field)), choices)
        for field in ("mean", "std"):
            given = getattr(self, field)
            value = tuple(given) if isinstance(given, (list, tuple)) else (given,)
            if len(value) != 3 or not all(_is_number(v) and math.isfinite(v) for v in value):
                raise RequestError(f"preprocessing.{field} is {given!r}; it must be 3 numbers (RGB)")
            object.__setattr__(self, field, value)
        if min(self.std) <= 0:
            raise RequestError(f"preprocessing.std is {self.std}; every value must be positive")

    @property
    def short_side(self) -> int:
        """Pixels of the short side after resizing, before the crop."""
        return int(self.resolution / self.crop_fraction)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that :meth:`from_json` reads back equal."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """The value written by :meth:`to_json`; RequestError names an unknown or missing field."""
        if not isinstance(record, dict):
            raise RequestError(f"preprocessing is {record!r:.60}; it must be a JSON object")
        known = [f.name for f in fields(cls)]
        for key in record:
            if key not in known:
                raise unknown("preprocessing field", key, known)
        if "resolution" not in record:
            raise RequestError("preprocessing has no 'resolution'")
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in record.items()}
        return cls(**values)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
