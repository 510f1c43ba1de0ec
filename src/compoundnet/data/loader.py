"""Batches of a split: the same pixels whatever the number of workers, and from wherever an epoch is resumed."""

import hashlib
import math
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_all_start_methods
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from compoundnet.data.augment import Augmentation, augmented, crop_box, evaluation_image
from compoundnet.data.dataset import Split
from compoundnet.data.decode import BadImageError, decode_image, opened, to_rgb, upright_size
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "batches", "seed_for"]

_PREFETCH = 2  # batches each worker keeps ready


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """``images`` uint8 (N, 3, R, R) in channels-last memory, ``labels`` and ``index`` (in the split) int64 (N)."""

    images: "torch.Tensor"
    labels: "torch.Tensor"
    index: "torch.Tensor"


def seed_for(seed: int, *keys: int | str) -> int:
    """A seed of 63 bits that depends on ``seed`` and on every key and its place, and on nothing else.

    >>> seed_for(0, "order", 1) == seed_for(0, "order", 1) != seed_for(0, "order", 2)
    True
    """
    text = "\0".join(repr(key) for key in (seed, *keys))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Epoch:
    """Everything one image of one epoch depends on. Indexed by a list of indices: a batch of arrays, or its error."""

    split: Split
    preprocessing: Preprocessing
    augmentation: Augmentation | None
    resolution: int
    seed: int
    epoch: int

    def __getitem__(self, indices: Sequence[int]) -> Any:
        """(images as N H W C, indices); an error as a value, since torch would give it another text."""
        import numpy as np

        try:
            return np.stack([self.pixels(i) for i in indices]), indices
        except BadImageError as error:
            return error

    def pixels(self, index: int) -> Any:
        """H W C, uint8."""
        file = self.split.files[index]
        if self.augmentation is None:
            return evaluation_image(decode_image(file), self.preprocessing).permute(1, 2, 0).numpy()
        seed = seed_for(self.seed, "sample", self.epoch, index)
        rgb, box = self.cropped(file, self.augmentation, seed)
        image = augmented(rgb, box, self.preprocessing, self.augmentation, self.resolution, seed)
        return image.permute(1, 2, 0).numpy()

    def cropped(
        self, file: Path, augmentation: Augmentation, seed: int
    ) -> tuple[Image.Image, tuple[int, int, int, int]]:
        """An image and the crop in it, chosen first: a JPEG need not be decoded at more than the crop can use."""
        with opened(file) as image:
            full = upright_size(image)
            left, top, right, bottom = crop_box(full, augmentation, seed)
            narrow = min(right - left, bottom - top)
            rgb = to_rgb(image, at_least=math.ceil(self.resolution * min(full) / narrow))
        scale = round(max(full) / max(rgb.size))  # 1, 2, 4 or 8
        box = (left // scale, top // scale, -(-right // scale), -(-bottom // scale))
        return rgb, (*box[:2], min(box[2], rgb.width), min(box[3], rgb.height))


def batches(
    split: Split,
    *,
    preprocessing: Preprocessing,
    augmentation: Augmentation | None,
    resolution: int,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool,
    drop_last: bool = False,
    start: int = 0,
    workers: int = 0,
) -> Iterator[Batch]:
    """The batches of one epoch from number ``start`` on; the ones before are not decoded.

    What an image looks like depends on (seed, epoch, its index) alone. Without ``augmentation`` it is
    :func:`~compoundnet.data.augment.evaluation_image`, and ``resolution`` must be that of
    ``preprocessing``. ``workers`` processes decode ahead (0: this one does); they end with the
    iterator. torch's global random state is not touched.

    Raises:
        RequestError: sizes that cannot be. While iterating, BadImageError names an image that can no longer be decoded.
    """
    for name, value, least in (("batch_size", batch_size, 1), ("start", start, 0), ("workers", workers, 0)):
        if value < least:
            raise RequestError(f"{name} is {value}; it must be at least {least}")
    if augmentation is None and resolution != preprocessing.resolution:
        raise RequestError(
            f"resolution is {resolution}, but evaluation preprocessing has {preprocessing.resolution}; they must agree"
        )
    images = _Epoch(
        split=split,
        preprocessing=preprocessing,
        augmentation=augmentation,
        resolution=resolution,
        seed=seed,
        epoch=epoch,
    )
    order = _order(len(split), seed_for(seed, "order", epoch) if shuffle else None)
    chunks = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if drop_last and chunks and len(chunks[-1]) < batch_size:
        chunks.pop()
    left = chunks[start:]
    return _batched(_parallel(images, left, workers) if workers else (images[chunk] for chunk in left), split)


def _batched(results: Generator[Any, None, None], split: Split) -> Iterator[Batch]:
    import torch

    with closing(results):  # on an error too, whose traceback would keep the workers alive
        for result in results:
            if isinstance(result, BadImageError):
                raise result
            pixels, indices = result
            yield Batch(
                images=torch.as_tensor(pixels).permute(0, 3, 1, 2),
                labels=torch.tensor([split.labels[i] for i in indices], dtype=torch.int64),
                index=torch.tensor(indices, dtype=torch.int64),
            )


def _order(n: int, seed: int | None) -> list[int]:
    if seed is None:
        return list(range(n))
    import torch

    order: list[int] = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    return order


def _parallel(images: _Epoch, chunks: list[list[int]], workers: int) -> Generator[Any, None, None]:
    import torch
    from torch.utils.data import DataLoader

    Image.init()  # what each worker would otherwise import anew, every epoch
    if images.augmentation and images.augmentation.randaugment_ops:
        import_module("torchvision.transforms.v2")
    loader: Any = DataLoader(
        images,  # type: ignore[arg-type]  # indexed by whole batches
        sampler=chunks,
        batch_size=None,
        num_workers=min(workers, max(1, len(chunks))),
        collate_fn=_as_it_is,
        worker_init_fn=_begin_worker,
        prefetch_factor=_PREFETCH,
        generator=torch.Generator(),  # or it would draw from the global one
        multiprocessing_context="fork" if "fork" in get_all_start_methods() else None,  # others import torch anew
    )
    running = iter(loader)
    try:
        yield from running
    finally:
        del running  # its last reference: this ends the workers


def _as_it_is(batch: Any) -> Any:
    """Arrays, not tensors: they come through a pipe, so a small /dev/shm cannot stop a training."""
    return batch


def _begin_worker(_: int) -> None:
    """Ctrl-C and SIGTERM reach the whole process group; the training answers them and then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
