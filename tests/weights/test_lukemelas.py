"""lukemelas' efficientnet-pytorch: its weights here, ours there, and for which padding and norm they are."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from compoundnet import zoo
from compoundnet.errors import RequestError
from compoundnet.factory import create
from compoundnet.nn import build
from compoundnet.weights import read_weights, write_weights
from weights.peers import alike, difference, randomise

efficientnet_pytorch = pytest.importorskip("efficientnet_pytorch")


def peer(size: str, side: int | None = None) -> torch.nn.Module:
    """``side`` None: padding by the image, as of our own."""
    return efficientnet_pytorch.EfficientNet.from_name(f"efficientnet-{size}", image_size=side)


@pytest.mark.parametrize(
    "size", [pytest.param(f"b{i}", marks=[pytest.mark.slow] * (i > 1)) for i in range(9)], ids=lambda size: size
)
def test_its_weights_give_its_logits_and_go_back(tmp_path: Path, size: str) -> None:
    arch, theirs = zoo.architecture(f"tf_efficientnet_{size}"), randomise(peer(size))
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    network = create(arch, weights=tmp_path / "theirs.safetensors").eval()
    write_weights(network, arch, tmp_path / "back.safetensors", layout="lukemelas")
    back = load_file(tmp_path / "back.safetensors")
    assert alike(back, theirs.state_dict())
    theirs.load_state_dict(back)
    assert max(difference(network, theirs, side) for side in (64, 65)) < 1e-6  # float64, whose noise grows too


def test_l2_has_its_names_and_shapes() -> None:
    from compoundnet.weights import lukemelas
    from compoundnet.weights.layout import expected_shapes

    arch = zoo.architecture("tf_efficientnet_l2")
    names = dict(lukemelas.modules(arch))
    with torch.device("meta"):
        theirs = {name: tensor.shape for name, tensor in peer("l2").state_dict().items()}
    ours = {f"{names[m]}.{t}": shape for n, shape in expected_shapes(arch).items() for m, _, t in [n.rpartition(".")]}
    assert ours == theirs


def test_the_other_padding_is_refused_with_the_right_name(tmp_path: Path) -> None:
    save_file(peer("b0").state_dict(), tmp_path / "b0.safetensors")
    with pytest.raises(
        RequestError, match=r"needs padding 'same' and a norm epsilon of 0.001.*: use tf_efficientnet_b0$"
    ):
        read_weights(tmp_path / "b0.safetensors", zoo.architecture("efficientnet_b0"))
    with pytest.raises(RequestError, match=r"does not fit tf_efficientnet_b1: .*it looks like efficientnet_b0 or tf_"):
        read_weights(tmp_path / "b0.safetensors", zoo.architecture("tf_efficientnet_b1"))


def test_a_fused_block_has_no_name_there(tmp_path: Path) -> None:
    arch = zoo.architecture("tf_efficientnetv2_b0")
    with pytest.raises(RequestError, match=r"lukemelas's layout has no names for FusedMBConv\(.*"):
        write_weights(build(arch), arch, tmp_path / "v2.safetensors", layout="lukemelas")
