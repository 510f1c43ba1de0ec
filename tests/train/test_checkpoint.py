"""Tensors and state to a file and back: every bit, every layout, every way in which the file can be damaged."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from compoundnet.errors import RequestError
from compoundnet.nn import build
from compoundnet.train import Recipe
from compoundnet.train.checkpoint import (
    optimizer_tensors,
    read_checkpoint,
    restore_optimizer,
    under,
    write_checkpoint,
)
from compoundnet.train.optim import build_optimizer
from tiny import ARCH

TENSORS = {
    "a/x": torch.tensor([float("nan"), float("-inf"), -0.0, 1e-45]),
    "a/count": torch.tensor(3),
    "b": torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "sum": torch.tensor(0.1, dtype=torch.float64),
}
STATE = {"position": {"best": [0.1, -0.2], "step": 3}, "none": None}


def test_round_trip(tmp_path: Path) -> None:
    file = tmp_path / "new" / "c.safetensors"
    write_checkpoint(file, TENSORS, STATE)
    stored = read_checkpoint(file)
    assert stored is not None
    tensors, state = stored
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor) or torch.isnan(tensor).any()
    bits = tensors["a/x"].view(torch.int32)
    assert torch.equal(bits, TENSORS["a/x"].view(torch.int32))


def test_no_file_is_no_checkpoint(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "c.safetensors") is None


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.safetensors"
    write_checkpoint(file, TENSORS, STATE)
    before = file.read_bytes()

    def fail(handle: int) -> None:
        raise OSError("no more")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no more"):
        write_checkpoint(file, {}, {})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "no state", "state no JSON"])
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    from safetensors.torch import save

    file = tmp_path / "c.safetensors"
    write_checkpoint(file, TENSORS, STATE)
    contents = {
        "cut": file.read_bytes()[:-1],
        "empty": b"",
        "text": b"hello, this is no checkpoint",
        "no state": save({"a": torch.ones(1)}),
        "state no JSON": save({"a": torch.ones(1)}, {"compoundnet.state": "{"}),
    }
    file.write_bytes(contents[damage])
    with pytest.raises(RequestError, match=r"checkpoint .*c\.safetensors is damaged \(.*\); remove it"):
        read_checkpoint(file)


def test_under() -> None:
    assert under("a", {"a/x": 1, "a/b/y": 2, "ab/z": 3, "a": 4}) == {"x": 1, "b/y": 2}  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "momentum"), [("adamw", 0.9), ("sgd", 0.9), ("sgd", 0.0), ("rmsprop", 0.9)])
def test_an_optimizer_goes_on_to_the_same_bits(kind: Any, momentum: float) -> None:
    recipe = Recipe(optimizer=kind, momentum=momentum)
    networks = [build(ARCH).to(memory_format=torch.channels_last) for _ in range(2)]
    optimizers = [build_optimizer(network, recipe) for network in networks]

    def step(which: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in networks[which].parameters():
            gradient = torch.rand(parameter.shape, generator=generator)
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        optimizers[which].step()

    for seed in range(3):
        step(0, seed)
    networks[1].load_state_dict(networks[0].state_dict())
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizers[0], networks[0]).items()}
    assert bool(kept) == (kind != "sgd" or momentum > 0)
    restore_optimizer(optimizers[1], networks[1], kept)
    for which in (0, 1):
        step(which, 9)
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(a, b)
    for parameter, entry in optimizers[1].state.items():
        for value in entry.values():
            assert value is None or value.ndim == 0 or value.stride() == parameter.stride()
