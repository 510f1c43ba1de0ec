"""A training step of ours against timm's same network, in turn, in one process.

    python benchmarks/training_step.py [--model tf_efficientnet_b0] [--rounds 9] [--half-rounds 3]

Forward, cross-entropy, backward, SGD; channels-last; the same dropout and stochastic depth; batch 16 at
224 pixels and 32 at 128; float32 and bfloat16 autocast. A ratio above 1 means that ours is faster.
"""

import argparse
from collections.abc import Callable
from functools import partial

import timm
import torch
from paired import alternate, publish, quartiles, ratios

import compoundnet as cn
from compoundnet.cli.process import keep_freed_memory

SHAPES = ((16, 224), (32, 128))


def stepper(network: torch.nn.Module, batch: int, side: int, dtype: torch.dtype) -> Callable[[], None]:
    """One optimiser step on fixed random images."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.train().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (batch,), device=device)

    def step() -> None:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def main() -> None:
    """Measure, print, and keep in results/training_step.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tf_efficientnet_b0")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--half-rounds", type=int, default=3)
    asked = parser.parse_args()
    keep_freed_memory()  # as every training of ours does; without it page faults drown the difference
    makers = {
        "timm": partial(timm.create_model, asked.model, drop_rate=0.2, drop_path_rate=0.2),
        "compoundnet": partial(cn.create, asked.model, drop_rate=0.2, drop_path_rate=0.2),
    }
    rows = []
    for dtype, rounds in ((torch.float32, asked.rounds), (torch.bfloat16, asked.half_rounds)):
        for batch, side in SHAPES:
            seconds = alternate({name: stepper(make(), batch, side, dtype) for name, make in makers.items()}, rounds)
            rates = {name: quartiles([batch / s for s in spent]) for name, spent in seconds.items()}
            ratio = ratios(seconds, "timm", "compoundnet")
            rows.append({"dtype": str(dtype), "batch": batch, "side": side, "images_per_s": rates, "ratio": ratio})
            print(rows[-1], flush=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"
    publish("training_step", {"model": asked.model, "timm": timm.__version__, "device": device, "rows": rows})


if __name__ == "__main__":
    main()
