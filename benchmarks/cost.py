"""Candidates priced a second: arrays of multipliers in one call, against counting built networks one by one.

    python benchmarks/cost.py [--candidates 200000] [--rounds 7]

One thread. The others build the scaled B0 and count it, as one must without a cost model; each of their
rounds prices one candidate.
"""

import argparse
import logging
import warnings
from collections.abc import Callable

import numpy as np
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from paired import alternate, publish, quartiles
from torch.utils.flop_counter import FlopCounterMode

import compoundnet as cn
from compoundnet.nn import build

DRAWS = np.random.default_rng(0)


def ours(candidates: int) -> Callable[[], object]:
    """Costs of all candidates: parameters, MACs, activations and three kinds of memory."""
    axes = {axis: DRAWS.uniform(0.5, 3, candidates) for axis in ("depth", "width", "resolution")}
    arch = cn.architecture("efficientnet_b0")
    return lambda: cn.cost(arch, **axes)


def built(device: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """A random scaling of B0, and an image for it."""
    depth, width, resolution = DRAWS.uniform(0.5, 3, 3)
    arch = cn.architecture("efficientnet_b0").scaled(depth=depth, width=width, resolution=resolution)
    with torch.device(device):
        return build(arch).eval(), torch.empty(1, 3, arch.resolution, arch.resolution)


def flop_counter() -> int:
    """MACs by torch.utils.flop_counter, on the meta device."""
    network, image = built("meta")
    with FlopCounterMode(display=False) as counter:
        network(image)
    return counter.get_total_flops() // 2


def fvcore() -> float:
    """MACs and activations by fvcore, whose tracing needs a real device."""
    network, image = built("cpu")
    return FlopCountAnalysis(network, image).total() + ActivationCountAnalysis(network, image).total()


def main() -> None:
    """Measure, print, and keep in results/cost.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # fvcore lists every operator it leaves out
    sizes = {"compoundnet": asked.candidates, "flop_counter": 1, "fvcore": 1}
    runs = {"compoundnet": ours(asked.candidates), "flop_counter": flop_counter, "fvcore": fvcore}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = alternate(runs, asked.rounds)
    rates = {name: quartiles([sizes[name] / s for s in spent]) for name, spent in seconds.items()}
    publish("cost", {"unit": "candidates a second, one thread", "candidates": asked.candidates, "rates": rates})


if __name__ == "__main__":
    main()
