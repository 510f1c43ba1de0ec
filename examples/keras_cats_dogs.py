"""EfficientNet-B5 on cats and dogs, in Keras: train a new head, fine-tune the top blocks, measure on the test images.

    python examples/keras_cats_dogs.py DATA --weights imagenet
    python examples/keras_cats_dogs.py DATA --architecture tf_efficientnet_b0 --resolution 64 --images 100 --epochs 1

DATA is a folder of class folders (``cat/``, ``dog/``), or one with ``train/`` and ``test/`` of these; images that
cannot be decoded are left out and named. Needs ``pip install 'compoundnet[keras]'``; ``KERAS_BACKEND`` chooses torch,
jax or tensorflow. Without weights the backbone is trained from its first step, and a few epochs are too few.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # which is there already

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tyro

import compoundnet as cn
from compoundnet.data import Augmentation, Split, batches, normalize, open_dataset, subset
from compoundnet.errors import RequestError
from compoundnet.keras import build
from compoundnet.preprocessing import Preprocessing
from compoundnet.weights import read_weights
from compoundnet.zoo import preprocessing

AUGMENTATION = Augmentation(crop_scale=(0.5, 1.0), flip=True)


class Images(keras.utils.PyDataset):
    """Batches of a split for ``fit`` and ``evaluate``: images (N, H, W, 3) normalised, labels (N). Any backend."""

    def __init__(self, split: Split, prepared: Preprocessing, batch_size: int, augmented: bool) -> None:
        super().__init__()
        self.split, self.prepared, self.batch_size = split, prepared, batch_size
        self.augmentation, self.epoch = AUGMENTATION if augmented else None, 0

    def __len__(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        source = batches(
            self.split,
            preprocessing=self.prepared,
            augmentation=self.augmentation,
            resolution=self.prepared.resolution,
            batch_size=self.batch_size,
            seed=0,
            epoch=self.epoch,
            shuffle=self.augmentation is not None,
            start=index,
        )
        batch = next(source)
        return normalize(batch.images, self.prepared).permute(0, 2, 3, 1).numpy(), batch.labels.numpy()

    def on_epoch_end(self) -> None:
        """The next epoch has another order, and other crops."""
        self.epoch += 1


def classifier(backbone: Any, classes: int, dropout: float) -> Any:
    """The backbone with a new head, which alone learns if the backbone is frozen."""
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(backbone.output)
    x = keras.layers.BatchNormalization(name="top_norm")(x)
    x = keras.layers.Dropout(dropout, name="top_dropout")(x)
    return keras.Model(backbone.input, keras.layers.Dense(classes, activation="softmax", name="predictions")(x))


def thaw(backbone: Any, blocks: int) -> None:
    """Let the last blocks learn; batch norms stay as they are, as their statistics are better than a few batches'."""
    names = list(dict.fromkeys(n.split("_")[0] for n in (layer.name for layer in backbone.layers) if "block" in n))
    last = (*names[-blocks:], "top")
    for layer in backbone.layers:
        norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = layer.name.split("_")[0] in last and not norm


def fit(model: Any, train: Images, validation: Images, epochs: int, learning_rate: float) -> None:
    """Adam, sparse cross-entropy, accuracy."""
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss=loss, metrics=["accuracy"])
    model.fit(train, validation_data=validation, epochs=epochs, verbose=2)


def load(architecture: str, weights: str | None, resolution: int | None) -> tuple[Any, Preprocessing]:
    """The backbone and the preprocessing that its weights ask for."""
    arch = cn.architecture(architecture)
    arch = replace(arch, resolution=resolution or arch.resolution)
    if weights is None or weights.endswith((".h5", ".keras")):
        return build(arch, include_top=False, weights=weights), preprocessing(arch)
    read = read_weights(weights, arch)
    prepared = read.preprocessing or preprocessing(arch)
    return build(arch, include_top=False, weights=read.state), replace(prepared, resolution=arch.resolution)


def main(
    data: tyro.conf.Positional[Path],
    /,
    architecture: str = "tf_efficientnet_b5",
    weights: str | None = None,
    epochs: int = 5,
    fine_tune_epochs: int = 5,
    fine_tune_blocks: int = 6,
    resolution: int | None = None,
    images: int | None = None,
    batch_size: int = 16,
    save: Path | None = None,
) -> None:
    """Train and test a network on a folder of images.

    Args:
        data: the folder.
        architecture: a name of ``compoundnet list``.
        weights: "imagenet", a .safetensors file, or a file of Keras (without top); none: the backbone is fresh.
        epochs: of the new head, on the frozen backbone; of everything where there are no weights.
        fine_tune_epochs: of the last blocks and the head, where there are weights.
        fine_tune_blocks: how many.
        resolution: side of the images in pixels; none: the architecture's.
        images: at most so many training images; none: all.
        batch_size: images a step.
        save: a .keras file for the trained model.
    """
    keras.utils.set_random_seed(0)
    dataset = subset(open_dataset(data), train=images)
    for note in dataset.notes:
        print(f"note: {note}")
    backbone, prepared = load(architecture, weights, resolution)
    train = Images(dataset.train, prepared, batch_size, augmented=True)
    validation, test = (Images(s, prepared, batch_size, augmented=False) for s in (dataset.val, dataset.test))
    print(
        f"{architecture}: {len(dataset.train)} training, {len(dataset.val)} validation, {len(dataset.test)} test images"
    )

    backbone.trainable = weights is None
    model = classifier(backbone, len(dataset.classes), cn.architecture(architecture).dropout)
    fit(model, train, validation, epochs, 1e-3 if weights is None else 1e-2)
    if weights is not None and fine_tune_epochs:
        thaw(backbone, fine_tune_blocks)
        fit(model, train, validation, fine_tune_epochs, 1e-4)

    probabilities = np.concatenate([model.predict_on_batch(test[i][0]) for i in range(len(test))])
    right = probabilities.argmax(axis=1) == np.array(dataset.test.labels)
    if save is not None:
        model.save(save)
    print(json.dumps({"architecture": architecture, "test_images": len(right), "test_accuracy": float(right.mean())}))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except RequestError as error:
        raise SystemExit(str(error)) from error
