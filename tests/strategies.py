"""Random architectures for Hypothesis: every kind of block, odd sides, no skip, collapse to one pixel."""

from hypothesis import strategies as st

from compoundnet.architecture import (
    Architecture,
    BasicBlock,
    Block,
    Bottleneck,
    CondMBConv,
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


ACTIVATIONS = st.sampled_from(("silu", "relu", "relu6", "hardswish"))
SE_RATIOS = st.sampled_from((0.0, 0.25, 0.04, 0.5, 1.0))
EXPANSIONS = st.integers(1, 6) | st.sampled_from((1.5, 2.3, 3.67))


def blocks() -> st.SearchStrategy[Block]:
    own = st.none() | ACTIVATIONS
    mb = st.builds(
        MBConv,
        kernel=KERNELS | st.just(2),
        expansion=EXPANSIONS,
        se_ratio=SE_RATIOS,
        skip=st.booleans(),
        squeeze=st.sampled_from(("efficientnet", "mobilenetv3")),
        activation=own,
    )
    fused = st.builds(
        FusedMBConv,
        kernel=KERNELS,
        expansion=EXPANSIONS,
        skip=st.booleans(),
        se_ratio=SE_RATIOS,
        activation=own,
        counts_from=st.sampled_from(("input", "output", "folded")),
    )
    bottleneck = st.builds(
        Bottleneck,
        kernel=KERNELS,
        reduction=st.integers(1, 5),
        se_ratio=st.sampled_from((0.0, 0.25, 0.04)),
        pool_shortcut=st.booleans(),
    )
    others = st.sampled_from((DepthwiseSeparable, BasicBlock)).flatmap(lambda kind: st.builds(kind, kernel=KERNELS))
    return mb | fused | bottleneck | others


def stages() -> st.SearchStrategy[Stage]:
    repeats = st.integers(1, 3)
    folded = st.builds(
        Stage,
        block=st.builds(
            MBConv, kernel=KERNELS | st.just(2), expansion=EXPANSIONS, se_ratio=SE_RATIOS, space_to_depth=st.just(True)
        ),
        channels=st.integers(1, 10).map(lambda n: 4 * n),
        repeats=repeats,
        stride=st.just(2),
    )
    return folded | st.builds(
        Stage, block=blocks(), channels=CHANNELS, repeats=repeats, stride=st.sampled_from((1, 2, 3))
    )


def mixed_stages() -> st.SearchStrategy[Stage]:
    block = st.builds(
        CondMBConv,
        kernel=KERNELS,
        expansion=st.integers(1, 4),
        experts=st.integers(1, 5),
        se_ratio=SE_RATIOS,
        skip=st.booleans(),
    )
    return st.builds(
        Stage, block=block, channels=CHANNELS, repeats=st.integers(1, 3), stride=st.sampled_from((1, 2, 3))
    )


def architectures(mixed: bool = False) -> st.SearchStrategy[Architecture]:
    """Small enough to build and run in milliseconds; ``mixed``: with blocks of mixed kernels among them.

    These leave channels last, the layout for which memory is predicted, where there is more than one image.
    """
    drawn = stages() | mixed_stages() if mixed else stages()
    return st.builds(
        Architecture,
        name=st.just("drawn"),
        resolution=st.integers(1, 64),
        stem=CHANNELS,
        stages=st.lists(drawn, min_size=1, max_size=3).map(tuple),
        head=st.none() | CHANNELS,
        hidden=st.none() | CHANNELS,
        stem_kernel=KERNELS,
        stem_stride=st.integers(1, 3),
        stem_deep=st.lists(CHANNELS, max_size=2).map(tuple),
        stem_pool=st.sampled_from((False, True, "conv")),
        in_channels=st.integers(1, 4),
        classes=st.integers(1, 20),
        activation=ACTIVATIONS,
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
        stages=st.lists(stages() | mixed_stages(), min_size=1, max_size=8).map(tuple),
        head=st.none() | st.integers(1, 1_000_000),
        hidden=st.none() | st.integers(1, 1_000_000),
        stem_kernel=KERNELS,
        stem_stride=st.integers(1, 4),
        stem_deep=st.lists(CHANNELS, max_size=2).map(tuple),
        stem_pool=st.sampled_from((False, True, "conv")),
        in_channels=st.integers(1, 100),
        classes=st.integers(1, 30_000),
        activation=ACTIVATIONS,
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
            fixed_stem=st.booleans(),
            fixed_ends=st.booleans(),
            least_head=st.integers(1, 64),
        ),
    )
