"""Images to input tensors: exact evaluation preprocessing, seeded training augmentation, mixing of batches.

One image is uint8 of shape (3, R, R). A batch is N C H W in channels-last memory, because Pillow
gives H W C and convolutions like it so: nothing is ever transposed.
"""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

__all__ = ["Augmentation", "crop_box", "evaluation_image", "mix", "normalize", "training_image"]

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_MAX_ASPECT = 32  # beyond it only the middle of a strip is resized: the crop takes no more, and memory is finite
_GREY = 128  # what RandAugment fills with, as in the original code
_CROP_ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How training images vary. A part of a recipe.

    ``crop_scale`` is the range of the random crop's share of the area, ``crop_ratio`` of its width
    over its height; (1, 1) for both takes the centre square. ``flip``: mirrored, half the time.
    ``randaugment_ops`` operations of ``randaugment_magnitude`` (0..30, torchvision's scale) an image;
    0 ops: off. ``mixup`` and ``cutmix`` are the alphas of their Beta distributions, 0: off; with
    both on, each batch gets one of them at random.
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    randaugment_ops: int = 0
    randaugment_magnitude: int = 9
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("crop_scale", "crop_ratio"):
            pair = tuple(float(v) for v in getattr(self, name))
            if len(pair) != 2 or not 0 < pair[0] <= pair[1] < math.inf:
                raise RequestError(f"augmentation.{name} is {pair}; it must be two positive numbers, the smaller first")
            object.__setattr__(self, name, pair)
        if self.crop_scale[1] > 1:
            raise RequestError(f"augmentation.crop_scale is {self.crop_scale}; a crop cannot exceed the image, 1")
        for name, most in (("randaugment_ops", 20), ("randaugment_magnitude", 30)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
                raise RequestError(f"augmentation.{name} is {value!r}; it must be a whole number in 0..{most}")
        if not isinstance(self.flip, bool):
            raise RequestError(f"augmentation.flip is {self.flip!r}; it must be true or false")
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < math.inf:
                raise RequestError(f"augmentation.{name} is {getattr(self, name)!r}; it must be 0 (off) or positive")


def evaluation_image(image: Image.Image, preprocessing: Preprocessing) -> "torch.Tensor":
    """uint8 (3, R, R) of an RGB image, the same bits as torchvision's Resize and CenterCrop on Pillow images.

    ``preprocessing`` says which R, crop and interpolation; normalising is :func:`normalize`.
    """
    side, short, method = preprocessing.resolution, preprocessing.short_side, _RESAMPLING[preprocessing.interpolation]
    if preprocessing.crop == "squash":
        size = (short, short)
    else:
        image = _not_too_long(image)
        width, height = image.size
        size = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    image = _resized(image, size, method)
    left, top = (round((n - side) / 2.0) for n in image.size)
    return _tensor(image.crop((left, top, left + side, top + side)))


def training_image(
    image: Image.Image,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    resolution: int,
    generator_seed: int,
) -> "torch.Tensor":
    """uint8 (3, resolution, resolution): a random crop, flip and RandAugment that depend on the seed alone.

    The random state of torch is left as it was.
    """
    box = crop_box(image.size, augmentation, generator_seed)
    return augmented(image, box, preprocessing, augmentation, resolution, generator_seed)


def crop_box(size: tuple[int, int], augmentation: Augmentation, seed: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the random crop in an image of ``size`` (width, height), in pixels.

    torchvision's RandomResizedCrop: ten attempts at an area and a ratio, then the largest centre crop
    of an allowed ratio.
    """
    draw = random.Random(f"crop {seed}").random
    width, height = size
    low, high = (math.log(r) for r in augmentation.crop_ratio)
    least, most = augmentation.crop_scale
    for _ in range(_CROP_ATTEMPTS):
        area = width * height * (least + (most - least) * draw())
        ratio = math.exp(low + (high - low) * draw())
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(draw() * (width - w + 1)), int(draw() * (height - h + 1))
            return left, top, left + w, top + h
    ratio = min(max(width / height, augmentation.crop_ratio[0]), augmentation.crop_ratio[1])
    w, h = min(width, max(1, round(height * ratio))), min(height, max(1, round(width / ratio)))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def augmented(
    image: Image.Image,
    box: tuple[int, int, int, int],
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    resolution: int,
    seed: int,
) -> "torch.Tensor":
    """The rest of :func:`training_image`, for a box already chosen (in the pixels of ``image``).

    torch resizes bytes in H W C order about twice as fast as Pillow, antialiased like it, to within a
    level or two (``benchmarks/loader.py``).
    """
    from torch.nn.functional import interpolate

    pixels, size = _tensor(image.crop(box))[None], (resolution, resolution)
    small = interpolate(pixels, size=size, mode=preprocessing.interpolation, antialias=True)[0]
    if augmentation.flip and random.Random(f"flip {seed}").random() < 0.5:
        small = small.flip(-1)
    return _randaugment(small, augmentation, seed) if augmentation.randaugment_ops else small


def normalize(batch: "torch.Tensor", preprocessing: Preprocessing) -> "torch.Tensor":
    """float32 (N, 3, H, W) from uint8: (x / 255 - mean) / std, on the batch's device, in its memory layout."""
    import torch

    mean, std = (
        torch.tensor(v, device=batch.device).view(3, 1, 1) * 255 for v in (preprocessing.mean, preprocessing.std)
    )
    return batch.to(torch.float32).sub_(mean).div_(std)


def mix(
    images: "torch.Tensor", labels: "torch.Tensor", *, classes: int, augmentation: Augmentation
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Mixup or CutMix on a normalised batch: images, and targets as float (N, classes) whose rows sum to 1.

    Draws from torch's global random state, which a training keeps in its checkpoints. With both off
    the images are returned as they are, with one-hot targets, and nothing is drawn.
    """
    import torch
    from torchvision.transforms import v2

    on = [
        kind(alpha=alpha, num_classes=classes)
        for kind, alpha in ((v2.MixUp, augmentation.mixup), (v2.CutMix, augmentation.cutmix))
        if alpha > 0
    ]
    if not on:
        return images, torch.nn.functional.one_hot(labels, classes).to(images.dtype)
    chosen = on[int(torch.randint(len(on), ()))] if len(on) > 1 else on[0]
    mixed, targets = chosen(images, labels)
    return mixed, targets


def _randaugment(image: "torch.Tensor", augmentation: Augmentation, seed: int) -> "torch.Tensor":
    """On a Pillow image, where torchvision's operations are fastest on one core."""
    from torchvision.transforms import InterpolationMode, v2

    change = v2.RandAugment(
        num_ops=augmentation.randaugment_ops,
        magnitude=augmentation.randaugment_magnitude,
        interpolation=InterpolationMode.BILINEAR,
        fill=_GREY,
    )
    with _torch_seeded(seed):
        return _tensor(change(Image.fromarray(image.permute(1, 2, 0).numpy())))


@contextmanager
def _torch_seeded(seed: int) -> Iterator[None]:
    """torch's CPU random state set by ``seed`` inside, restored after. (torch.manual_seed would set every device's.)"""
    import torch

    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def _resized(image: Image.Image, size: tuple[int, int], method: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, method)


def _not_too_long(image: Image.Image) -> Image.Image:
    """The middle of a strip longer than ``_MAX_ASPECT`` times its short side; any other image as it is."""
    most = min(image.size) * _MAX_ASPECT
    if max(image.size) <= most:
        return image
    (left, top), (width, height) = ((max(0, n - most) // 2 for n in image.size), (min(n, most) for n in image.size))
    return image.crop((left, top, left + width, top + height))


def _tensor(image: Image.Image) -> "torch.Tensor":
    import numpy as np
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
