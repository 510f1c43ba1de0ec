"""torchvision's EfficientNets: their weights here, ours there, and for which padding and norm they are."""

from dataclasses import replace
from pathlib import Path

import pytest
import torchvision
from safetensors.torch import load_file, save_file

from compoundnet import zoo
from compoundnet.architecture import Architecture, Norm
from compoundnet.errors import RequestError
from compoundnet.factory import create
from compoundnet.weights import apply_weights, read_weights, write_weights
from weights.peers import alike, difference, randomise

# torchvision's name, the zoo's, and what torchvision's norm has else (torchvision 0.29 models/efficientnet.py).
ROWS = [
    *((f"efficientnet_b{i}", f"efficientnet_b{i}", Norm(eps=1e-5, momentum=0.1)) for i in range(5)),
    *((f"efficientnet_b{i}", f"efficientnet_b{i}", Norm(eps=1e-3, momentum=0.01)) for i in range(5, 8)),
    *((f"efficientnet_v2_{s}", f"efficientnetv2_{s}", Norm(eps=1e-3, momentum=0.1)) for s in "sml"),
]
SMALL = ("efficientnet_b0", "efficientnet_b1")


def arch_of(ours: str, norm: Norm) -> Architecture:
    return replace(zoo.architecture(ours), norm=norm)


@pytest.mark.parametrize(
    ("theirs", "ours", "norm"),
    [pytest.param(*row, marks=[pytest.mark.slow] * (row[0] not in SMALL), id=row[0]) for row in ROWS],
)
def test_its_weights_give_its_logits_and_go_back(tmp_path: Path, theirs: str, ours: str, norm: Norm) -> None:
    arch = arch_of(ours, norm)
    peer = randomise(getattr(torchvision.models, theirs)(weights=None))
    save_file(peer.state_dict(), tmp_path / "theirs.safetensors")
    network = create(arch, weights=tmp_path / "theirs.safetensors").eval()
    write_weights(network, arch, tmp_path / "back.safetensors", layout="torchvision")
    back = load_file(tmp_path / "back.safetensors")
    assert alike(back, peer.state_dict())
    peer.load_state_dict(back)
    assert max(difference(network, peer, side) for side in (64, 65)) < 1e-6  # float64, whose noise grows too


@pytest.fixture(scope="module")
def b5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / "b5.safetensors"
    save_file(torchvision.models.efficientnet_b5(weights=None).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("arch", "changes"),
    [
        ("efficientnet_b5", r"architecture\('efficientnet_b5'\), norm=Norm\(eps=0.001, momentum=0.01\)"),
        ("tf_efficientnet_b5", r"architecture\('tf_efficientnet_b5'\), padding='symmetric'"),
    ],
)
def test_another_padding_or_norm_is_refused_with_what_fits(b5: Path, arch: str, changes: str) -> None:
    message = (
        rf"needs padding 'symmetric' and a norm epsilon of 0.001; {arch} has .*: use dataclasses.replace\({changes}"
    )
    with pytest.raises(RequestError, match=message):
        read_weights(b5, zoo.architecture(arch))


def test_a_name_of_the_zoo_is_told_where_one_fits(tmp_path: Path) -> None:
    save_file(torchvision.models.efficientnet_b0(weights=None).state_dict(), tmp_path / "b0.safetensors")
    with pytest.raises(
        RequestError, match=r"needs padding 'symmetric' and a norm epsilon of 1e-05; .*: use efficientnet_b0"
    ):
        read_weights(tmp_path / "b0.safetensors", zoo.architecture("tf_efficientnet_b0"))


def test_another_variant_is_recognised(b5: Path) -> None:
    with pytest.raises(RequestError, match=r"does not fit efficientnet_b0: .*it looks like efficientnet_b5 or tf_"):
        read_weights(b5, zoo.architecture("efficientnet_b0"))


def test_other_classes_and_channels(b5: Path) -> None:
    arch = replace(arch_of("efficientnet_b5", Norm(eps=1e-3)), classes=3, in_channels=1)
    applied = apply_weights(create(arch), read_weights(b5, arch))
    assert applied.fresh == ("classifier.weight", "classifier.bias")
    assert applied.adapted == ("stem.conv.weight",)


def test_a_network_of_ones_own_may_have_any_norm(tmp_path: Path) -> None:
    """Only torchvision's own builders say which norm a network of theirs has."""
    arch = replace(zoo.architecture("efficientnet_b0"), head=640, norm=Norm(eps=2e-3))
    write_weights(create(arch), arch, tmp_path / "own.safetensors", layout="torchvision")
    read_weights(tmp_path / "own.safetensors", arch)
    with pytest.raises(RequestError, match="torchvision's layout needs padding 'symmetric'"):
        write_weights(create(arch), replace(arch, padding="same"), tmp_path / "x.safetensors", layout="torchvision")
