"""What a built network really does: operations, shapes and bytes, measured without looking at ``compoundnet.cost``."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from compoundnet.architecture import Architecture

__all__ = ["COUNTED", "Observed", "image", "inference_peak_bytes", "observe", "saved_bytes", "state_bytes"]

COUNTED = (nn.Conv2d, nn.Linear)
"""The layers whose work and output count."""


def image(arch: Architecture, batch: int = 1, device: str = "cpu") -> Tensor:
    """(batch, in_channels, resolution, resolution)."""
    return torch.randn(batch, arch.in_channels, arch.resolution, arch.resolution, device=device)


class Observed(NamedTuple):
    """One forward pass."""

    macs: int  # by torch's own counter, which counts two operations for each
    written: int  # elements that convolutions and linear layers write
    shapes: dict[str, tuple[int, ...]]  # name of each module -> shape of its output, in the order in which they end


def observe(model: nn.Module, x: Tensor) -> Observed:
    """What a forward pass of ``x`` does, on any device."""
    written: list[int] = []
    shapes: dict[str, tuple[int, ...]] = {}

    def see(name: str, module: nn.Module, y: Tensor) -> None:
        shapes[name] = tuple(y.shape)
        if isinstance(module, COUNTED):
            written.append(y.numel())

    with _hooked(model, see), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    macs, rest = divmod(counter.get_total_flops(), 2)
    assert rest == 0
    return Observed(macs, sum(written), shapes)


def state_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers."""
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """Bytes of the distinct storages that autograd keeps for the backward pass; the model's own not counted."""
    own = _own_storages(model)
    kept: dict[int, Any] = {}  # holds the storages, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = model(x)
    assert y.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


def inference_peak_bytes(model: nn.Module, x: Tensor) -> int:
    """Most bytes alive after any operation of a forward pass, the input counted, the model's own not."""
    with torch.no_grad(), _Live(_own_storages(model)) as live:
        live.watch(x)
        model(x)
    return live.peak


class _Live(TorchDispatchMode):
    """Sizes of the storages that operations made and nobody has dropped yet."""

    def __init__(self, own: set[int]) -> None:
        super().__init__()
        self.own, self.sizes, self.peak = own, dict[int, int](), 0

    def watch(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.sizes and key not in self.own:
            self.sizes[key] = storage.nbytes()
            weakref.finalize(storage, self.sizes.pop, key, None)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.watch(leaf)
        self.peak = max(self.peak, sum(self.sizes.values()))
        return out


def _own_storages(model: nn.Module) -> set[int]:
    return {tensor.untyped_storage()._cdata for tensor in [*model.parameters(), *model.buffers()]}


@contextmanager
def _hooked(model: nn.Module, see: Callable[[str, nn.Module, Tensor], object]) -> Iterator[None]:
    """Call ``see(name, module, output)`` after each module."""

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def after(module: nn.Module, _: Any, y: Tensor) -> None:
            see(name, module, y)

        return after

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
