"""Keras Applications' EfficientNets in every form of file: their weights here, ours there, their normalisation."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.factory import create
from compoundnet.nn import build
from compoundnet.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from compoundnet.weights import keras as adapter
from compoundnet.weights import read_weights, write_weights
from weights.peers import TINY, TINY_V1, alike, random_network

PEER = Path(__file__).with_name("keras_peer.py")
FORMS = ["saved.keras", "saved.weights.h5", "whole.h5", "legacy.h5"]
# Keras' name, the zoo's, and what V2 does to 0..255 by constants, which no file of weights holds.
B_CONSTANTS = Preprocessing(resolution=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
HALF = Preprocessing(resolution=224, mean=(128 / 255,) * 3, std=(128 / 255,) * 3)
ROWS = [
    *((f"EfficientNetB{i}", f"tf_efficientnet_b{i}", None) for i in range(8)),
    *((f"EfficientNetV2B{i}", f"tf_efficientnetv2_b{i}", B_CONSTANTS) for i in range(4)),
    ("EfficientNetV2S", "tf_efficientnetv2_s", HALF),
]
SIDES, MORE = (63, 64), (63, 64, 65)
"""63 is odd with the maps of 64 inside; 65 makes every map odd. Random weights, whose norms know 64, amplify the noise
of float32 at 65: through 30 blocks and more to as much as the signal, of Keras' network and ours alike."""
SHALLOW = ("EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetV2B0", "EfficientNetV2B1")
PREPARED = Preprocessing(resolution=224, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def keras(*words: object) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    done = subprocess.run([sys.executable, PEER, *map(str, words)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def prepared(photographs: Path, by: Preprocessing) -> Tensor:
    """The photographs that ``keras_peer`` wrote, as our network takes them."""
    images = torch.from_numpy(np.load(photographs)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (by.mean, by.std))
    return (images - mean) / std


def apart(network: torch.nn.Module, by: Preprocessing, side: int, file: Path) -> float:
    """Largest difference of our logits to those in ``file``, as a share of how much those change by photograph."""
    theirs = torch.from_numpy(np.load(file))
    with torch.inference_mode():
        ours = network.eval()(prepared(file.with_name(f"{side}.photographs.npy"), by))
    scale = (theirs[0] - theirs[1]).abs().max()
    assert scale > 0.01 * theirs.abs().max()
    return ((ours - theirs).abs().max() / scale).item()


@pytest.mark.slow
@pytest.mark.parametrize(("theirs", "ours", "constants"), ROWS, ids=[row[0] for row in ROWS])
def test_its_weights_give_its_logits_and_go_back(
    tmp_path: Path, theirs: str, ours: str, constants: Preprocessing | None
) -> None:
    arch = replace(zoo.architecture(ours), classes=10)
    sides = MORE if theirs in SHALLOW else SIDES
    keras("save", theirs, tmp_path, *sides)
    read = {form: read_weights(tmp_path / form, arch) for form in FORMS}
    first = read["saved.keras"]
    assert all(alike(weights.state, first.state) for weights in read.values())
    by = first.preprocessing or constants
    assert by is not None
    assert (first.preprocessing is None) == (constants is not None)
    if constants is None:  # what keras_peer stores: mean .5 .4 .3, variance .04 .09 .16
        assert {(w.preprocessing.mean, w.preprocessing.std) for w in read.values() if w.preprocessing} == {
            (PREPARED.mean, PREPARED.std)
        }
    network = create(arch, weights=tmp_path / "saved.keras")
    assert max(apart(network, by, side, tmp_path / f"{side}.npy") for side in sides) < 1e-3
    for name in ("back.weights.h5", "back.h5"):
        write_weights(network, arch, tmp_path / name, layout="keras", preprocessing=by)
    keras("load", theirs, tmp_path, 64, "back.weights.h5", "back.h5")
    assert max(apart(network, by, 64, tmp_path / f"{name}.npy") for name in ("back.weights.h5", "back.h5")) < 1e-3


@pytest.mark.parametrize("arch", [TINY, TINY_V1], ids=lambda arch: arch.name)
@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5"])
def test_what_is_written_is_read_equal(tmp_path: Path, arch: Architecture, name: str) -> None:
    state = random_network(arch).state_dict()
    path = write_weights(state, arch, tmp_path / name, layout="keras", preprocessing=PREPARED, labels=list("abcdefg"))
    weights = read_weights(path, arch)
    assert alike(weights.state, state)
    assert (weights.preprocessing, weights.labels) == (PREPARED, tuple("abcdefg"))
    assert write_weights(weights.state, arch, tmp_path / f"2{name}", layout="keras", preprocessing=PREPARED).is_file()
    assert alike(read_weights(tmp_path / f"2{name}", arch).state, state)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5"])
def test_a_backbone_has_no_classifier_there_either(tmp_path: Path, name: str) -> None:
    state = {n: t for n, t in random_network(TINY).state_dict().items() if not n.startswith("classifier")}
    assert alike(read_weights(write_weights(state, TINY, tmp_path / name, layout="keras"), TINY).state, state)


def test_older_files_that_tell_no_names_go_by_class(tmp_path: Path) -> None:
    state = random_network(TINY).state_dict()
    path = write_weights(state, TINY, tmp_path / "w.weights.h5", layout="keras")
    with h5py.File(path, "a") as file:
        file.visititems(lambda _, item: item.attrs.pop("name", None))
    assert alike(read_weights(path, TINY).state, state)


def test_files_of_keras_2_13_keep_them_elsewhere(tmp_path: Path) -> None:
    state = random_network(TINY).state_dict()
    path = write_weights(state, TINY, tmp_path / "w.weights.h5", layout="keras")
    with h5py.File(path, "a") as file:
        file.move("layers", "_layer_checkpoint_dependencies")
    assert alike(read_weights(path, TINY).state, state)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5"])
def test_a_classifier_of_any_name_and_what_training_keeps(tmp_path: Path, name: str) -> None:
    """As of a model with a head of one's own, saved whole: optimiser, seeds and metrics lie beside the weights."""
    state = random_network(TINY).state_dict()
    path = write_weights(state, TINY, tmp_path / name, layout="keras")
    with h5py.File(path, "a") as file:
        if name == "w.h5":
            file.move("predictions/predictions", "pets/dense_3")
            del file["predictions"]
            for layer in list(file):
                file.move(layer, f"model_weights/{layer}")
            file["optimizer_weights/adam/stem_conv/kernel:0"] = np.zeros((3, 3, 3, 32), np.float32)
        else:
            file.move("layers/dense", "layers/dense_7")
            file["layers/dense_7/vars"].attrs["name"] = "pets"
            file["layers/dropout/seed_generator/vars/0"] = np.zeros(2, np.uint32)
            file["optimizer/vars/0"] = np.int64(3)
    assert alike(read_weights(path, TINY).state, state)


def test_a_backbone_inside_another_model(tmp_path: Path) -> None:
    """Keras 2 and 3 name its layers below its own name."""
    state = random_network(TINY).state_dict()
    path = write_weights(state, TINY, tmp_path / "w.h5", layout="keras")
    with h5py.File(path, "a") as file:
        for layer in [layer for layer in file if layer != "predictions"]:
            file.move(f"{layer}/{layer}", f"efficientnet/{layer}")
            del file[layer]
    assert alike(read_weights(path, TINY).state, state)


@pytest.mark.parametrize(
    ("variance", "std"),
    [
        (IMAGENET_STD, IMAGENET_STD),  # as in every published file: tensorflow/tensorflow#49930
        (tuple(s**2 for s in IMAGENET_STD), IMAGENET_STD),
        ((0.04, 0.09, 0.16), (0.2, 0.3, 0.4)),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),  # never adapted: it does nothing
    ],
)
def test_the_preprocessing_is_that_of_the_stored_numbers(
    tmp_path: Path, variance: tuple[float, ...], std: tuple[float, ...]
) -> None:
    arch = replace(zoo.architecture("tf_efficientnet_b0"), classes=2)
    path = write_weights(build(arch), arch, tmp_path / "w.h5", layout="keras", preprocessing=PREPARED)
    with h5py.File(path, "a") as file:
        del file.attrs["compoundnet.preprocessing"]
        file["normalization/normalization/mean:0"][:] = np.float32(IMAGENET_MEAN)
        file["normalization/normalization/variance:0"][:] = np.float32(variance)
    read = read_weights(path, arch).preprocessing
    assert read == replace(zoo.preprocessing(arch), mean=IMAGENET_MEAN, std=read.std if read else ())
    assert all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(read.std, std, strict=True))


def test_a_normalisation_that_divides_by_nothing(tmp_path: Path) -> None:
    path = write_weights(build(TINY_V1), TINY_V1, tmp_path / "w.h5", layout="keras", preprocessing=PREPARED)
    with h5py.File(path, "a") as file:
        del file.attrs["compoundnet.preprocessing"]
        file["normalization/normalization/variance:0"][:] = 0
    with pytest.raises(RequestError, match=r"w\.h5: of its normalisation, preprocessing\.std is .* must be positive"):
        read_weights(path, TINY_V1)


def test_wrong_combinations_are_said(tmp_path: Path) -> None:
    arch = zoo.architecture("tf_efficientnetv2_b0")
    path = write_weights(build(arch), arch, tmp_path / "w.h5", layout="keras")
    with pytest.raises(
        RequestError, match=r"needs padding 'same' and a norm epsilon of 0.001; .*: use tf_efficientnetv2_b0$"
    ):
        read_weights(path, zoo.architecture("efficientnetv2_b0"))
    with pytest.raises(
        RequestError, match=r"does not fit tf_efficientnet_b0: .*it looks like efficientnetv2_b0 or tf_"
    ):
        read_weights(path, zoo.architecture("tf_efficientnet_b0"))
    with pytest.raises(
        RequestError, match=r"does not fit resnet50: Keras's layout has no names for Bottleneck.*looks like eff"
    ):
        read_weights(path, zoo.architecture("resnet50"))


def test_two_networks_in_one_file(tmp_path: Path) -> None:
    path = write_weights(build(TINY), TINY, tmp_path / "w.h5", layout="keras")
    with h5py.File(path, "a") as file:
        file.copy("stem_conv", "other")
    with pytest.raises(RequestError, match=r"holds more than one network: stem_conv\.weight is there twice"):
        read_weights(path, TINY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": "kreas"}, "layout 'kreas'.*did you mean 'keras'"),
        ({"path": "w.keras"}, r"w.keras' cannot hold keras's layout; its name must end in .weights.h5 or .h5"),
        ({"path": "w.h5", "layout": "timm"}, r"w.h5' cannot hold timm's layout; its name must end in .safetensors"),
        ({"preprocessing": None}, "normalises its input itself in Keras.*give preprocessing"),
        ({"arch": replace(TINY_V1, padding="symmetric")}, "keras's layout needs padding 'same'"),
        ({"arch": replace(TINY_V1, head=32)}, "weights does not fit tiny_v1: .* wrong shape"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    request = {"arch": TINY_V1, "path": "w.h5", "layout": "keras", "preprocessing": PREPARED, **changes}
    request["path"] = tmp_path / str(request["path"])
    with pytest.raises(RequestError, match=message):
        write_weights(build(TINY_V1), **request)
    assert list(tmp_path.iterdir()) == []


def test_grey_images_cannot_be_written_for_keras(tmp_path: Path) -> None:
    arch = replace(TINY_V1, in_channels=1)
    with pytest.raises(RequestError, match="tiny_v1 with 1 input channels cannot be written for Keras"):
        write_weights(build(arch), arch, tmp_path / "w.h5", layout="keras", preprocessing=PREPARED)


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_weights(build(TINY), TINY, tmp_path / "w.h5", layout="keras")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RequestError, match=r"w\.h5 needs h5py, .* pip install 'compoundnet\[keras\]'"):
        read_weights(path, TINY)


def test_more_blocks_than_letters(tmp_path: Path) -> None:
    """The letters of Keras' blocks go on after z as the builder's do: z, aa, ab."""
    arch = replace(TINY, stages=(*TINY.stages[:-1], replace(TINY.stages[-1], repeats=28)))
    names = dict(adapter.modules(arch))
    last = len(arch.stages)
    assert names[f"stages.{last - 1}.25.project.conv"] == f"block{last}z_project_conv"
    assert names[f"stages.{last - 1}.27.project.conv"] == f"block{last}ab_project_conv"
    state = random_network(arch).state_dict()
    path = write_weights(state, arch, tmp_path / "w.weights.h5", layout="keras")
    assert alike(read_weights(path, arch).state, state)


def test_variances_come_back_to_the_bit(tmp_path: Path) -> None:
    """Through the deviation, which is what a record of preprocessing holds."""
    state = random_network(TINY_V1).state_dict()
    variance = np.array([0.0512, 0.0517, 0.0533], np.float32)
    std = tuple(float(v) ** 0.5 for v in variance)
    given = Preprocessing(resolution=224, mean=(0.5, 0.4, 0.3), std=std)
    first = write_weights(state, TINY_V1, tmp_path / "a.weights.h5", layout="keras", preprocessing=given)
    read = read_weights(first, TINY_V1)
    again = write_weights(
        read.state, TINY_V1, tmp_path / "b.weights.h5", layout="keras", preprocessing=read.preprocessing
    )
    with h5py.File(first) as one, h5py.File(again) as other:
        stored = [file["layers/normalization/vars/1"][()] for file in (one, other)]
    assert stored[0].tobytes() == stored[1].tobytes() == variance.tobytes()
