"""What a built network really does: operations, shapes, and what the allocator hands out, whatever its cost says."""

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from compoundnet.architecture import Architecture
from compoundnet.nn.mixed import MixedConv

__all__ = ["COUNTED", "Observed", "allocated_peak_bytes", "image", "observe"]

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
    inputs: dict[str, tuple[int, ...]]  # name of each module -> shape of its input


def observe(model: nn.Module, x: Tensor) -> Observed:
    """What a forward pass of ``x`` does, on any device."""
    written: list[int] = []
    shapes: dict[str, tuple[int, ...]] = {}
    inputs: dict[str, tuple[int, ...]] = {}

    def see(name: str, module: nn.Module, given: Tensor, y: Tensor) -> None:
        shapes[name], inputs[name] = tuple(y.shape), tuple(given.shape)
        if isinstance(module, COUNTED):
            written.append(y.numel())
        if isinstance(module, MixedConv):  # writes each image's kernel, too
            written.append(y.numel() + len(y) * math.prod(module.shape))

    with _hooked(model, see), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    macs, rest = divmod(counter.get_total_flops(), 2)
    assert rest == 0
    return Observed(macs, sum(written), shapes, inputs)


def allocated_peak_bytes(run: Callable[[], object]) -> int:
    """Most bytes that torch's CPU allocator has handed out at once while ``run`` ran, beyond those from before."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    assert profiler.profiler is not None
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]  # type: ignore[union-attr]
    assert events
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@contextmanager
def _hooked(model: nn.Module, see: Callable[[str, nn.Module, Tensor, Tensor], object]) -> Iterator[None]:
    """Call ``see(name, module, input, output)`` after each module."""

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def after(module: nn.Module, given: tuple[Tensor, ...], y: Tensor) -> None:
            see(name, module, given[0], y)

        return after

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
