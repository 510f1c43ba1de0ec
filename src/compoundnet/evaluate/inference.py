"""A network over a split: logits in the split's order."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from compoundnet.data import Split, batches, normalize
from compoundnet.preprocessing import Preprocessing

__all__ = ["outputs"]


@torch.inference_mode()
def outputs(
    network: nn.Module,
    split: Split,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 32,
    device: str = "cpu",
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """What ``network`` (on ``device``, in evaluation mode) gives for every image: float32 (n, outputs) on the CPU.

    ``progress`` is called with the images done and in all after every batch.
    """
    rows = []
    source = batches(
        split,
        preprocessing=preprocessing,
        augmentation=None,
        resolution=preprocessing.resolution,
        batch_size=batch_size,
        seed=0,
        epoch=0,
        shuffle=False,
        workers=workers,
    )
    done = 0
    for batch in source:
        images = normalize(batch.images.to(device, non_blocking=True), preprocessing)
        rows.append(network(images.contiguous(memory_format=torch.channels_last)).float().cpu())
        done += len(batch.labels)
        if progress is not None:
            progress(done, len(split))
    return torch.cat(rows)
