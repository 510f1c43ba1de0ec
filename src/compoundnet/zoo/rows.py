"""What the tables of the zoo share: stages from rows, variants of a baseline, and the two forms of a name."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from compoundnet.architecture import Architecture, Block, Norm, Stage
from compoundnet.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

__all__ = ["HALF", "TF_NORM", "TORCH_NORM", "Coefficients", "both_forms", "prepared", "stages", "variant"]

TORCH_NORM = Norm(eps=1e-5, momentum=0.1)
"""torch's own."""

TF_NORM = Norm(eps=1e-3, momentum=0.01)
"""TensorFlow's decay of 0.99."""

Triple: TypeAlias = tuple[float, float, float]
Prepared: TypeAlias = dict[str, Preprocessing]

HALF: Triple = (0.5, 0.5, 0.5)
"""Mean and deviation that turn 0..1 into -1..1."""


class Coefficients(NamedTuple):
    """How a published variant differs from its baseline: multipliers, pixels, rate, share of the image."""

    width: float
    depth: float
    resolution: int
    dropout: float
    crop_fraction: float


def stages(rows: Iterable[tuple[Block, int, int, int]]) -> tuple[Stage, ...]:
    """Stages of (block, channels, repeats, stride)."""
    return tuple(Stage(block=b, channels=c, repeats=r, stride=s) for b, c, r, s in rows)


def variant(base: Architecture, name: str, row: Coefficients) -> Architecture:
    """The baseline scaled as the row says."""
    grown = base.scaled(depth=row.depth, width=row.width, name=name)
    return replace(grown, resolution=row.resolution, dropout=row.dropout)


def both_forms(tf: Architecture) -> tuple[Architecture, Architecture]:
    """A ``tf_*`` network, and that of the plain name: padded symmetrically, with torch's norm."""
    return tf, replace(tf, name=tf.name.removeprefix("tf_"), padding="symmetric", norm=TORCH_NORM)


def prepared(rows: Mapping[str, Coefficients], mean: Triple = IMAGENET_MEAN, std: Triple = IMAGENET_STD) -> Prepared:
    """The published preprocessing of each plain name, and of the same with ``tf_``: the middle, bicubic."""
    return {
        form + name: Preprocessing(resolution=row.resolution, crop_fraction=row.crop_fraction, mean=mean, std=std)
        for name, row in rows.items()
        for form in ("", "tf_")
    }
