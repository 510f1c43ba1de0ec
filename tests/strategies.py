"""Random architectures for Hypothesis: every kind of block, odd sides, no skip, collapse to one pixel."""

from hypothesis import strategies as st

from compoundnet.architecture import (
    Architecture,
    Block,
    Bottleneck,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    Norm,
    Rounding,
    Stage,
)

__all__ = ["any_architectures", "architectures", "blocks"]

KERNELS = st.sampled_from((1, 3, 5, 7))
CHANNELS = st.integers(1, 40)
RATES = st.sampled_from((0.0, 0.2, 0.5))


def blocks() -> st.SearchStrategy[Block]:
    expansion = st.integers(1, 6)
    mb = st.builds(
        MBConv,
        kernel=KERNELS,
        expansion=expansion,
        se_ratio=st.sampled_from((0.0, 0.25, 0.04, 0.5, 1.0)),
        skip=st.booleans(),
    )
    fused = st.builds(FusedMBConv, kernel=KERNELS, expansion=expansion, skip=st.booleans())
    bottleneck = st.builds(Bottleneck, kernel=KERNELS, reduction=st.integers(1, 5))
    return mb | fused | bottleneck | st.builds(DepthwiseSeparable, kernel=KERNELS)


def stages() -> st.SearchStrategy[Stage]:
    return st.builds(
        Stage, block=blocks(), channels=CHANNELS, repeats=st.integers(1, 3), stride=st.sampled_from((1, 2, 3))
    )


def architectures() -> st.SearchStrategy[Architecture]:
    """Small enough to build and run in milliseconds."""
    return st.builds(
        Architecture,
        name=st.just("drawn"),
        resolution=st.integers(1, 64),
        stem=CHANNELS,
        stages=st.lists(stages(), min_size=1, max_size=3).map(tuple),
        head=st.none() | CHANNELS,
        stem_kernel=KERNELS,
        stem_stride=st.integers(1, 3),
        stem_pool=st.booleans(),
        in_channels=st.integers(1, 4),
        classes=st.integers(1, 20),
        activation=st.sampled_from(("silu", "relu", "relu6", "hardswish")),
        padding=st.sampled_from(("same", "symmetric")),
        dropout=RATES,
        drop_path=RATES,
    )


def any_architectures() -> st.SearchStrategy[Architecture]:
    """Every field drawn; not meant to be built."""
    shares = st.floats(0, 0.99)
    return st.builds(
        Architecture,
        name=st.text(min_size=1),
        resolution=st.integers(1, 1_000_000),
        stem=st.integers(1, 1_000_000),
        stages=st.lists(stages(), min_size=1, max_size=8).map(tuple),
        head=st.none() | st.integers(1, 1_000_000),
        stem_kernel=KERNELS,
        stem_stride=st.integers(1, 4),
        stem_pool=st.booleans(),
        in_channels=st.integers(1, 100),
        classes=st.integers(1, 30_000),
        activation=st.sampled_from(("silu", "relu", "relu6", "hardswish")),
        padding=st.sampled_from(("same", "symmetric")),
        norm=st.builds(Norm, eps=st.floats(1e-9, 0.1), momentum=st.floats(1e-9, 1)),
        dropout=shares,
        drop_path=shares,
        rounding=st.builds(
            Rounding,
            channel_multiple=st.integers(1, 64),
            channel_floor=shares,
            depth=st.sampled_from(("ceil", "round")),
            resolution_multiple=st.integers(1, 64),
        ),
    )
