"""The feature pyramid is timm's: channels, reductions, values."""

import math
from dataclasses import replace

import pytest
import timm
import torch

from compoundnet import zoo
from compoundnet.architecture import Architecture, MBConv, Stage
from compoundnet.errors import RequestError
from compoundnet.nn import FeatureExtractor, Network, build
from compoundnet.weights.timm import from_ours


def network(name: str) -> Network:
    """Without stochastic depth, so that in training the norms alone keep the signal's size."""
    torch.manual_seed(0)
    return build(replace(zoo.architecture(name), drop_path=0.0)).double().train()


@pytest.fixture(scope="module")
def b0() -> Network:
    return network("tf_efficientnet_b0")


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "efficientnetv2_s"])
@pytest.mark.parametrize("indices", [None, (1, -1)], ids=["all", "two"])
def test_maps_are_timms(name: str, indices: tuple[int, ...] | None) -> None:
    ours = network(name)
    source = name if timm.is_model(name) else f"tf_{name}"
    kwargs = {} if source == name else {"pad_type": "", "bn_eps": 1e-5}
    theirs = timm.create_model(source, features_only=True, out_indices=indices or (0, 1, 2, 3, 4), **kwargs)
    state = from_ours(ours.state_dict(), ours.architecture)
    theirs.double().train().load_state_dict({key: state[key] for key in theirs.state_dict()})
    extractor = FeatureExtractor(ours, indices)
    assert extractor.channels == theirs.feature_info.channels()
    assert extractor.reductions == theirs.feature_info.reduction()
    x = torch.randn(2, 3, 65, 65, dtype=torch.float64)
    for mine, other in zip(extractor(x), theirs(x), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-9, rtol=1e-9)


def test_maps_of_b0(b0: Network) -> None:
    """Widths before each stride: paper, Table 1."""
    extractor = FeatureExtractor(b0)
    assert extractor.channels == [16, 24, 40, 112, 320]
    assert extractor.reductions == [2, 4, 8, 16, 32]
    maps = extractor(torch.randn(2, 3, 33, 70, dtype=torch.float64))
    assert [tuple(m.shape) for m in maps] == [
        (2, c, math.ceil(33 / r), math.ceil(70 / r))
        for c, r in zip(extractor.channels, extractor.reductions, strict=True)
    ]
    assert extractor.architecture == b0.architecture


@pytest.mark.parametrize(
    ("indices", "reductions"),
    [([0], [2]), ([-1], [32]), ([4], [32]), ([-5], [2]), ([3, 1], [4, 16]), ([-1, 1], [4, 32]), ([2, 2, -3], [8])],
)
def test_chosen_maps_come_finest_first_and_once(b0: Network, indices: list[int], reductions: list[int]) -> None:
    extractor = FeatureExtractor(b0, indices)
    every = dict(
        zip((2, 4, 8, 16, 32), FeatureExtractor(b0)(torch.ones(2, 3, 64, 64, dtype=torch.float64)), strict=True)
    )
    assert extractor.reductions == reductions
    for reduction, chosen in zip(reductions, extractor(torch.ones(2, 3, 64, 64, dtype=torch.float64)), strict=True):
        torch.testing.assert_close(chosen, every[reduction])


def test_layers_past_the_coarsest_map_are_left_out(b0: Network) -> None:
    extractor = FeatureExtractor(b0, [1])
    names = {name.split(".")[0] for name, _ in extractor.named_parameters()}
    assert names == {"stem", "stages"}
    assert len(extractor.stages) == 2
    whole = FeatureExtractor(b0)
    assert len(whole.stages) == 7
    assert whole.stem is b0.stem  # the layers themselves, not copies


@pytest.mark.parametrize("indices", [[5], [-6], [0, 5], []])
def test_maps_that_are_not_there(b0: Network, indices: list[int]) -> None:
    with pytest.raises(RequestError, match=r"out_indices is .*; efficientnet_x has 5 maps: 0 to 4") as raised:
        FeatureExtractor(build(replace(b0.architecture, name="efficientnet_x")), indices)
    assert str(indices) in str(raised.value)


def test_other_strides() -> None:
    def stage(channels: int, stride: int) -> Stage:
        return Stage(block=MBConv(kernel=3, expansion=1), channels=channels, repeats=1, stride=stride)

    stages = (stage(5, 1), stage(6, 3), stage(7, 1), stage(8, 2))
    arch = Architecture(name="own", resolution=30, stem=4, stem_stride=1, stages=stages, head=9)
    extractor = FeatureExtractor(build(arch))
    assert (extractor.channels, extractor.reductions) == ([5, 7, 8], [1, 3, 6])
    assert [m.shape[2] for m in extractor(torch.randn(2, 3, 30, 30))] == [30, 10, 5]


def test_a_network_that_never_strides_has_one_map() -> None:
    arch = Architecture(
        name="flat", resolution=8, stem=4, stem_stride=1, head=4,
        stages=(Stage(block=MBConv(kernel=3, expansion=1), channels=4, repeats=1, stride=1),),
    )  # fmt: skip
    assert FeatureExtractor(build(arch)).reductions == [1]
