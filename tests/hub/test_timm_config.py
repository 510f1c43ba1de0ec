"""What timm has it loads from our folder: the same logits, labels and preprocessing."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from timm.data import resolve_model_data_config

from compoundnet import zoo
from compoundnet.architecture import Architecture, Norm
from compoundnet.cost import cost
from compoundnet.hub import from_pretrained, save_pretrained
from compoundnet.hub.timm_config import timm_name
from compoundnet.weights.layout import expected_shapes
from compoundnet.weights.timm import from_ours
from trained import trained_run

LARGE = 15e6  # parameters; timm takes seconds to make such a network, even of no memory
LABELS = ("cat", "dog", "other")
NAMED = [
    name
    for name in zoo.list_architectures()
    if isinstance(arch := zoo.architecture(name), Architecture) and timm_name(arch)
]


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "efficientnet_b0", "tf_efficientnetv2_b0"])
def test_timm_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    arch = replace(zoo.architecture(name), resolution=64, dropout=0.4)
    run = trained_run(arch, labels=LABELS, crop="squash", crop_fraction=0.8, mean=(0.5, 0.4, 0.3))
    folder = save_pretrained(run, tmp_path / "net")
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    x = torch.rand(2, 3, 65, 64)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), run.model(x), rtol=1e-5, atol=1e-6)
        assert torch.equal(from_pretrained(folder).model(x), run.model(x))
    assert tuple(theirs.pretrained_cfg["label_names"]) == LABELS
    data = resolve_model_data_config(theirs)
    assert (tuple(data["input_size"]), data["crop_pct"], data["crop_mode"]) == ((3, 64, 64), 0.8, "squash")
    assert (tuple(data["mean"]), data["interpolation"]) == ((0.5, 0.4, 0.3), "bicubic")


def test_timm_can_take_the_backbone_elsewhere(tmp_path: Path) -> None:
    """For other classes and channels it must know the names of the first and the last layer."""
    folder = save_pretrained(trained_run(zoo.architecture("efficientnet_b0"), labels=LABELS), tmp_path / "net")
    other = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=5, in_chans=1).eval()
    assert other(torch.rand(1, 1, 64, 64)).shape == (1, 5)
    same = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    torch.testing.assert_close(other.conv_stem.weight, same.conv_stem.weight.sum(1, keepdim=True))


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if cost(zoo.architecture(n)).params > LARGE else ()) for n in NAMED],
)
def test_timms_network_of_that_name_takes_the_weights(name: str) -> None:
    """Names and shapes, and what no weight shows: padding and norms."""
    arch = zoo.architecture(name)
    theirs = timm_name(arch)
    assert theirs is not None
    with torch.device("meta"):
        expected = {key: tensor.shape for key, tensor in timm.create_model(theirs).state_dict().items()}
        ours = {key: torch.empty(shape) for key, shape in expected_shapes(arch).items()}
    assert {key: tensor.shape for key, tensor in from_ours(ours, arch).items()} == expected


def test_there_are_such_networks() -> None:
    assert {"tf_efficientnet_b7", "efficientnet_b0", "tf_efficientnetv2_s"} <= set(NAMED)


@pytest.mark.parametrize(
    "change", [{"norm": Norm(eps=1e-2)}, {"name": "my_b0"}, {"activation": "relu"}, {"in_channels": 4}, {"head": 640}]
)
def test_another_network_is_not_timms(change: dict[str, object]) -> None:
    arch = zoo.architecture("tf_efficientnet_b0")
    assert timm_name(arch) == "tf_efficientnet_b0"
    assert timm_name(replace(arch, **change)) is None


def test_what_timm_lacks_has_our_layout(tmp_path: Path) -> None:
    assert timm_name(zoo.architecture("mbconv_tiny")) is None
    folder = save_pretrained(trained_run(zoo.architecture("mbconv_tiny"), labels=LABELS), tmp_path / "net")
    assert not (folder / "config.json").exists()
    assert "timm" not in (folder / "README.md").read_text()
