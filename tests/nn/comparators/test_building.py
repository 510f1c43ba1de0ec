"""Every comparator is the network of its maker, with our habits, and learns."""

import sys
from dataclasses import replace

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from compoundnet import create, zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn import Network
from compoundnet.nn.comparators import ComparatorNetwork, build_comparator, build_network
from compoundnet.zoo.comparators import COMPARATORS, AmoebaNetD, Comparator, Timm, TorchVision

SMALL = {  # of every family, at a side that a test can afford; only the cheapest of AmoebaNet-D is ever computed
    "alexnet": 64, "zfnet": 64, "vgg16": 32, "vgg16_bn": 32, "vgg19": 32, "vgg19_bn": 32, "googlenet": 64,
    "densenet121": 32, "densenet169": 32, "densenet201": 32, "xception": 64, "nasnetalarge": 32,
}  # fmt: skip
ALL = [name for name in COMPARATORS if not name.startswith("amoebanet") or name == "amoebanet_d_18_208"]  # and its kin
HEAVY = {"vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "nasnetalarge"}  # seconds and gigabytes
LIGHT = [name for name in SMALL if name not in HEAVY]
TINY_AMOEBANET = replace(COMPARATORS["amoebanet_d_18_208"], maker=AmoebaNetD(layers=3, filters=32), resolution=32)

computed = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in HEAVY)) for name in [*SMALL, "amoebanet_d"]]
)


def small(name: str, classes: int = 3) -> Comparator:
    comparator = TINY_AMOEBANET if name == "amoebanet_d" else COMPARATORS[name]
    return replace(comparator, resolution=SMALL.get(name, 32), classes=classes)


def on_meta(comparator: Comparator) -> ComparatorNetwork:
    with torch.device("meta"):
        return build_comparator(comparator)


def images(comparator: Comparator, n: int = 2, device: str = "cpu") -> Tensor:
    return torch.randn(n, comparator.in_channels, comparator.resolution, comparator.resolution, device=device)


@pytest.mark.parametrize("name", ALL)
def test_shapes_at_its_own_resolution(name: str) -> None:
    comparator = COMPARATORS[name]
    network = on_meta(comparator)
    x = images(comparator, device="meta")
    features = network.forward_features(x)
    assert features.ndim == 4
    assert network.forward_head(features, pre_logits=True).shape == (2, network.num_features)
    assert network.forward_head(features).shape == (2, 1000)
    assert network.architecture == comparator


@pytest.mark.parametrize("name", [c.name for c in COMPARATORS.values() if isinstance(c.maker, TorchVision)])
def test_parameters_are_torchvisions(name: str) -> None:
    network = on_meta(COMPARATORS[name])
    published = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta["num_params"]
    assert sum(p.numel() for p in network.parameters()) == published


@pytest.mark.parametrize("name", [c.name for c in COMPARATORS.values() if isinstance(c.maker, Timm)])
def test_parameters_are_timms(name: str) -> None:
    """22.86 and 88.75 million in timm's results/results-imagenet.csv."""
    network, maker = on_meta(COMPARATORS[name]), COMPARATORS[name].maker
    assert isinstance(maker, Timm)
    with torch.device("meta"):
        theirs = timm.create_model(maker.model)
    params = sum(p.numel() for p in network.parameters())
    assert params == sum(p.numel() for p in theirs.parameters())
    assert round(params / 1e6, 2) == {"xception": 22.86, "nasnetalarge": 88.75}[name]


@computed
def test_one_training_step(name: str) -> None:
    """Every parameter gets a gradient, and the step goes down its hill."""
    torch.manual_seed(1)
    comparator = replace(small(name), dropout=0.0)
    network, x, y = build_comparator(comparator), images(small(name), 4), torch.tensor([0, 1, 2, 0])
    before = F.cross_entropy(network(x), y)
    before.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(gradients) == len(list(network.parameters()))
    assert all(g.isfinite().all() for g in gradients)
    steepness = sum(float(g.square().sum()) for g in gradients)
    torch.optim.SGD(network.parameters(), lr=0.003 * float(before.detach()) / steepness).step()
    with torch.no_grad():  # along the gradient it would be 0.3 % less
        assert F.cross_entropy(network(x), y) < before.detach()


@pytest.mark.parametrize("name", ["amoebanet_d_18_208", pytest.param("amoebanet_d_72_512", marks=pytest.mark.slow)])
def test_a_training_step_of_the_large_ones_on_meta(name: str) -> None:
    comparator = replace(COMPARATORS[name], resolution=64)
    network = on_meta(comparator)
    with torch.device("meta"):
        network(images(comparator, device="meta")).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", [*LIGHT, "amoebanet_d"])
