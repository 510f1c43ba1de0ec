"""The verb demo: describe, scale, train, judge and report, on real data that needs no download."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch

from compoundnet.architecture import Architecture
from compoundnet.cli.arguments import Json, Output, call, print_json
from compoundnet.cost import cost
from compoundnet.data import Augmentation
from compoundnet.run import RunFolder
from compoundnet.scaling import scale
from compoundnet.train import Observer, Recipe, console, train
from compoundnet.train.progress import Note
from compoundnet.units import human, percent, share_range
from compoundnet.zoo import architecture as find

__all__ = ["demo_command"]

# Digits are not mirrored, and lose their strokes in narrow crops.
_RECIPE = Recipe(
    epochs=20,
    batch_size=64,
    learning_rate=6e-3,
    warmup_epochs=1,
    label_smoothing=0.05,
    ema_decay=0.99,
    augmentation=Augmentation(crop_scale=(0.7, 1.0), crop_ratio=(0.85, 1.18), flip=False),
)


def demo_command(argv: Sequence[str]) -> None:
    """``compoundnet demo``."""
    call("demo", _demo, argv)


def _demo(output: Annotated[Path, Output] = Path("runs/demo"), json: Json = False) -> None:
    """A small network and its compound scaling, trained on 1,797 real handwritten digits, side by side.

    Args:
        output: the folder for the two runs. Stopped half-way, the same command goes on.
        json: the two networks with their cost and accuracy, for machines.
    """
    torch.set_num_threads(1)  # networks this small gain little from a second core, and lose much where it is shared
    baseline = find("mbconv_tiny")
    with console() as observer:
        trained = [_trained(arch, output, observer) for arch in (baseline, scale(baseline, phi=1))]
    if json:
        print_json([_row(arch, folder) for arch, folder in trained])
        return
    print(f"{'network':<18}{'parameters':>12}{'MACs':>10}{'test accuracy':>16}  95 % interval")
    for arch, folder in trained:
        price, judged = cost(arch), folder.read_record()["evaluations"]["test"]
        row = f"{arch.name:<18}{human(price.params):>12}{human(price.macs):>10}{percent(judged['top1']):>16}"
        print(f"{row}  {share_range(judged['top1_interval'])}".replace("\u00a0", " "))
    print(f"report: {trained[-1][1].report_file}")


def _row(arch: Architecture, folder: RunFolder) -> dict[str, Any]:
    price, evaluations = cost(arch), folder.read_record()["evaluations"]
    place = {"run": str(folder.path), "report": str(folder.report_file)}
    return {"name": arch.name, "params": price.params, "macs": price.macs, **place, "evaluations": evaluations}


def _trained(arch: Architecture, output: Path, observer: Observer) -> tuple[Architecture, RunFolder]:
    observer(Note(f"training {arch.name}: {human(cost(arch).macs)} MACs at {arch.resolution} pixels"))
    folder = train(arch, "digits", output / arch.name, recipe=_RECIPE, device="cpu", observer=observer)
    return find(folder.architecture_file), folder
