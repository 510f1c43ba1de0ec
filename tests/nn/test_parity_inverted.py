"""Every family of inverted bottlenecks computes what timm's does: same weights, same photographs, same logits."""

from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from compoundnet import zoo
from compoundnet.architecture import Architecture, FusedMBConv
from compoundnet.errors import RequestError
from compoundnet.nn import FeatureExtractor, Network, build
from compoundnet.weights.timm import from_ours, to_ours
from compoundnet.zoo import condconv, edgetpu, lite, mnasnet, mobilenet, tinynet
from parity import TOLERANCE, difference, pair, photographs, random_state, timm_twin

FAMILIES = (lite, edgetpu, condconv, mnasnet, tinynet, mobilenet)
NAMES = [name for family in FAMILIES for name in family.ARCHITECTURES]
SMALLEST = ["tf_efficientnet_lite0", "efficientnet_es", "tf_efficientnet_cc_b0_4e", "mnasnet_small", "tinynet_e"]
SMALLEST += ["tf_mobilenetv3_small_100", "mobilenetv3_large_100"]


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_timms(name: str) -> None:
    """At an even and an odd side; 65 is odd at every stage: 33, 17, 9, 5, 3. The large ones in float32."""
    dtype = torch.float64 if name in SMALLEST else torch.float32
    ours, theirs = pair(name, dtype)
    assert max(difference(ours, theirs, side) for side in (64, 65)) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", SMALLEST)
def test_one_step_of_training_is_timms(name: str) -> None:
    """The gradients, and what the norms have learned of the batch."""
    ours, theirs = pair(name)
    arch = zoo.architecture(name)
    for module in (*ours.modules(), *theirs.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # timm's weights come with its own
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    _without_chance(ours)
    x = photographs(33, torch.float64, count=4)
    for model in (ours, theirs):
        model.train()(x).square().mean().backward()
    grads = {name: p.grad for name, p in ours.named_parameters()}
    under_theirs = {name: p.grad for name, p in theirs.named_parameters()}
    expected = to_ours({**theirs.state_dict(), **under_theirs}, arch)
    for name, grad in grads.items():
        assert grad is not None
        torch.testing.assert_close(grad, expected[name], rtol=1e-6, atol=1e-9 * grad.abs().max().item() + 1e-15)
    mine, other = ours.state_dict(), to_ours(theirs.state_dict(), arch)
    for name in mine:
        torch.testing.assert_close(mine[name], other[name])


def _without_chance(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "rate"):
            module.rate = 0.0


@pytest.mark.parametrize("name", NAMES)
def test_weights_come_back_as_they_were(name: str) -> None:
    arch = zoo.architecture(name)
    state = random_state(arch, torch.float32)
    theirs = timm_twin(arch)
    there = from_ours(state, arch)
    assert {key: tuple(t.shape) for key, t in there.items()} == {
        k: tuple(t.shape) for k, t in theirs.state_dict().items()
    }
    back = to_ours(there, arch)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_the_activation_of_a_block_matters(activation: str) -> None:
    """A control: MobileNetV3 with one activation throughout gives other logits."""
    ours, theirs = pair("mobilenetv3_small_100")
    arch = zoo.architecture("mobilenetv3_small_100")
    stages = tuple(replace(s, block=replace(s.block, activation=activation)) for s in arch.stages)  # type: ignore[call-arg]
    other = build(replace(arch, stages=stages)).double().eval()
    other.load_state_dict(ours.state_dict())
    assert difference(other, theirs, 64) > 0.01


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "tf_efficientnet_es", "mnasnet_small", "tinynet_e"])
def test_feature_maps_are_timms(name: str) -> None:
    """Of the same stages, and the same as numbers: with MobileNetV3, whose stages are split here, too."""
    ours, whole = pair(name)
    theirs = timm.create_model(name, features_only=True).double()
    state = whole.state_dict()
    theirs.load_state_dict({key: state[key] for key in theirs.state_dict()})
    assert isinstance(ours, Network)
    extractor = FeatureExtractor(ours)
    if zoo.architecture(name).hidden is not None:  # timm counts the head's map as the last
        extractor = FeatureExtractor(ours, range(4))
    x = photographs(65, torch.float64)
    with torch.inference_mode():
        for mine, other in zip(extractor(x), theirs.eval()(x), strict=False):
            torch.testing.assert_close(mine, other, atol=1e-9, rtol=1e-9)


def test_what_the_classifier_takes_behind_a_hidden_layer() -> None:
    ours, theirs = pair("mobilenetv3_small_100")
    assert isinstance(ours, Network)
    x = photographs(64, torch.float64)
    with torch.inference_mode():
        features = ours.forward_features(x)
        assert features.shape[1] == ours.num_features == theirs.num_features == 576
        taken = ours.forward_head(features, pre_logits=True)
        torch.testing.assert_close(taken, theirs.forward_head(theirs.forward_features(x), pre_logits=True))
        torch.testing.assert_close(ours.get_classifier()(taken), ours(x))
        ours.reset_classifier(0)
        torch.testing.assert_close(ours(x), taken)
        ours.reset_classifier(7)
        assert ours(x).shape == (2, 7)


def test_stages_that_timm_has_as_one() -> None:
    """Those that differ in their expansion alone; a stage of the same width with another kernel is one of its own."""
    large, small = zoo.architecture("mobilenetv3_large_100"), zoo.architecture("mnasnet_small")
    assert _last_stage(large) == 6  # the head
    assert _last_stage(small) == len(small.stages) - 1 == 6


def _last_stage(arch: Architecture) -> int:
    names = from_ours(random_state(arch, torch.float32), arch)
    return max(int(name.split(".")[1]) for name in names if name.startswith("blocks."))


def test_a_fused_block_of_one_convolution_with_squeeze_has_no_place_in_timm() -> None:
    block = FusedMBConv(kernel=3, expansion=1, se_ratio=0.25)
    own = replace(zoo.architecture("efficientnetv2_b0"), name="own")
    arch = replace(own, stages=(replace(own.stages[0], block=block), *own.stages[1:]))
    with pytest.raises(RequestError, match="timm's layout is not known for FusedMBConv"):
        from_ours(random_state(arch, torch.float32), arch)
