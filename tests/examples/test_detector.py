"""The example's detector: torchvision's RetinaNet really trains and answers on our feature maps."""

import sys
from pathlib import Path

import pytest
import torch

from conftest import ROOT

sys.path.insert(0, str(ROOT / "examples"))
try:
    import detector as example
finally:
    del sys.path[0]


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv2_100"])
def test_the_pyramid_takes_odd_sizes(name: str) -> None:
    """Maps of stride 8, 16 and 32, rounded up, then two that halve again."""
    torch.manual_seed(0)
    backbone = example.Backbone(name, out_channels=16).eval()
    assert backbone.maps.reductions == [8, 16, 32]
    with torch.no_grad():
        maps = backbone(torch.rand(1, 3, 101, 75))
    sides = [(13, 10), (7, 5), (4, 3), (2, 2), (1, 1)]
    assert [tuple(found.shape) for found in maps.values()] == [(1, 16, *side) for side in sides]


def test_one_step_and_one_answer() -> None:
    """Every weight of the maps gets a gradient; images of two odd sizes are answered in their own pixels."""
    torch.manual_seed(0)
    network = example.detector("efficientnet_b0", 3, min_size=96, max_size=96).train()
    images, targets = example.squares(2, 97, seed=0)
    losses = network(images, targets)
    assert set(losses) == {"classification", "bbox_regression"}
    torch.stack(list(losses.values())).sum().backward()
    gradients = {name: weight.grad for name, weight in network.backbone.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert sum(gradient.abs().sum() > 0 for gradient in gradients.values()) > 0.95 * len(gradients)
    before = [weight.detach().clone() for weight in network.backbone.parameters()]
    torch.optim.SGD(network.parameters(), lr=0.01).step()
    assert any(not torch.equal(a, b) for a, b in zip(before, network.backbone.parameters(), strict=True))
    network.eval().score_thresh = 0.0  # untrained, it is sure of nothing
    with torch.inference_mode():
        answers = network([torch.rand(3, 65, 101), torch.rand(3, 80, 64)])
    for answer, (height, width) in zip(answers, ((65, 101), (80, 64)), strict=True):
        assert len(answer["boxes"]) > 0
        assert set(answer["labels"].tolist()) <= {0, 1, 2}
        left, top, right, bottom = answer["boxes"].unbind(1)
        assert (left >= 0).all() and (top >= 0).all() and (right <= width).all() and (bottom <= height).all()


def test_it_normalises_as_the_network_was_published() -> None:
    found = example.detector("tf_efficientnetv2_s", 2).transform
    assert (tuple(found.image_mean), tuple(found.image_std)) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_squares_are_where_their_boxes_say() -> None:
    images, targets = example.squares(3, 64, seed=1)
    for image, target in zip(images, targets, strict=True):
        left, top, right, bottom = target["boxes"][0].int().tolist()
        label = int(target["labels"])
        assert (image[label, top:bottom, left:right] == 1).all()
        assert (image[label] == 1).sum() == (right - left) * (bottom - top)


@pytest.mark.slow
def test_it_runs_from_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--architecture", "mbconv_tiny", "--steps", "2", "--side", "64"]
    monkeypatch.setattr(sys, "argv", [str(Path("examples/detector.py")), *words])
    example.main()
    out = capsys.readouterr().out
    assert "step 2: classification" in out
    assert "there is [" in out
