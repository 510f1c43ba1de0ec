"""The example trains and tests on real photographs, at tiny settings."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT, SHARED, needs_shared

EXAMPLE = ROOT / "examples" / "keras_cats_dogs.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    return subprocess.run([sys.executable, EXAMPLE, *words], env=environment, capture_output=True, text=True)


@pytest.mark.slow
@needs_shared("data/cats_dogs")
@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("mbconv_tiny", ("--resolution", "64", "--images", "40")),
        ("tf_efficientnet_b5", ("--resolution", "32", "--images", "16")),  # what it takes by default
    ],
)
def test_it_trains_and_tests_a_fresh_network_on_photographs(network: str, words: tuple[str, ...]) -> None:
    done = run(str(SHARED / "data/cats_dogs"), "--architecture", network, "--epochs", "1", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["architecture"], said["test_images"]) == (network, 200)
    assert 0.3 <= said["test_accuracy"] <= 1


@pytest.mark.slow
@needs_shared("data/cats_dogs", "data/weights/tf_efficientnetv2_b0.safetensors")
def test_it_fine_tunes_pretrained_weights_to_a_good_accuracy() -> None:
    weights = str(SHARED / "data/weights/tf_efficientnetv2_b0.safetensors")
    words = ("--architecture", "tf_efficientnetv2_b0", "--weights", weights, "--fine-tune-epochs", "1")
    small = ("--resolution", "96", "--images", "96", "--epochs", "1")
    done = run(str(SHARED / "data/cats_dogs"), *words, *small)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["test_accuracy"] > 0.8


@pytest.mark.slow
def test_a_wrong_request_is_one_line() -> None:
    done = run("nowhere")
    assert done.returncode == 1
    assert "nowhere" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
