"""Checkpoints of the original code: read, by the moving averages, and equal to lukemelas' port of them."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from compoundnet import zoo
from compoundnet.errors import RequestError
from compoundnet.weights import lukemelas, read_weights, tensorflow
from compoundnet.weights.adapters import from_ours, to_ours
from compoundnet.weights.layout import detect, expected_shapes
from weights.peers import TINY_V1, alike, random_network

PEER = Path(__file__).with_name("tensorflow_peer.py")
B0 = zoo.architecture("tf_efficientnet_b0")

# lukemelas 7e8b0d3 tf_to_pytorch/convert_tf_to_pt/load_tf_weights.py: its names -> the checkpoint's. A block that
# does not expand, of B0 the first, has one convolution and one norm less.
OUTER = {"_conv_stem": "stem/conv2d", "_bn0": "stem/tpu_batch_normalization", "_fc": "head/dense"}
OUTER |= {"_conv_head": "head/conv2d", "_bn1": "head/tpu_batch_normalization"}
ORDER = {"_expand_conv": "conv2d", "_project_conv": "conv2d_1", "_depthwise_conv": "depthwise_conv2d"}
ORDER |= {"_se_reduce": "se/conv2d", "_se_expand": "se/conv2d_1"}
ORDER |= {f"_bn{i}": "tpu_batch_normalization" + f"_{i}" * (i > 0) for i in range(3)}
FIRST = {"_project_conv": "conv2d", "_bn1": "tpu_batch_normalization", "_bn2": "tpu_batch_normalization_1"}
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def original(name: str, tensor: Tensor) -> tuple[str, np.ndarray]:
    """The checkpoint's name and array of a tensor of lukemelas', by that table and its transpositions."""
    module, _, leaf = name.rpartition(".")
    array = tensor.numpy()
    if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)", module):
        number, part = int(block[1]), block[2]
        scope = f"blocks_{number}/{(ORDER | FIRST if number == 0 else ORDER)[part]}"
    else:
        scope = OUTER[module]
    if "normalization" in scope:
        return f"{scope}/{NORM[leaf]}", array
    if leaf == "bias":
        return f"{scope}/bias", array
    if "depthwise" in scope:
        return f"{scope}/depthwise_kernel", array.transpose(2, 3, 0, 1)
    return f"{scope}/kernel", array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return dict(random_network(TINY_V1).state_dict())


@pytest.fixture(scope="module")
def checkpoint(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("tensorflow") is None:  # to import it would end this process, which has torch
        pytest.skip("needs tensorflow, to write a checkpoint")
    folder = tmp_path_factory.mktemp("tensorflow")
    theirs = from_ours(state, TINY_V1, "lukemelas", "tiny")
    arrays = dict(original(name, t) for name, t in theirs.items() if not name.endswith("num_batches_tracked"))
    np.savez(folder / "arrays.npz", **arrays)
    command = [sys.executable, PEER, folder / "arrays.npz", folder / "model.ckpt-7"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "model.ckpt-7"


@pytest.mark.slow
def test_a_checkpoint_is_read_by_its_averages(checkpoint: Path, state: dict[str, Tensor]) -> None:
    weights = read_weights(str(checkpoint), TINY_V1)
    assert alike(weights.state, state)  # the variables themselves are greater by one
    assert (weights.preprocessing, len(weights.sha256), weights.source) == (None, 64, str(checkpoint))


@pytest.mark.slow
def test_a_truncated_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        whole = checkpoint.with_name(checkpoint.name + suffix).read_bytes()
        (tmp_path / f"cut{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RequestError, match=r"cut is not a TensorFlow checkpoint, or it is truncated: .*Error"):
        read_weights(tmp_path / "cut", TINY_V1)


def test_it_goes_by_any_name_of_its_files(tmp_path: Path) -> None:
    for suffix in (".index", ".data-00000-of-00002", ".data-00001-of-00002", ".meta", "0.data-00000-of-00001"):
        (tmp_path / f"model.ckpt-7{suffix}").write_bytes(b"x")
    names = ("model.ckpt-7", "model.ckpt-7.index", "model.ckpt-7.data-00001-of-00002")
    assert {tensorflow.prefix_of(tmp_path / name) for name in names} == {tmp_path / "model.ckpt-7"}
    assert tensorflow.prefix_of(tmp_path / "model.ckpt-8") is None
    files = [path.name for path in tensorflow.checkpoint_files(tmp_path / "model.ckpt-7")]
    assert files == ["model.ckpt-7.data-00000-of-00002", "model.ckpt-7.data-00001-of-00002", "model.ckpt-7.index"]
    with pytest.raises(RequestError, match=r"is a folder; give .*/model\.ckpt-7$"):
        read_weights(tmp_path, B0)


def test_what_does_not_fit_is_said() -> None:
    theirs = from_ours(random_network(B0).state_dict(), B0, "tensorflow", "b0")
    theirs = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    with pytest.raises(RequestError, match=r"needs padding 'same' .* epsilon of 0\.001.*: use tf_efficientnet_b0$"):
        to_ours(theirs, zoo.architecture("efficientnet_b0"), detect(theirs, "b0"), "b0")
    with pytest.raises(RequestError, match=r"does not fit tf_efficientnet_b2: .*it looks like efficientnet_b0 or tf_"):
        to_ours(theirs, zoo.architecture("tf_efficientnet_b2"), detect(theirs, "b0"), "b0")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [  # google/automl 6a54c87 efficientnetv2/effnetv2_model.py: names in the order in which a block makes its layers
        ("stages.0.0.fused.conv", "blocks_0/conv2d"),
        ("stages.0.0.fused.norm", "blocks_0/tpu_batch_normalization"),
        ("stages.1.1.project.conv", "blocks_2/conv2d_1"),
        ("stages.1.1.project.norm", "blocks_2/tpu_batch_normalization_1"),
        ("stages.3.0.depthwise.conv", "blocks_5/depthwise_conv2d"),
        ("stages.3.0.depthwise.norm", "blocks_5/tpu_batch_normalization_1"),
        ("stages.3.0.squeeze_excite.expand", "blocks_5/se/conv2d_1"),
        ("stages.3.0.project.norm", "blocks_5/tpu_batch_normalization_2"),
        ("head.conv", "head/conv2d"),
        ("classifier", "head/dense"),
    ],
)
def test_v2_is_named_by_the_same_rule(ours: str, theirs: str) -> None:
    assert dict(tensorflow.modules(zoo.architecture("tf_efficientnetv2_b0")))[ours] == theirs


def test_every_tensor_has_the_name_of_the_port() -> None:
    """Without TensorFlow: the adapter's names of B0 against the table of lukemelas'."""
    port, mine = dict(lukemelas.modules(B0)), dict(tensorflow.modules(B0))
    for name in expected_shapes(B0):
        module, _, leaf = name.rpartition(".")
        if leaf == "weight":
            wide = 1 if module.endswith("norm") else 2 if module == "classifier" else 4
            assert original(f"{port[module]}.weight", torch.zeros([1] * wide))[0].rpartition("/")[0] == mine[module]


def test_a_missing_tensorflow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.ckpt.index").write_bytes(b"x")
    monkeypatch.setattr(tensorflow, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"model\.ckpt needs tensorflow, .*pip install 'compoundnet\[tensorflow\]'"):
        read_weights(str(tmp_path / "model.ckpt"), B0)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ('print(\'a log\\n{"read": [], "there": ["model/w"]}\')', "no checkpoint of the original .*: it has model/w$"),
        ("raise OSError('Data loss')", "is not a TensorFlow checkpoint, or it is truncated: OSError: Data loss$"),
        ("import os; os.abort()", "or it is truncated: it ended with -6$"),
        (
            "import sys, json, numpy; names = ['a/stem/conv2d/kernel', 'b/stem/conv2d/kernel']; "
            "numpy.savez(sys.argv[3], *[numpy.zeros((1, 1, 1, 1))] * 2); "
            "print(json.dumps({'read': names, 'there': []}))",
            "holds more than one network: stem/conv2d/kernel is there twice",
        ),
    ],
)
def test_what_the_reader_may_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    """A stand-in for the child process, which needs no TensorFlow."""
    (tmp_path / "reader.py").write_text(program)
    (tmp_path / "model.ckpt.index").write_bytes(b"x")
    monkeypatch.setattr(tensorflow, "_READER", tmp_path / "reader.py")
    monkeypatch.setattr(tensorflow, "find_spec", lambda name: name)
    with pytest.raises(RequestError, match=rf"model\.ckpt .*{message}"):
        read_weights(str(tmp_path / "model.ckpt"), B0)


def test_a_lightning_checkpoint_is_a_pickle_still(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(RequestError, match="is a pickle, which can run code"):
        read_weights(str(tmp_path / "model.ckpt"), B0)
