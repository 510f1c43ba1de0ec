"""Real ImageNet weights on 200 real photographs, against logits recorded with the reference preprocessing."""

import csv
from pathlib import Path

import pytest
import torch

from compoundnet import zoo
from compoundnet.data import decode_image, evaluation_image, normalize
from compoundnet.nn import build
from compoundnet.weights import apply_weights, find, read_weights
from conftest import needs_shared

FILES = ("data/weights/tf_efficientnetv2_b0.safetensors", "data/weights/tf_efficientnetv2_b0_top5.csv")
BATCH = 20


def reference(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """File -> its five largest logits as (class, logit), largest first."""
    with (folder / FILES[1]).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {row["file"]: [(int(row[f"class{i}"]), float(row[f"logit{i}"])) for i in range(1, 6)] for row in rows}


@pytest.mark.slow
@needs_shared(*FILES, "data/imagenet_sample")
@torch.inference_mode()
def test_top1_and_logits_of_200_photographs(shared: Path) -> None:
    arch = zoo.architecture("tf_efficientnetv2_b0")
    model = build(arch).to(memory_format=torch.channels_last)
    apply_weights(model, read_weights(shared / FILES[0], arch), strict=True)
    model.eval()
    wanted, prepared = reference(shared), find(arch.name, "in1k").preprocessing
    files, logits = list(wanted), []
    for start in range(0, len(files), BATCH):
        photographs = (decode_image(shared / "data/imagenet_sample" / f) for f in files[start : start + BATCH])
        batch = torch.stack([evaluation_image(photograph, prepared) for photograph in photographs])
        logits.append(model(normalize(batch, prepared)))
    rows = dict(zip(files, torch.cat(logits), strict=True))
    assert len(rows) == 200
    top1 = {file: int(row.argmax()) for file, row in rows.items()}
    assert top1 == {file: five[0][0] for file, five in wanted.items()}
    off = {file: max(abs(float(rows[file][c]) - logit) for c, logit in five) for file, five in wanted.items()}
    assert max(off.values()) < 0.01  # 0.05 is promised; the reference is rounded to 0.0001
