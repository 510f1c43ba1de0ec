"""Any architecture as the encoder of segmentation-models-pytorch, which is to be installed beside compoundnet.

python examples/segmenter.py --architecture efficientnet_b0 --decoder Unet --steps 20

trains it to mark discs, which it draws itself, and prints the loss and how well the marks overlap.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.encoders._base import EncoderMixin  # where its documentation says
from torch import Tensor, nn

import compoundnet as cn
from compoundnet.errors import RequestError

__all__ = ["Encoder", "discs", "register", "segmenter"]


class Encoder(nn.Module, EncoderMixin):
    """The first ``depth`` maps of an architecture, which must halve the side each, as decoders expect."""

    def __init__(self, architecture: str, weights: str | None = None, depth: int = 5, output_stride: int = 32) -> None:
        super().__init__()
        if output_stride != 32:
            raise RequestError(f"output_stride is {output_stride}; encoders of compoundnet are not dilated: 32")
        self._of = (architecture, weights)
        self._depth, self._output_stride = depth, output_stride
        self.set_in_channels(3)

    def set_in_channels(self, in_channels: int, pretrained: bool = True) -> None:
        """Build the maps for other channels; the stem's kernels are adapted if there are weights."""
        architecture, weights = self._of
        maps = cn.create(
            architecture, weights, in_channels=in_channels, features_only=True, out_indices=range(self._depth)
        )
        halving = [2**i for i in range(1, self._depth + 1)]
        if maps.reductions != halving:
            raise RequestError(
                f"{architecture!r} has maps of stride {maps.reductions}; "
                f"a decoder of depth {self._depth} takes {halving}"
            )
        self.maps = maps
        self._in_channels = in_channels
        self._out_channels = [in_channels, *maps.channels]

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        """(N, C, H, W) -> the image and ``depth`` maps, finest first."""
        return [x, *self.maps(x)]


def register(architecture: str, weights: str | None = None) -> str:
    """Make an architecture known to segmentation-models-pytorch; the encoder's name there."""
    name = f"compoundnet-{architecture}"
    smp.encoders.encoders[name] = {
        "encoder": Encoder,
        "pretrained_settings": {},
        "params": {"architecture": architecture, "weights": weights},
    }
    return name


def segmenter(
    architecture: str, classes: int, decoder: str = "Unet", weights: str | None = None, **settings: Any
) -> nn.Module:
    """A network of (N, 3, H, W) -> mask logits (N, classes, H, W), H and W multiples of 32.

    ``decoder`` is a class of segmentation-models-pytorch, such as Unet or FPN; ``settings`` are its own.
    """
    name = register(architecture, weights)
    network: nn.Module = getattr(smp, decoder)(encoder_name=name, encoder_weights=None, classes=classes, **settings)
    return network


def discs(n: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """``n`` noisy images (n, 3, side, side), each with a lighter disc, and its mask (n, 1, side, side) of 0 and 1."""
    random = torch.Generator().manual_seed(seed)
    radius = side * (0.15 + 0.2 * torch.rand(n, 1, 1, 1, generator=random))
    x, y = (side * (0.3 + 0.4 * torch.rand(n, 1, 1, 1, generator=random)) for _ in range(2))
    place = torch.arange(side, dtype=torch.float32)
    mask = ((place[:, None] - y) ** 2 + (place - x) ** 2 < radius**2).float()
    return mask + 0.3 * torch.randn(n, 3, side, side, generator=random), mask


def main() -> None:
    """Train on drawn discs and see how well the mask of a new one overlaps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="efficientnet_b0")
    parser.add_argument("--decoder", default="Unet", help="Unet, FPN, ...")
    parser.add_argument("--weights", help="imagenet, a tag or a file; without it from nothing")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--side", type=int, default=64, help="of the images, in pixels")
    told = parser.parse_args()
    torch.manual_seed(0)
    network = segmenter(told.architecture, 1, told.decoder, told.weights).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for step in range(told.steps):
        images, masks = discs(8, told.side, seed=step)
        loss = nn.functional.binary_cross_entropy_with_logits(network(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step + 1}: loss {float(loss.detach()):.3f}")
    images, masks = discs(8, told.side, seed=-1)
    with torch.inference_mode():
        found = network.eval()(images) > 0
    overlap = (found & masks.bool()).sum() / (found | masks.bool()).sum()
    print(f"new discs: intersection over union {float(overlap):.3f}")


if __name__ == "__main__":
    main()
