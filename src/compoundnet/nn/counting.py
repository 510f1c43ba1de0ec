"""What any module costs, found by running it where nothing is computed: on the meta device.

For networks that are no architecture; of those that are, :mod:`compoundnet.cost` gives the same numbers
without building them.
"""

import copy
import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from compoundnet.checks import check_whole
from compoundnet.cost import Cost

__all__ = ["Alive", "count", "inference_peak_bytes", "input_dtype", "saved_bytes", "state_bytes"]

_BATCHES = (2, 3)  # whose difference is one image; a batch norm over one pixel needs two
_WRITERS = {torch.ops.aten.convolution, torch.ops.aten.addmm, torch.ops.aten.mm}  # convolutions and linear layers


def count(module: nn.Module, resolution: int, in_channels: int = 3) -> Cost:
    """Cost of one image (in_channels, resolution, resolution), as :func:`compoundnet.cost.cost` means it.

    MACs are those of torch's own counter, activations the elements that convolutions and linear layers write,
    as modules or as functions; inference memory is the most that lives at once in a forward pass, training
    memory the slope over the batch of what autograd keeps. ``module`` is copied without its values and left
    as it is; one on the meta device costs no memory.

    Raises:
        RequestError: ``resolution`` or ``in_channels`` is no positive integer.
        Exception: whatever the module raises for such images, or for being copied.
    """
    check_whole("resolution", resolution)
    check_whole("in_channels", in_channels)
    # The device is for tensors that the module makes as it runs.
    with torch.device("meta"), _PlainNorms():  # type: ignore[no-untyped-call]
        twin = _without_values(module)
        dtype = input_dtype(twin)
        image, *batches = (torch.empty(n, in_channels, resolution, resolution, dtype=dtype) for n in (1, *_BATCHES))
        macs, activations = _arithmetic(twin.eval(), image)
        peak = inference_peak_bytes(twin, image)
        fewer, more = (saved_bytes(twin.train(), batch) for batch in batches)
    weights = state_bytes(module)
    return Cost(
        params=sum(p.numel() for p in module.parameters()),
        macs=macs,
        activations=activations,
        weights_bytes=weights,
        inference_bytes=weights + peak,
        training_bytes_per_image=more - fewer,
    )


def input_dtype(module: nn.Module) -> torch.dtype:
    """What a module's images are made of: what its first parameter is, or torch's default without one."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.get_default_dtype())


def state_bytes(module: nn.Module) -> int:
    """Bytes of all parameters and buffers, each once."""
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()])


def saved_bytes(module: nn.Module, x: Tensor) -> int:
    """Bytes of the distinct storages that autograd keeps for the backward pass; the module's own not counted."""
    own = _own_storages(module)
    kept: dict[int, Any] = {}  # holds the storages, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(x)
    return sum(storage.nbytes() for storage in kept.values())


def inference_peak_bytes(module: nn.Module, x: Tensor) -> int:
    """Most bytes alive after any operation of a forward pass, the input counted, the module's own not."""
    alive = Alive(module)
    with torch.no_grad(), alive:
        alive.watch(x)
        module(x)
    return alive.peak


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the storages that operations made and nobody has dropped yet, on any device; not those of ``module``."""

    def __init__(self, module: nn.Module | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.peak: int = 0
        self._skipped = set() if module is None else _own_storages(module)
        self._sizes: dict[int, int] = {}

    def watch(self, tensor: Tensor) -> None:
        """Count the tensor's storage from here on."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes and key not in self._skipped:
            self._sizes[key] = storage.nbytes()
            self.now += self._sizes[key]
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._sizes.pop(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count what it made."""
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.watch(leaf)
        return out


class _PlainNorms(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A batch norm's output by shape alone.

    On the meta device torch works it out in dozens of operations, most of the time of counting, and makes
    statistics in evaluation, which no other device does.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.native_batch_norm.default or not args[0].is_meta:
            return func(*args, **(kwargs or {}))
        x, training = args[0], args[5]
        statistics = (x.new_empty(x.shape[1] if training else 0) for _ in range(2))
        return x.new_empty_strided(x.shape, x.stride()), *statistics


class _Written(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Elements that convolutions and linear layers write."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in _WRITERS:
            self.elements += out.numel()
        return out


def _arithmetic(module: nn.Module, x: Tensor) -> tuple[int, int]:
    """Multiply-adds and elements written of a forward pass."""
    with torch.no_grad(), FlopCounterMode(display=False) as operations, _Written() as written:
        module(x)
    macs: int = operations.get_total_flops() // 2  # two operations each
    return macs, written.elements


def _without_values(module: nn.Module) -> nn.Module:
    """A deep copy with every parameter and buffer on the meta device; their memory is never copied."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in module.parameters()}
    memo |= {id(b): b.detach().to("meta") for b in module.buffers()}
    return copy.deepcopy(module, memo)


def _own_storages(module: nn.Module) -> set[int]:
    return {tensor.untyped_storage()._cdata for tensor in [*module.parameters(), *module.buffers()]}
