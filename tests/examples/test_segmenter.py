"""The example's segmenter: segmentation-models-pytorch trains its decoders on our feature maps."""

import sys

import pytest
import torch
from torch import nn

from compoundnet.architecture import Architecture, MBConv, Stage
from compoundnet.errors import RequestError
from conftest import ROOT

pytest.importorskip("segmentation_models_pytorch", reason="needs segmentation-models-pytorch")

sys.path.insert(0, str(ROOT / "examples"))
try:
    import segmenter as example
finally:
    del sys.path[0]


@pytest.mark.parametrize("decoder", ["Unet", "FPN"])
def test_one_step(decoder: str) -> None:
    torch.manual_seed(0)
    network = example.segmenter("efficientnet_b0", 2, decoder).train()
    images, masks = example.discs(2, 64, seed=0)
    images = nn.functional.pad(images, (0, 32))  # not square
    logits = network(images)
    assert logits.shape == (2, 2, 64, 96)
    nn.functional.binary_cross_entropy_with_logits(logits[:, :1, :, :64], masks).backward()
    gradients = {name: weight.grad for name, weight in network.encoder.named_parameters()}
    # FPN leaves the finest map out, but all layers lead to coarser ones.
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert sum(gradient.abs().sum() > 0 for gradient in gradients.values()) > 0.95 * len(gradients)


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_the_encoder_is_what_the_library_expects(depth: int) -> None:
    encoder = example.Encoder("efficientnet_b0", depth=depth).eval()
    assert encoder.out_channels == [3, 16, 24, 40, 112, 320][: depth + 1]
    assert encoder.output_stride == 2**depth
    with torch.no_grad():
        maps = encoder(torch.rand(1, 3, 65, 33))
    assert [found.shape[1] for found in maps] == encoder.out_channels
    sides = [(65, 33), (33, 17), (17, 9), (9, 5), (5, 3), (3, 2)]
    assert [tuple(found.shape[2:]) for found in maps] == sides[: depth + 1]


def test_other_channels_and_fewer_maps() -> None:
    network = example.segmenter("mobilenetv2_100", 1, in_channels=1, encoder_depth=3, decoder_channels=(32, 16, 8))
    assert network.encoder.out_channels[0] == 1
    with torch.no_grad():
        assert network.eval()(torch.rand(1, 1, 40, 48)).shape == (1, 1, 40, 48)


def test_what_cannot_be_is_a_line() -> None:
    with pytest.raises(RequestError, match=r"output_stride is 16; encoders of compoundnet are not dilated"):
        example.Encoder("efficientnet_b0", output_stride=16)
    with pytest.raises(RequestError, match="out_indices is "):
        example.Encoder("efficientnet_b0", depth=6)


def test_maps_must_halve() -> None:
    stages = tuple(Stage(block=MBConv(kernel=3, expansion=1), channels=8, repeats=1, stride=s) for s in (1, 2, 2))
    arch = Architecture(name="slow", resolution=32, stem=8, stem_stride=1, stages=stages, head=8)
    with pytest.raises(RequestError, match=r"has maps of stride \[1, 2\]; a decoder of depth 2 takes \[2, 4\]"):
        example.Encoder(arch, depth=2)


def test_resnet_has_the_maps_too() -> None:
    assert example.Encoder("resnet50").out_channels == [3, 64, 256, 512, 1024, 2048]


@pytest.mark.slow
def test_it_runs_from_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--architecture", "efficientnet_b0", "--decoder", "FPN", "--steps", "2", "--side", "64"]
    monkeypatch.setattr(sys, "argv", ["examples/segmenter.py", *words])
    example.main()
    assert "new discs: intersection over union 0." in capsys.readouterr().out
