"""Weights of MobileNets come from timm's layout and go back; ours holds those of every family."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm as timm_package
import torch
from safetensors.torch import save_file

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.nn import build
from compoundnet.weights import apply_weights, read_weights, timm

MOBILE = ["mobilenetv1_100", "mobilenetv2_100"]
RESNET = zoo.architecture("resnet50").scaled(width=0.125, name="resnet50_eighth")


@pytest.mark.parametrize("name", MOBILE)
def test_mobilenets_of_timm(tmp_path: Path, name: str) -> None:
    arch, theirs = zoo.architecture(name), timm_package.create_model(name)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = build(arch)
    apply_weights(ours, read_weights(tmp_path / "theirs.safetensors", arch), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-4, rtol=1e-4)
    back = timm.from_ours(ours.state_dict(), arch)
    assert back.keys() == theirs.state_dict().keys()
    assert all(torch.equal(back[key], tensor) for key, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("arch", [RESNET, zoo.architecture("mobilenetv1_100")], ids=lambda arch: arch.name)
def test_our_own_layout_holds_them(tmp_path: Path, arch: Architecture) -> None:
    model = build(arch)
    save_file(model.state_dict(), tmp_path / "ours.safetensors")
    other = build(replace(arch, classes=3, in_channels=1))
    applied = apply_weights(other, read_weights(tmp_path / "ours.safetensors", other.architecture))
    assert applied.fresh == ("classifier.weight", "classifier.bias")
    assert applied.adapted == ("stem.conv.weight",)
    blocks, theirs = model.stages.state_dict(), other.stages.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in blocks.items())


def test_a_file_of_another_network_is_recognised(tmp_path: Path) -> None:
    save_file(build(zoo.architecture("mobilenetv1_100")).state_dict(), tmp_path / "v1.safetensors")
    with pytest.raises(RequestError, match=r"does not fit mobilenetv2_100: .*; it looks like mobilenetv1_100$"):
        read_weights(tmp_path / "v1.safetensors", zoo.architecture("mobilenetv2_100"))
