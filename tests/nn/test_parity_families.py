"""MobileNets and ResNet compute what timm's do: same weights, copied in order, same photographs, same logits."""

import math
from collections.abc import Mapping

import pytest
import timm
import torch
from torch import Tensor, nn

from compoundnet import zoo
from compoundnet.nn import FeatureExtractor, Network, build

NAMES = ["mobilenetv1_100", "mobilenetv2_100", "resnet18", "resnet50", "resnetrs50"]
SIDES = (64, 65, 97)


def photographs(side: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side), dtype=torch.float64)


@torch.no_grad()
def settled(name: str) -> Network:
    """Every tensor random, the norms' statistics those of a batch, so that the logits depend on the photograph."""
    torch.manual_seed(0)
    model = build(zoo.architecture(name)).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = 1.0
    nn.init.normal_(model.classifier.bias)  # type: ignore[arg-type]
    model.train()(photographs(64, 4))
    return model.eval()


def in_order(state: Mapping[str, Tensor], twin: nn.Module) -> dict[str, Tensor]:
    """The tensors of ``state`` under the names of ``twin``, one after another; their shapes must agree."""
    names = twin.state_dict()
    assert [tuple(t.shape) for t in state.values()] == [tuple(t.shape) for t in names.values()]
    return dict(zip(names, state.values(), strict=True))


def timm_twin(ours: Network) -> nn.Module:
    theirs = timm.create_model(ours.architecture.name).double()
    theirs.load_state_dict(in_order(ours.state_dict(), theirs))
    return theirs.eval()


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[Network, nn.Module]:
    ours = settled(request.param)
    return ours, timm_twin(ours)


@torch.inference_mode()
def difference(ours: nn.Module, theirs: nn.Module, side: int) -> float:
    """Largest difference of logits, as a share of how much they change from one photograph to another."""
    x = photographs(side)
    mine, other = ours(x), theirs(x)
    scale = (other[0] - other[1]).abs().max()
    assert scale > 0.01 * other.abs().max()  # the photograph counts, and nothing is NaN
    return ((mine - other).abs().max() / scale).item()


@pytest.mark.parametrize("side", SIDES)
def test_logits_are_timms(pair: tuple[Network, nn.Module], side: int) -> None:
    assert difference(*pair, side) < 1e-11


def test_a_single_wrong_tensor_shows(pair: tuple[Network, nn.Module]) -> None:
    """A control: one norm in the last stage changed by a hundredth is far outside the tolerance."""
    ours, theirs = pair
    *_, norm = (m for m in ours.stages.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        norm.weight.mul_(1.01)
        wrong = difference(ours, theirs, 64)
        norm.weight.div_(1.01)
    assert wrong > 1e-4


def test_feature_maps_are_timms(pair: tuple[Network, nn.Module]) -> None:
    ours, whole = pair
    theirs = timm.create_model(ours.architecture.name, features_only=True).double()
    state = whole.state_dict()
    theirs.load_state_dict({name: state[name] for name in theirs.state_dict()})
    extractor = FeatureExtractor(ours)
    assert extractor.channels == theirs.feature_info.channels()
    assert extractor.reductions == theirs.feature_info.reduction() == [2, 4, 8, 16, 32]
    with torch.no_grad():
        maps = extractor(photographs(65))
        for mine, other, reduction in zip(maps, theirs.eval()(photographs(65)), extractor.reductions, strict=True):
            assert mine.shape[2] == math.ceil(65 / reduction)
            torch.testing.assert_close(mine, other, atol=1e-9, rtol=1e-9)
