"""Baselines for pictures of 8 to 32 pixels, where EfficientNet's five halvings would leave nothing."""

from compoundnet.architecture import Architecture, MBConv, Norm, Rounding, Stage

__all__ = ["ARCHITECTURES"]


def _stage(channels: int, repeats: int, stride: int, expansion: int, kernel: int = 3) -> Stage:
    return Stage(block=MBConv(kernel=kernel, expansion=expansion), channels=channels, repeats=repeats, stride=stride)


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

# Our own, to study scaling on pictures of 32 x 32 such as CIFAR-10: at half of that, so that resolution has room
# to grow; nearest repeats and channels in fours, so that networks of nearly equal cost exist in every direction.
_MINI = Architecture(
    name="mbconv_mini",
    resolution=16,
    stem=12,
    stem_stride=1,
    stages=(_stage(8, 1, 1, 1), _stage(16, 2, 2, 4), _stage(24, 3, 2, 4, kernel=5), _stage(48, 3, 2, 4)),
    head=192,
    padding="symmetric",
    norm=Norm(eps=1e-3, momentum=0.1),
    dropout=0.1,
    drop_path=0.1,
    rounding=Rounding(channel_multiple=4, channel_floor=0, depth="round"),
)

ARCHITECTURES: dict[str, Architecture] = {arch.name: arch for arch in (_TINY, _MINI)}
"""Every network here, by name."""
