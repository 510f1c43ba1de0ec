"""The same network on every backend of Keras: logits, gradients of one training step, and statistics after it."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from compoundnet.architecture import Architecture
from compoundnet.zoo import architecture
from keras_models.reference import CLASSES, Step, images_for, labels_for, relative, settled, step

PROBE = Path(__file__).with_name("probe.py")

# Name, side, whether a training step is compared too. Odd and even sides, both paddings, every family.
QUICK = (("mbconv_tiny", 16, True), ("tf_efficientnet_b0", 33, True))
CASES = (
    ("mbconv_tiny", 17, True),
    ("tf_efficientnet_b0", 64, True),
    ("efficientnet_b0", 65, False),
    ("tf_efficientnetv2_b0", 63, True),
    ("tf_efficientnetv2_s", 64, False),
    ("mobilenetv1_100", 64, True),
    ("mobilenetv2_100", 65, False),
    ("mobilenetv3_small_100", 64, False),
    ("tf_efficientnet_x_b0", 64, False),
    ("resnet50", 64, True),
    ("resnet50", 65, False),
)

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_ENABLE_X64": "1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # JAX compiles each network for one call
}


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"needs the package {package}")


@pytest.mark.parametrize(
    ("backend", "cases"),
    [
        ("torch", QUICK),
        pytest.param("torch", CASES, marks=pytest.mark.slow),
        pytest.param("jax", CASES, marks=[pytest.mark.slow, needs("jax")]),
        pytest.param("tensorflow", CASES, marks=[pytest.mark.slow, needs("tensorflow")]),
    ],
)
def test_logits_gradients_and_statistics_are_ours(
    backend: str, cases: tuple[tuple[str, int, bool], ...], tmp_path: Path
) -> None:
    wanted = [_written(tmp_path / f"{i:02}", *case) for i, case in enumerate(cases)]
    environment = {**os.environ, **ENVIRONMENT, "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, PROBE, tmp_path], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == backend
    for i, (case, (logits, trained)) in enumerate(zip(cases, wanted, strict=True)):
        found = dict(np.load(tmp_path / f"{i:02}.out.npz"))
        assert relative(found["logits"], logits) < 1e-4, case
        if trained is not None:
            _check_step(found, trained, case)


def _written(stem: Path, name: str, side: int, trains: bool) -> tuple[Tensor, Step | None]:
    """What torch gives, once the job for the probe is written."""
    arch = replace(architecture(name), classes=CLASSES, dropout=0.0, drop_path=0.0)
    network, images = settled(arch), images_for(arch, side)
    stem.with_suffix(".json").write_text(arch.to_json())
    given = {f"state/{key}": value.numpy().copy() for key, value in network.state_dict().items()}
    given["images"] = images.permute(0, 2, 3, 1).numpy()
    if trains:
        given["labels"] = labels_for(arch).numpy()
    np.savez(stem.with_suffix(".npz"), **given)
    logits = network(images).detach()
    return logits, _after(step(network.double(), images.double()), given, arch) if trains else None


def _after(trained: Step, before: dict[str, np.ndarray], arch: Architecture) -> Step:
    """The step with Keras' moving variance: of the batch's variance over n, where torch moves by that over n - 1."""
    m, state = arch.norm.momentum, dict(trained.state)
    for norm, n in trained.averaged.items():
        name = f"{norm}.running_var"
        old = before[f"state/{name}"]
        unbiased = (state[name].numpy() - (1 - m) * old) / m
        state[name] = torch.from_numpy((1 - m) * old + m * unbiased * (n - 1) / n)
    return replace(trained, state=state)


def _check_step(found: dict[str, np.ndarray], wanted: Step, case: object) -> None:
    least = 1e-3 * max(float(np.abs(gradient).max()) for gradient in wanted.gradients.values())
    for name, gradient in wanted.gradients.items():
        size = max(float(np.abs(gradient).max()), least)  # a bias before a norm has none but rounding
        assert np.abs(found[f"gradient/{name}"] - gradient).max() < 1e-3 * size, (case, name)
    for name, value in wanted.state.items():
        if "running" in name:
            assert relative(found[f"state/{name}"], value) < 1e-5, (case, name)
