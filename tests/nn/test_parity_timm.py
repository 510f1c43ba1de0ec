"""The network computes what timm's does: same weights, same photographs, same logits."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from compoundnet import zoo
from compoundnet.nn import build
from compoundnet.weights.timm import from_ours, to_ours
from compoundnet.zoo import efficientnet
from parity import TOLERANCE, difference, pair, random_state, timm_twin

# One network each; the two sizes of L2 differ in resolution alone, which no weight knows.
VARIANTS = [name for name in efficientnet.ARCHITECTURES if not name.endswith("_475")]
SMALL = ["b0", "b1", "b2", "b3"]
HUGE = ["l", "xl", "b8", "l2"]
SIZES = (64, 223, 224, 225, 226)  # 224 is B0's own; beside it every stage meets even and odd sides


def size_of(name: str) -> str:
    return name.rpartition("_")[2]


@pytest.mark.parametrize("name", [n for n in VARIANTS if size_of(n) in SMALL])
def test_small_variants_agree(name: str) -> None:
    ours, theirs = pair(name)
    sides = SIZES if size_of(name) == "b0" else (64, 225, 226)
    assert max(difference(ours, theirs, side) for side in sides) < TOLERANCE[torch.float64]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (size_of(n) in HUGE)) for n in VARIANTS if size_of(n) not in SMALL],
)
def test_large_variants_agree(name: str) -> None:
    """At 65 as well, for odd sides at every stage: 33, 17, 9, 5, 3."""
    ours, theirs = pair(name, torch.float32)
    assert max(difference(ours, theirs, side) for side in (64, 65)) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("side", [64, 224])
def test_the_padding_matters(side: int) -> None:
    """A control: with the other padding the same weights give other logits."""
    ours, theirs = pair("tf_efficientnet_b0")
    symmetric = build(replace(zoo.architecture("tf_efficientnet_b0"), padding="symmetric")).double().eval()
    symmetric.load_state_dict(ours.state_dict())
    assert difference(symmetric, theirs, side) > 0.1


def test_the_epsilon_of_the_norm_matters() -> None:
    ours, theirs = pair("tf_efficientnet_b0")
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5
    assert difference(ours, theirs, 64) > 1e-3


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "efficientnet_b7"])
@pytest.mark.parametrize(
    "tensor",
    ["stem.norm.running_var", "stages.1.0.expand.norm.running_mean", "stages.5.1.squeeze_excite.reduce.bias"],
)
def test_a_single_wrong_tensor_shows(name: str, tensor: str) -> None:
    """A control: one tensor changed by a hundredth is far outside the tolerance, deep networks included."""
    ours, theirs = pair(name, torch.float32)
    state = {key: value * 1.01 if key == tensor else value for key, value in ours.state_dict().items()}
    ours.load_state_dict(state, assign=True)
    assert difference(ours, theirs, 64) > 2 * TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", ["efficientnet_b0", "tf_efficientnetv2_b0", "tf_efficientnetv2_m"])
def test_weights_come_back_as_they_were(name: str) -> None:
    arch = zoo.architecture(name)
    state = random_state(arch, torch.float32)
    theirs = timm_twin(arch)
    theirs.load_state_dict(from_ours(state, arch), assign=True)
    back = to_ours(theirs.state_dict(), arch)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)
