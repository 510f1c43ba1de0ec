"""ResNets' weights come from timm's and torchvision's layout and go back to equal bytes; others are refused by name."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm as timm_package
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from compoundnet import zoo
from compoundnet.architecture import Stage
from compoundnet.errors import RequestError
from compoundnet.nn import build
from compoundnet.weights import apply_weights, read_weights, timm
from compoundnet.weights.layout import expected_shapes
from compoundnet.zoo import resnet

NAMES = list(resnet.ARCHITECTURES)


def meta(name: str) -> dict[str, Tensor]:
    """timm's state of that name, without its values."""
    with torch.device("meta"):
        return timm_package.create_model(name).state_dict()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_timm_is_known_and_no_other(name: str) -> None:
    arch, theirs = zoo.architecture(name), meta(name)
    ours = timm.to_ours(theirs, arch)
    assert {n: t.shape for n, t in ours.items()} == expected_shapes(arch)
    back = timm.from_ours(ours, arch)
    assert back.keys() == theirs.keys()
    assert all(back[key] is tensor for key, tensor in theirs.items())


@pytest.mark.parametrize("name", [n for n in NAMES if hasattr(torchvision.models, n)])
def test_torchvisions_names_are_timms(name: str) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)().state_dict()
    assert {n: t.shape for n, t in theirs.items()} == {n: t.shape for n, t in meta(name).items()}
    weights = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    model_params = sum(t.numel() for n, t in theirs.items() if not n.endswith(("mean", "var", "tracked")))
    assert weights.meta["num_params"] == model_params


@pytest.mark.parametrize("name", ["resnet18", "resnetrs50"])
def test_a_file_of_timms_comes_in_and_goes_out_as_it_was(tmp_path: Path, name: str) -> None:
    arch, theirs = zoo.architecture(name), timm_package.create_model(name)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = build(arch)
    apply_weights(ours, read_weights(tmp_path / "theirs.safetensors", arch), strict=True)
    back = timm.from_ours(ours.state_dict(), arch)
    assert back.keys() == theirs.state_dict().keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("name", ["resnet18", "resnetrs50"])
def test_other_classes_and_channels(tmp_path: Path, name: str) -> None:
    theirs = timm_package.create_model(name, num_classes=7, in_chans=1)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    wanted = replace(zoo.architecture(name), classes=3)
    applied = apply_weights(build(wanted), read_weights(tmp_path / "theirs.safetensors", wanted))
    assert applied.fresh == ("classifier.weight", "classifier.bias")
    assert applied.adapted == ("stem.conv.weight",)


def test_a_backbone_leaves_a_fresh_classifier(tmp_path: Path) -> None:
    arch = zoo.architecture("resnet18")
    save_file(timm_package.create_model("resnet18", num_classes=0).state_dict(), tmp_path / "theirs.safetensors")
    applied = apply_weights(build(arch), read_weights(tmp_path / "theirs.safetensors", arch))
    assert applied.fresh == ("classifier.weight", "classifier.bias")


def test_half_a_classifier_is_an_error() -> None:
    state = meta("resnet18")
    del state["fc.bias"]
    with pytest.raises(RequestError, match=r"1 missing \(fc.bias\)"):
        timm.to_ours(state, zoo.architecture("resnet18"))


@pytest.mark.parametrize(
    ("stored", "wanted", "message"),
    [
        ("resnet18", "resnet50", r"\d+ missing \(layer1\.0\.conv3\.weight, .*looks like .*resnet18"),
        ("resnetrs50", "resnet50", r"does not fit resnet50: \d+ missing \(conv1\.weight.*looks like .*resnetrs50"),
        ("resnet18", "efficientnet_b0", "does not fit efficientnet_b0: .* it looks like resnet18"),
    ],
)
def test_another_network_is_recognised(tmp_path: Path, stored: str, wanted: str, message: str) -> None:
    save_file(timm_package.create_model(stored).state_dict(), tmp_path / "theirs.safetensors")
    with pytest.raises(RequestError, match=message):
        read_weights(tmp_path / "theirs.safetensors", zoo.architecture(wanted))


def test_what_no_resnet_has_is_refused() -> None:
    arch = replace(zoo.architecture("resnet18"), head=64)
    with pytest.raises(RequestError, match="the layout of ResNets has no names for resnet18: its head; use a file in"):
        timm.from_ours(build(arch).state_dict(), arch)
    b0 = zoo.architecture("efficientnet_b0")
    mixed = replace(b0, stages=(*b0.stages, Stage(block=arch.stages[0].block, channels=8, repeats=1, stride=1)))
    with pytest.raises(RequestError, match="timm's layout is not known for BasicBlock; use a file in compoundnet's"):
        timm.from_ours(build(mixed).state_dict(), mixed)
