"""Run by tests as a program, since Keras' backend is chosen when it is imported: Keras' own networks, files and logits.

``python keras_peer.py save EfficientNetB0 FOLDER 64 65`` writes one network of random weights in every form, and what
it answers at these sides; ``python keras_peer.py load EfficientNetB0 FOLDER SIDE FILE...`` what it answers with the
weights of each file.
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy as np
from keras.src.legacy.saving import legacy_h5_format

CLASSES = 10
MEAN, VARIANCE = (0.5, 0.4, 0.3), (0.04, 0.09, 0.16)


def photographs(side: int, count: int = 2) -> np.ndarray:
    """Patches of 7 pixels, which lie to the strides in every way, and noise, each as strong as the other.

    Of noise alone, all photographs look alike after a few layers.
    """
    numbers = np.random.default_rng(side)
    patches = numbers.uniform(0, 128, (count, side // 7 + 1, side // 7 + 1, 3)).repeat(7, 1).repeat(7, 2)
    return (patches[:, :side, :side] + numbers.uniform(0, 127, (count, side, side, 3))).astype(np.float32)


def network(name: str, side: int) -> keras.Model:
    build = getattr(keras.applications, name)
    return build(weights=None, input_shape=(side, side, 3), classes=CLASSES, classifier_activation=None)


def randomise(model: keras.Model) -> None:
    """Random weights, and the statistics of a batch through them; the norms' scales positive."""
    numbers = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            if layer.weights:
                layer.set_weights([np.float32(MEAN), np.float32(VARIANCE), np.int32(0)])
            layer.finalize_state()
        elif isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # or the statistics would be of other signals than those of a test
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            # A branch adds a little to its block's input, or noise would grow from block to block.
            scale = 0.3 if layer.name.endswith("project_bn") else 1.0
            layer.gamma.assign(scale * (0.5 + abs(numbers.standard_normal(layer.gamma.shape))))
            layer.beta.assign(0.1 * numbers.standard_normal(layer.beta.shape))
        else:
            for weight in layer.trainable_weights:
                inputs = weight.shape[:2] if isinstance(layer, keras.layers.DepthwiseConv2D) else weight.shape[:-1]
                scale = 0.1 if weight.ndim == 1 else np.prod(inputs) ** -0.5
                weight.assign(scale * numbers.standard_normal(weight.shape))
    model(photographs(64, count=32), training=True)  # of 4, the deep layers would know these only


def answers(model: keras.Model, side: int) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(photographs(side), training=False))


def save(name: str, folder: Path, sides: list[int]) -> None:
    model = network(name, 64)
    randomise(model)
    model.save(folder / "saved.keras")
    model.save_weights(folder / "saved.weights.h5")
    model.save(folder / "whole.h5")
    with h5py.File(folder / "legacy.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    for side in sides:
        other = model if side == 64 else network(name, side)
        other.set_weights(model.get_weights())
        for layer in other.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()
        np.save(folder / f"{side}.photographs.npy", photographs(side))
        np.save(folder / f"{side}.npy", answers(other, side))


def load(name: str, folder: Path, side: int, files: list[str]) -> None:
    model = network(name, side)
    for file in files:
        model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
        model.load_weights(folder / file)
        np.save(folder / f"{file}.npy", answers(model, side))


if __name__ == "__main__":
    verb, name, folder, *rest = sys.argv[1:]
    if verb == "save":
        save(name, Path(folder), [int(side) for side in rest])
    else:
        load(name, Path(folder), int(rest[0]), rest[1:])
