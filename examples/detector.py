"""A RetinaNet on the feature pyramid of any architecture: what ``features_only`` is for.

python examples/detector.py --architecture efficientnet_b0 --steps 20

trains it to find coloured squares, which it draws itself, and prints the losses and what it finds.
"""

import argparse
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

import compoundnet as cn
from compoundnet import zoo
from compoundnet.weights import read_weights

__all__ = ["Backbone", "detector", "squares"]


class Backbone(nn.Module):
    """The three coarsest maps of an architecture, then two coarser ones, all of ``out_channels``."""

    def __init__(self, architecture: str, weights: str | None = None, out_channels: int = 256) -> None:
        super().__init__()
        self.maps = cn.create(architecture, weights, features_only=True, out_indices=(-3, -2, -1))
        self.pyramid = FeaturePyramidNetwork(
            self.maps.channels, out_channels, extra_blocks=LastLevelP6P7(out_channels, out_channels)
        )
        self.out_channels = out_channels  # which torchvision's detectors ask for

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> five maps of ``out_channels``, finest first."""
        named = OrderedDict((str(i), found) for i, found in enumerate(self.maps(x)))
        pyramid: dict[str, Tensor] = self.pyramid(named)
        return pyramid


def detector(architecture: str, classes: int, weights: str | None = None, **settings: Any) -> RetinaNet:
    """A RetinaNet for that many classes, counted from 0.

    ``settings`` are torchvision's, such as ``min_size`` and ``max_size``. Images are RGB in 0..1 of any size; they
    are normalised as the weights want it, or as the architecture was published.
    """
    arch = cn.architecture(architecture)
    recorded = read_weights(weights, arch).preprocessing if weights else None
    prepared = recorded or zoo.preprocessing(arch)
    return RetinaNet(
        Backbone(architecture, weights), classes, image_mean=prepared.mean, image_std=prepared.std, **settings
    )


def squares(n: int, side: int, seed: int) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """``n`` grey images of ``side`` pixels, each with a square in red (class 0), green (1) or blue (2), and targets."""
    random = torch.Generator().manual_seed(seed)
    images, targets = [], []
    for _ in range(n):
        label = int(torch.randint(3, (), generator=random))
        size = int(torch.randint(side // 4, side // 2, (), generator=random))
        left, top = torch.randint(side - size, (2,), generator=random).tolist()
        image = torch.full((3, side, side), 0.5)
        image[:, top : top + size, left : left + size] = torch.eye(3)[label][:, None, None]
        images.append(image)
        box = [left, top, left + size, top + size]
        targets.append({"boxes": torch.tensor([box], dtype=torch.float32), "labels": torch.tensor([label])})
    return images, targets


def main() -> None:
    """Train on drawn squares and look for one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="efficientnet_b0")
    parser.add_argument("--weights", help="imagenet, a tag or a file; without it from nothing")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--side", type=int, default=128, help="of the images, in pixels")
    told = parser.parse_args()
    torch.manual_seed(0)
    network = detector(told.architecture, 3, told.weights, min_size=told.side, max_size=told.side).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for step in range(told.steps):
        losses = network(*squares(4, told.side, seed=step))
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step + 1}: " + ", ".join(f"{name} {float(value.detach()):.3f}" for name, value in losses.items()))
    images, targets = squares(1, told.side, seed=-1)
    with torch.inference_mode():
        found = network.eval()(images)[0]
    print(f"there is {targets[0]['labels'].tolist()} at {targets[0]['boxes'].tolist()}")
    print(
        f"found {found['labels'][:1].tolist()} at {found['boxes'][:1].tolist()}, score {found['scores'][:1].tolist()}"
    )


if __name__ == "__main__":
    main()
