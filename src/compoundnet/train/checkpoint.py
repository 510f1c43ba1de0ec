"""What a resume needs, in one file that is there whole or not at all. Tensors and JSON; never a pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from compoundnet.errors import RequestError
from compoundnet.files import write_atomically

__all__ = ["optimizer_tensors", "read_checkpoint", "restore_optimizer", "under", "write_checkpoint"]

_STATE = "compoundnet.state"


def write_checkpoint(file: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Replace ``file`` at once; OSError (a full disk) passes, with the old file as it was."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(file, save(plain, {_STATE: json.dumps(state)}))


def read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and state that :func:`write_checkpoint` left there, or None without a file.

    Raises:
        RequestError: the file is damaged; removing it starts over from what came before.
    """
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # it is no mapping
            return tensors, json.loads((stored.metadata() or {})[_STATE])
    except (SafetensorError, KeyError, ValueError) as error:
        raise RequestError(f"checkpoint {file} is damaged ({error}); remove it to train without it") from error


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix/``, without it."""
    return {name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")}


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state by ``parameter name/key``."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in network.named_parameters()}
    return {
        f"{names[parameter]}/{key}": value
        for parameter, entry in optimizer.state.items()
        for key, value in entry.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` gave; moments in the memory layout of their parameters."""
    parameters = dict(network.named_parameters())
    for path, stored in tensors.items():
        name, _, key = path.rpartition("/")
        parameter = parameters[name]
        like_parameter = stored.shape == parameter.shape
        optimizer.state[parameter][key] = torch.empty_like(parameter).copy_(stored) if like_parameter else stored
