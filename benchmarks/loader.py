"""Training images a second: this loader against torchvision's two usual pipelines, in turn, in one process.

    python benchmarks/loader.py PHOTOGRAPHS [--images 100] [--rounds 9]

Each round loads the same files once by every pipeline: read, decode, RandomResizedCrop (bicubic,
antialiased), flip, to a normalised float batch. One thread, no workers. Rounds are in CPU time, so
that another job on the cores matters less; the ratio is to torchvision v1 in the same round.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms as v1
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import InterpolationMode, v2

from compoundnet.data import Augmentation, batches, image_files, normalize
from compoundnet.data.dataset import Split
from compoundnet.preprocessing import Preprocessing

BATCH = 32
RESULT = Path(__file__).parent / "results" / "loader.json"


def batched(one: Callable[[Path], torch.Tensor], files: list[Path]) -> list[torch.Tensor]:
    """Float batches of images loaded one by one."""
    return [torch.stack([one(f) for f in files[i : i + BATCH]]) for i in range(0, len(files), BATCH)]


def torchvision_v1(files: list[Path], pre: Preprocessing) -> Callable[[], Any]:
    """Pillow images throughout, as in torchvision's ImageNet example."""
    crop = v1.RandomResizedCrop(pre.resolution, interpolation=InterpolationMode.BICUBIC)
    steps = v1.Compose([crop, v1.RandomHorizontalFlip(), v1.ToTensor(), v1.Normalize(pre.mean, pre.std)])

    def one(file: Path) -> torch.Tensor:
        with Image.open(file) as image:
            return steps(image.convert("RGB"))

    return lambda: batched(one, files)


def torchvision_v2(files: list[Path], pre: Preprocessing) -> Callable[[], Any]:
    """Decoded to uint8 tensors by torchvision.io, transforms v2."""
    crop = v2.RandomResizedCrop(pre.resolution, interpolation=InterpolationMode.BICUBIC, antialias=True)
    to_float = v2.ToDtype(torch.float32, scale=True)
    steps = v2.Compose([crop, v2.RandomHorizontalFlip(), to_float, v2.Normalize(pre.mean, pre.std)])

    def one(file: Path) -> torch.Tensor:
        return steps(decode_image(str(file), mode=ImageReadMode.RGB, apply_exif_orientation=True))

    return lambda: batched(one, files)


def ours(files: list[Path], pre: Preprocessing) -> Callable[[], Any]:
    """``compoundnet.data.batches``, another epoch each round."""
    split, epochs = Split(files=tuple(files), labels=(0,) * len(files)), count()
    load = partial(batches, split, preprocessing=pre, augmentation=Augmentation(), resolution=pre.resolution, seed=0)
    return lambda: [normalize(b.images, pre) for b in load(batch_size=BATCH, epoch=next(epochs), shuffle=True)]


def measure(pipelines: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every round, one uncounted round first."""
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    for number in range(rounds + 1):
        for name, run in pipelines.items():
            start = time.process_time()
            run()
            if number:
                seconds[name].append(time.process_time() - start)
    return seconds


def main() -> None:
    """Measure, print, and keep in results/loader.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    files, pre = image_files(asked.photographs)[: asked.images], Preprocessing(resolution=224)
    kinds = {"torchvision v1": torchvision_v1, "torchvision v2": torchvision_v2, "compoundnet": ours}
    seconds = measure({name: kind(files, pre) for name, kind in kinds.items()}, asked.rounds)
    rows = {}
    for name, spent in seconds.items():
        ratios = sorted(base / s for base, s in zip(seconds["torchvision v1"], spent, strict=True))
        rows[name] = {
            "images_per_cpu_second": round(len(files) / statistics.median(spent), 1),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_low": round(ratios[0], 3),
            "ratio_high": round(ratios[-1], 3),
        }
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__}
    record = {"images": len(files), "rounds": asked.rounds, "machine": platform.machine(), **versions, "rows": rows}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
