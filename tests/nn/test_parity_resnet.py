"""ResNets compute what timm's and torchvision's do, forward and back: same weights through the adapter, same images."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet import zoo
from compoundnet.nn import FeatureExtractor, Network, build
from compoundnet.weights.timm import from_ours
from compoundnet.zoo import resnet

QUICK = ("resnet18", "resnet34", "resnet50", "resnetrs50")
NAMES = [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in resnet.ARCHITECTURES]
TORCHVISION = [n for n in resnet.ARCHITECTURES if hasattr(torchvision.models, n)]
TOLERANCE = 1e-4  # float32: up to 420 layers, each a rounding


def photographs(side: int, count: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side), dtype=dtype)


@torch.no_grad()
def settled(name: str, dtype: torch.dtype = torch.float32) -> Network:
    """Norms of their own, with the statistics of a batch, so that the logits depend on the photograph.

    Branches start small: hundreds of sums of equals would drown each of them.
    """
    torch.manual_seed(0)
    model = build(replace(zoo.architecture(name), dropout=0.0, drop_path=0.0)).to(dtype)
    for path, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            last = path.endswith(("second.norm", "expand.norm"))
            nn.init.uniform_(module.weight, *((0.1, 0.3) if last else (0.5, 1.5)))
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = 1.0
    model.train()(photographs(64, 4, dtype))
    return model.eval()


def twin(ours: Network, make: Callable[..., nn.Module]) -> nn.Module:
    with torch.device("meta"):
        theirs = make()
    state = {name: tensor.clone() for name, tensor in from_ours(ours.state_dict(), ours.architecture).items()}
    theirs.load_state_dict(state, assign=True)
    return theirs.eval()


@torch.inference_mode()
def difference(ours: nn.Module, theirs: nn.Module, side: int) -> float:
    """Largest difference of logits, as a share of how much they change from one photograph to another."""
    x = photographs(side, dtype=next(ours.parameters()).dtype)
    mine, other = ours(x), theirs(x)
    scale = (other[0] - other[1]).abs().max()
    assert scale > 0.01 * other.abs().max()  # the photograph counts, and nothing is NaN
    return ((mine - other).abs().max() / scale).item()


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_timms(name: str) -> None:
    """At 65 every stage meets an odd side: 33, 17, 9, 5, 3."""
    ours = settled(name)
    theirs = twin(ours, lambda: timm.create_model(name))
    assert max(difference(ours, theirs, side) for side in (64, 65)) < TOLERANCE


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in QUICK)) for n in TORCHVISION])
def test_logits_are_torchvisions(name: str) -> None:
    ours = settled(name)
    theirs = twin(ours, getattr(torchvision.models, name))
    assert max(difference(ours, theirs, side) for side in (64, 65)) < TOLERANCE


@pytest.mark.parametrize("name", ["resnet18", "resnetrs50"])
def test_a_single_wrong_tensor_shows(name: str) -> None:
    """A control: one norm in the last stage changed by a hundredth is far outside the tolerance."""
    ours = settled(name)
    theirs = twin(ours, lambda: timm.create_model(name))
    norm = [m for m in ours.stages.modules() if isinstance(m, nn.BatchNorm2d)][-1]
    with torch.no_grad():
        norm.weight.mul_(1.01)
    assert difference(ours, theirs, 64) > 2 * TOLERANCE


@pytest.mark.parametrize(
    ("peer", "name"),
    [("timm", "resnet18"), ("timm", "resnetrs50"), ("torchvision", "resnet18"), ("torchvision", "resnet50")],
)
def test_gradients_of_a_step_are_theirs(peer: str, name: str) -> None:
    ours = settled(name, torch.float64)
    theirs = twin(ours, (lambda: timm.create_model(name)) if peer == "timm" else getattr(torchvision.models, name))
    x, labels = photographs(65, 3, torch.float64), torch.tensor([1, 2, 3])
    for model in (ours, theirs):
        F.cross_entropy(model.train()(x), labels).backward()
    gradients = ours.state_dict() | {n: p.grad for n, p in ours.named_parameters() if p.grad is not None}
    mine = from_ours(gradients, ours.architecture)
    for path, parameter in theirs.named_parameters():
        assert parameter.grad is not None
        largest = parameter.grad.abs().max()
        assert largest > 0, path
        assert ((mine[path] - parameter.grad).abs().max() / largest).item() < 1e-8, path


@pytest.mark.parametrize("name", ["resnet34", pytest.param("resnetrs101", marks=pytest.mark.slow)])
def test_feature_maps_are_timms(name: str) -> None:
    ours = settled(name)
    with torch.device("meta"):
        theirs = timm.create_model(name, features_only=True)
    state = from_ours(ours.state_dict(), ours.architecture)
    theirs.load_state_dict({key: state[key] for key in theirs.state_dict()}, assign=True)
    extractor = FeatureExtractor(ours)
    assert extractor.channels == theirs.feature_info.channels()
    assert extractor.reductions == theirs.feature_info.reduction() == [2, 4, 8, 16, 32]
    with torch.no_grad():
        for mine, other in zip(extractor(photographs(65)), theirs.eval()(photographs(65)), strict=True):
            torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)
