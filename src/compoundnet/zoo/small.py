"""A baseline for pictures of 8 to 32 pixels, where EfficientNet's five halvings would leave nothing."""

from compoundnet.architecture import Architecture, MBConv, Norm, Stage

__all__ = ["ARCHITECTURES"]


def _stage(channels: int, repeats: int, stride: int, expansion: int) -> Stage:
    return Stage(block=MBConv(kernel=3, expansion=expansion), channels=channels, repeats=repeats, stride=stride)


# Our own: the first, third and fifth stages of B0 at half width, the stem without stride.
_TINY = Architecture(
    name="mbconv_tiny",
    resolution=16,
    stem=16,
    stem_stride=1,
    stages=(_stage(16, 1, 1, 1), _stage(24, 2, 2, 4), _stage(40, 2, 2, 4)),
    head=160,
    padding="symmetric",
    norm=Norm(eps=1e-3, momentum=0.1),
    dropout=0.1,
    drop_path=0.1,
)

ARCHITECTURES: dict[str, Architecture] = {_TINY.name: _TINY}
"""Every network here, by name."""
