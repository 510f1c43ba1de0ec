"""Verbs that build networks: train, evaluate, predict."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from compoundnet.cli.arguments import Arch, Data, Json, Output, RunPath, call, print_json, value_of
from compoundnet.cli.process import stoppable
from compoundnet.data import (
    BadImage,
    BadImageError,
    Split,
    decode_image,
    evaluation_image,
    image_files,
    labelled_images,
    normalize,
    open_dataset,
)
from compoundnet.errors import FailureError, RequestError
from compoundnet.evaluate import evaluate_logits
from compoundnet.evaluate.inference import outputs
from compoundnet.run import Run, load
from compoundnet.train import Recipe, console, read_recipe, train
from compoundnet.train.progress import counting
from compoundnet.units import percent, share_range

__all__ = ["evaluate_command", "predict_command", "train_command"]

_TOP = 5


def train_command(argv: Sequence[str]) -> None:
    """``compoundnet train ARCH DATA -o RUN``."""
    # The recipe is looked for first: its values are the defaults of the flags that --help shows.
    weighted = value_of(argv, "--weights") is not None
    default = read_recipe(value_of(argv, "--recipe") or ("finetune" if weighted else "scratch"))

    def run(
        architecture: Arch,
        data: Data,
        /,
        output: Annotated[Path, Output],
        weights: str | None = None,
        recipe: str | None = None,
        device: str | None = None,
        workers: int | None = None,
        bad_images: Literal["skip", "fail"] = "skip",
        json: Json = False,
        settings: Annotated[Recipe, tyro.conf.OmitArgPrefixes] = default,
    ) -> None:
        """Train a network on images. The same command goes on where it was stopped, bit for bit.

        Args:
            architecture: a name of compoundnet list, or a JSON file.
            data: a folder of class folders, or of train/ [val/] [test/] with class folders; of files named
                cat.0.jpg; a CSV of file,label[,split]; a zip or tar of these; or digits, cifar10,
                oxford_pets, cats_vs_dogs.
            output: the run folder to make, or to go on in.
            weights: where to start: imagenet (the best published), a tag such as ns, or a .safetensors file.
            recipe: finetune (the default with weights), scratch (without), or a JSON file. Its values are the
                defaults below.
            device: such as cpu or cuda; by default a GPU if there is one.
            workers: processes that read images ahead; by default as suits the device.
            bad_images: whether an image that cannot be read is skipped or fatal.
            json: the result for machines.
            settings: everything else about the training.
        """
        with console() as observer, stoppable() as stop:
            folder = train(
                architecture, data, output, weights=weights, recipe=settings, device=device, workers=workers,
                on_bad=bad_images, observer=observer, stop=stop,
            )  # fmt: skip
        evaluations = folder.read_record()["evaluations"]
        if json:
            print_json({"run": str(folder.path), "report": str(folder.report_file), "evaluations": evaluations})
            return
        for name, judged in evaluations.items():
            print(f"{name}: {_verdict(judged)}")
        print(f"report: {folder.report_file}")

    call("train", run, argv)


def evaluate_command(argv: Sequence[str]) -> None:
    """``compoundnet evaluate RUN DATA``."""
    call("evaluate", _evaluate, argv)


def predict_command(argv: Sequence[str]) -> None:
    """``compoundnet predict RUN IMAGE...``."""
    call("predict", _predict, argv)


def _evaluate(
    run: RunPath,
    data: Data,
    /,
    device: str = "cpu",
    batch_size: int = 32,
    bad_images: Literal["skip", "fail"] = "skip",
    json: Json = False,
) -> None:
    """Judge a trained run on labelled images.

    Args:
        run: the folder that train made.
        data: images with the run's classes, in any form that train takes; of a set with test/ that part, and of
            the very set that the run was trained on the part it was not.
        device: such as cpu or cuda.
        batch_size: images at a time.
        bad_images: whether an image that cannot be read is skipped or fatal.
        json: top1, top5, loss, ece, n, per_class and more.
    """
    trained = load(run, device)
    skipped: list[BadImage] = []
    split = _held_out(trained, data, None if bad_images == "fail" else skipped.append)
    for bad in skipped:
        print(f"skipped {bad.file}: {bad.reason}", file=sys.stderr)
    with console() as observer:
        logits = outputs(
            trained.model, split, trained.preprocessing,
            batch_size=batch_size, device=device, progress=counting(observer, "evaluating"),
        )  # fmt: skip
    judged = evaluate_logits(logits, torch.tensor(split.labels), trained.labels).to_json()
    if json:
        print_json({**judged, "bad": [{"file": str(bad.file), "reason": bad.reason} for bad in skipped]})
        return
    print(_verdict(judged))
    for score in judged["per_class"]:
        print(f"  {score['label']}: {score['n']} images, precision {percent(score['precision'])}, "
              f"recall {percent(score['recall'])}")  # fmt: skip


def _held_out(trained: Run, data: str, on_bad: Callable[[BadImage], None] | None) -> Split:
    """The images to judge; of the data that the run was trained on, those that training did not see."""
    try:
        known = open_dataset(data)
    except RequestError:  # not a set that one could train on, but perhaps one to judge on
        return labelled_images(data, trained.labels, on_bad=on_bad)
    if known.fingerprint != trained.record["data"]["fingerprint"]:
        return labelled_images(data, trained.labels, on_bad=on_bad)
    name, part = ("test", known.test) if len(known.test) else ("validation", known.val)
    print(f"the run was trained on this data: judging the {len(part)} {name} images that it held out", file=sys.stderr)
    for bad in known.bad:
        if on_bad is None:
            raise BadImageError(bad.file, bad.reason)
        on_bad(bad)
    return part


def _predict(
    run: RunPath,
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")],
    /,
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Label images with a trained run.

    Args:
        run: the folder that train made.
        images: image files, and folders of them.
        device: such as cpu or cuda.
        json: for each image file, label, probability and the five most probable labels; or file and error.
    """
    files = image_files(images)
    trained = load(run, device)
    answers = [_answer(trained, file, device) for file in files]
    if json:
        print_json(answers)
    else:
        for answer in answers:
            told = answer.get("error") or f"{answer['label']} ({percent(answer['probability'])})"
            print(f"{answer['file']}: {told}")
    if all("error" in answer for answer in answers):
        raise FailureError("no image could be read")


@torch.inference_mode()
def _answer(trained: Run, file: Path, device: str) -> dict[str, Any]:
    try:
        pixels = evaluation_image(decode_image(file), trained.preprocessing)
    except RequestError as error:
        return {"file": str(file), "error": str(error)}
    shares = trained.model(normalize(pixels[None].to(device), trained.preprocessing)).softmax(1)[0]
    most = shares.topk(min(_TOP, len(trained.labels)))
    top = [
        {"label": trained.labels[i], "probability": p}
        for p, i in zip(most.values.tolist(), most.indices.tolist(), strict=True)
    ]
    return {"file": str(file), **top[0], "top": top}


def _verdict(judged: dict[str, Any]) -> str:
    right, low_high = percent(judged["top1"]), share_range(judged["top1_interval"])
    told = f"{right} of {judged['n']} images right (95 % interval {low_high}), loss {judged['loss']:.4f}"
    return f"{told}, calibration error {percent(judged['ece'])}".replace("\u00a0", " ")
