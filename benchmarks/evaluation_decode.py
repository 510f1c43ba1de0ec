"""How much the way from JPEG to tensor moves the logits: decoders and resizers against the reference.

    python benchmarks/evaluation_decode.py SHARED

SHARED holds ``data/imagenet_sample`` and ``data/weights``. The reference is a table of the five largest logits
of each photograph, made with Pillow's decoder and antialiased bicubic resize. Prints a table and writes
``benchmarks/results/evaluation_decode.json``.
"""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from compoundnet import zoo
from compoundnet.data import decode_image, evaluation_image, normalize
from compoundnet.nn import build
from compoundnet.weights import apply_weights, find, read_weights

NAME, BATCH = "tf_efficientnetv2_b0", 20
PREPARED = find(NAME, "in1k").preprocessing


def pillow(path: Path) -> Tensor:
    """Decoded by Pillow: uint8 (3, H, W)."""
    return torch.from_numpy(np.array(decode_image(path))).permute(2, 0, 1)


def torchvision_io(path: Path) -> Tensor:
    """Decoded by torchvision: uint8 (3, H, W)."""
    return decode_jpeg(read_file(str(path)), ImageReadMode.RGB, apply_exif_orientation=True)


def v2(image: Tensor, *, antialias: bool = True, mode: InterpolationMode = InterpolationMode.BICUBIC) -> Tensor:
    """Resized and cropped as a tensor by torchvision: uint8 (3, R, R)."""
    resized = F.resize(image, [PREPARED.short_side], mode, antialias=antialias)
    return F.center_crop(resized, [PREPARED.resolution] * 2)


PATHS: dict[str, Callable[[Path], Tensor]] = {
    "Pillow, Pillow bicubic (compoundnet)": lambda p: evaluation_image(decode_image(p), PREPARED),
    "Pillow at reduced scale, Pillow bicubic": lambda p: evaluation_image(
        decode_image(p, at_least=PREPARED.short_side), PREPARED
    ),
    "Pillow, v2 bicubic": lambda p: v2(pillow(p)),
    "torchvision.io, Pillow bicubic": lambda p: evaluation_image(
        Image.fromarray(torchvision_io(p).permute(1, 2, 0).numpy()), PREPARED
    ),
    "torchvision.io, v2 bicubic": lambda p: v2(torchvision_io(p)),
    "torchvision.io, v2 bilinear": lambda p: v2(torchvision_io(p), mode=InterpolationMode.BILINEAR),
    "torchvision.io, v2 bicubic, not antialiased": lambda p: v2(torchvision_io(p), antialias=False),
}


def reference(shared: Path) -> dict[str, list[tuple[int, float]]]:
    """File -> its five largest logits as (class, logit)."""
    with (shared / f"data/weights/{NAME}_top5.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {row["file"]: [(int(row[f"class{i}"]), float(row[f"logit{i}"])) for i in range(1, 6)] for row in rows}


@torch.inference_mode()
def measure(model: torch.nn.Module, shared: Path, path: Callable[[Path], Tensor]) -> dict[str, float]:
    """Photographs with the reference's top-1, and the difference of its five logits: largest and mean."""
    wanted = reference(shared)
    files, rows = list(wanted), []
    for start in range(0, len(files), BATCH):
        images = [path(shared / "data/imagenet_sample" / file) for file in files[start : start + BATCH]]
        rows += model(normalize(torch.stack(images), PREPARED)).tolist()
    off = [abs(row[c] - logit) for row, file in zip(rows, files, strict=True) for c, logit in wanted[file]]
    same = sum(row.index(max(row)) == wanted[file][0][0] for row, file in zip(rows, files, strict=True))
    return {"same_top1": same, "photographs": len(files), "largest": max(off), "mean": sum(off) / len(off)}


def main(shared: Path) -> None:
    """Measure every path, print the table, write the results."""
    arch = zoo.architecture(NAME)
    model = build(arch).eval()
    apply_weights(model, read_weights(shared / f"data/weights/{NAME}.safetensors", arch), strict=True)
    results = {}
    for name, path in PATHS.items():
        row = results[name] = measure(model, shared, path)
        same, largest, mean = f"{row['same_top1']}/{row['photographs']}", row["largest"], row["mean"]
        print(f"{name:45} top-1 {same}  largest {largest:.4f}  mean {mean:.5f}")
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": Image.__version__}
    target = Path(__file__).parent / "results" / "evaluation_decode.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"versions": versions, "paths": results}, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
