"""Run by the tests in a process of its own, as a backend is chosen when Keras is imported.

``python probe.py FOLDER``: for every ``N.json`` (an architecture) there are ``N.npz`` (images N H W C, labels, our
state dict under ``state/``); ``N.out.npz`` gets logits and, if labels are given, gradients and statistics after one
training step in double precision, under our names. (In single precision the step is a matter of rounding: batch norms
over few values enlarge it from layer to layer, and it decides on which side of its corner a ReLU is.)
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from compoundnet.architecture import Architecture
from compoundnet.keras import build, from_keras


def logits_of(model: Any, images: Any) -> Any:
    if keras.backend.backend() == "torch":
        with torch.no_grad():
            return model(images, training=False).cpu().numpy()
    return model.predict_on_batch(images)


def loss_of(logits: Any, labels: Any) -> Any:
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


def gradients_torch(model: Any, images: Any, labels: Any) -> list[Any]:
    loss_of(model(images, training=True), labels).backward()
    return [variable.value.grad.cpu().numpy() for variable in model.trainable_variables]


def gradients_tensorflow(model: Any, images: Any, labels: Any) -> list[Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = loss_of(model(images, training=True), labels)
    found = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return [gradient.numpy() for gradient in found]


def gradients_jax(model: Any, images: Any, labels: Any) -> list[Any]:
    import jax

    def loss(trainable: Any, others: Any) -> Any:
        logits, others = model.stateless_call(trainable, others, images, training=True)
        return loss_of(logits, labels), others

    values = [[variable.value for variable in group] for group in _groups(model)]
    found, others = jax.jit(jax.grad(loss, has_aux=True))(*values)
    for variable, value in zip(model.non_trainable_variables, others, strict=True):
        variable.assign(value)
    return [np.asarray(gradient) for gradient in found]


def _groups(model: Any) -> tuple[Any, Any]:
    return model.trainable_variables, model.non_trainable_variables


GRADIENTS: dict[str, Callable[[Any, Any, Any], list[Any]]] = {
    "torch": gradients_torch,
    "tensorflow": gradients_tensorflow,
    "jax": gradients_jax,
}


def probe(job: Path) -> dict[str, Any]:
    arch = Architecture.from_json(job.read_text())
    given = dict(np.load(job.with_suffix(".npz")))
    state = {k.removeprefix("state/"): torch.from_numpy(v) for k, v in given.items() if k.startswith("state/")}
    images = given["images"]

    def model() -> Any:
        return build(arch, classifier_activation=None, weights=state, input_shape=images.shape[1:])

    found = {"logits": logits_of(model(), images)}
    if "labels" in given:
        set_precision("float64")
        found |= step(model(), images.astype(np.float64), given["labels"], arch)
        set_precision("float32")
    return found


def step(model: Any, images: Any, labels: Any, arch: Architecture) -> dict[str, Any]:
    gradients = GRADIENTS[keras.backend.backend()](model, images, labels)
    found = {f"state/{k}": v.numpy() for k, v in from_keras(model, arch).items() if "running" in k}
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        variable.assign(gradient)  # so that the way back gives them our names
    return found | {f"gradient/{k}": v.numpy() for k, v in from_keras(model, arch).items() if "running" not in k}


_usual = keras.src.backend.result_type


def result_type(*types: Any) -> str:
    """Keras', but double where one is: left alone, batch norms compute in single precision in any network."""
    return "float64" if "float64" in map(keras.backend.standardize_dtype, types) else _usual(*types)


def set_precision(name: str) -> None:
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)


def main(folder: Path) -> None:
    # Every kernel is replaced by the given one; drawing them first takes longer than all the rest on some backends.
    keras.initializers.VarianceScaling.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype)
    keras.src.backend.result_type = result_type
    for job in sorted(folder.glob("*.json")):
        np.savez(job.with_suffix(".out.npz"), **probe(job))
    print(keras.backend.backend())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