def test_parts_and_sequence_are_the_whole(name: str) -> None:
    torch.manual_seed(0)
    comparator = small(name)
    network = build_comparator(comparator).eval()
    x = images(comparator)
    with torch.no_grad():
        y = network(x)
        assert torch.equal(network.forward_head(network.forward_features(x)), y)
        assert torch.equal(network.as_sequence().eval()(x), y)
        assert torch.equal(network.get_classifier()(network.forward_head(network.forward_features(x), True)), y)


@pytest.mark.parametrize("name", [*LIGHT, "amoebanet_d"])
def test_the_classifier_can_be_changed(name: str) -> None:
    network, x = build_comparator(small(name)).eval(), images(small(name))
    network.reset_classifier(7)
    assert network(x).shape == (2, 7)
    network.reset_classifier(0)
    assert isinstance(network.get_classifier(), nn.Identity)
    assert network(x).shape == (2, network.num_features)
    with pytest.raises(RequestError, match="num_classes is -1"):
        network.reset_classifier(-1)


@pytest.mark.parametrize("name", ALL)
def test_other_channels_change_the_first_convolution_alone(name: str) -> None:
    rgb, grey = (dict(on_meta(replace(COMPARATORS[name], in_channels=n)).named_parameters()) for n in (3, 1))
    differing = [key for key in rgb if rgb[key].shape != grey[key].shape]
    assert differing == [next(iter(rgb))]
    assert grey[differing[0]].shape[1] == 1


def test_another_channel_is_seen() -> None:
    network = create(small("densenet121"), in_channels=5).eval()
    x = torch.randn(1, 5, 32, 32)
    assert not torch.equal(network(x), network(x.flip(1)))


@pytest.mark.parametrize("name", ALL)
def test_dropout_is_the_comparators(name: str) -> None:
    """Everywhere that it has any; ``drop_rate`` changes it."""
    rates = {m.p for m in on_meta(COMPARATORS[name]).modules() if isinstance(m, nn.Dropout)}
    assert rates - {0.0} == {COMPARATORS[name].dropout} - {0.0}
    rates = {m.p for m in on_meta(replace(COMPARATORS[name], dropout=0.37)).modules() if isinstance(m, nn.Dropout)}
    assert 0.37 in rates
    assert rates <= {0.37, 0.0}  # timm's own, before a classifier that is not used


@pytest.mark.parametrize("name", ALL)
def test_no_auxiliary_classifier(name: str) -> None:
    network = on_meta(COMPARATORS[name]).train()
    out = network(images(COMPARATORS[name], device="meta"))
    assert isinstance(out, Tensor)
    assert [key for key, _ in network.named_modules() if "aux" in key.lower()] == []


@pytest.mark.parametrize("name", ALL)
def test_the_least_side(name: str) -> None:
    """It is taken; one pixel less is refused where the value is made, not somewhere inside."""
    least = COMPARATORS[name].maker.least_side
    smallest = replace(COMPARATORS[name], resolution=least)
    assert on_meta(smallest)(images(smallest, device="meta")).shape == (2, 1000)
    if least > 1:
        with pytest.raises(RequestError, match=f"resolution is {least - 1}; {name} takes images of at least {least}"):
            replace(COMPARATORS[name], resolution=least - 1)


@pytest.mark.parametrize("name", ["alexnet", "zfnet", "vgg16", "densenet121", "xception"])
def test_no_smaller_side_would_do(name: str) -> None:
    network, least = on_meta(COMPARATORS[name]), COMPARATORS[name].maker.least_side
    with pytest.raises(RuntimeError):
        network(torch.empty(2, 3, least - 1, least - 1, device="meta"))


def test_create_takes_the_usual_settings() -> None:
    model = create("densenet121", num_classes=2, drop_rate=0.3, in_channels=1)
    assert isinstance(model, ComparatorNetwork)
    expected = replace(COMPARATORS["densenet121"], classes=2, dropout=0.3, in_channels=1)
    assert model.architecture == expected
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 2)
    assert create("densenet121", num_classes=0)(torch.zeros(2, 3, 32, 32)).shape == (2, 1024)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"features_only": True}, "alexnet is a comparator, built as it was published: leave features_only=True out"),
        ({"drop_path_rate": 0.2}, "leave drop_path_rate=0.2 out, or take an architecture such as efficientnet_b0"),
        ({"num_classes": -2}, "classes is -2; it must be a positive integer"),
        ({"drop_rate": 2}, "dropout is 2; it must lie in"),
    ],
)
def test_create_refuses_the_rest(settings: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        create("alexnet", **settings)  # type: ignore[arg-type]


def test_without_timm_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(RequestError, match=r"^xception is timm's, .* not installed; pip install 'compoundnet\[compar"):
        build_comparator(COMPARATORS["xception"])


def test_either_kind_is_built() -> None:
    arch = zoo.architecture("mbconv_tiny")
    assert isinstance(arch, Architecture)
    assert isinstance(build_network(arch), Network)
    assert isinstance(build_network(TINY_AMOEBANET), ComparatorNetwork)
