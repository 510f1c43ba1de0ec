"""How long the budget solver takes, along a rule and free, and a Pareto front of 100,000 candidates.

    python benchmarks/solver.py [--rounds 15]

One thread, B0, budgets of 0.05 to 40 GMACs and mixes of limits; latency by a profile that puts a price on every kind
of work, and an accuracy model fitted to 36 made-up networks. The front takes in pricing the candidates.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from paired import publish

import compoundnet as cn
from compoundnet.scaling import RULES, Multipliers, pareto_front
from compoundnet.scaling.accuracy import AccuracyModel, fit, following
from compoundnet.scaling.latency import DeviceProfile, Setting
from compoundnet.scaling.work import WORK

B0 = cn.architecture("efficientnet_b0")
BUDGETS: dict[str, dict[str, Any]] = {
    "0.05 GMACs": {"macs": 0.05e9},
    "0.386 GMACs, those of B0": {"macs": 385_814_752},
    "0.8 GMACs": {"macs": 0.8e9},
    "1.8 GMACs": {"macs": 1.8e9},
    "10 GMACs": {"macs": 10e9},
    "40 GMACs": {"macs": 40e9},
    "1.8 GMACs, 9 M parameters, 64 MB": {"macs": 1.8e9, "params": 9e6, "memory_bytes": 64e6},
    "training in 8 GB, batch 32": {"training_bytes": 8e9, "batch_size": 32},
    "40 GMACs, training in 8 GB, batch 32": {"macs": 40e9, "training_bytes": 8e9, "batch_size": 32},
    "5 ms": {"latency_ms": 5.0},
    "30 ms": {"latency_ms": 30.0},
    "300 ms": {"latency_ms": 300.0},
    "40 GMACs, 2 s": {"macs": 40e9, "latency_ms": 2000.0},
}
PROFILE = DeviceProfile(
    setting=Setting(), machine="made up", error=0.05, networks=100, reference_ms=5.0, versions={}, measured="never",
    prices_ms={kind: 0.01 if kind.endswith("calls") else 1e-7 for kind in WORK},
)  # fmt: skip
CANDIDATES = 100_000


def front(objectives: int) -> int:
    """Candidates on the front of the loss and the first costs."""
    draw = np.random.default_rng(0)
    by = [draw.uniform(0.5, 3, CANDIDATES) for _ in range(3)]
    costs = cn.cost(B0, depth=by[0], width=by[1], resolution=by[2])
    loss = following(RULES["efficientnet"]).loss(*by)
    columns = [costs.macs, costs.params, costs.inference_bytes, costs.training_bytes_per_image]
    return int(pareto_front(loss, *columns[: objectives - 1]).sum())


def fitted() -> AccuracyModel:
    """The model of networks whose accuracies another one tells, and noise of half a point."""
    noise = np.random.default_rng(0)
    points = [Multipliers(d, w, r) for d in (1.0, 1.5, 2.0, 4.0) for w in (0.7, 1.0, 2.0) for r in (1.0, 1.4, 2.0)]
    return fit(points, [1 - 0.4 * (d * w * r * r) ** -0.3 + noise.normal(0, 0.005) for d, w, r in points])


def timed(call: Callable[[], object], rounds: int) -> dict[str, float]:
    """Median, quartiles and the worst of ``rounds`` calls after one that warms up, in seconds."""
    call()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    low, median, high = np.percentile(seconds, (25, 50, 75))
    return {"median_s": median, "low_s": low, "high_s": high, "worst_s": max(seconds)}


def main() -> None:
    """Measure, print, and keep in results/solver.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    result: dict[str, Any] = {}
    modes: dict[str, dict[str, Any]] = {
        "along the rule": {},
        "free": {"free": True},
        "free by a fitted model": {"model": fitted()},
    }
    for name, limits in BUDGETS.items():
        for mode, how in modes.items():
            profile = PROFILE if "latency_ms" in limits else None
            call = partial(cn.design, B0, profile=profile, **how, **limits)
            result[f"{name}, {mode}"] = took = timed(call, 3 if how else rounds)
            print(f"{name:34} {mode:24} {1000 * took['median_s']:8.1f} ms (worst {1000 * took['worst_s']:.1f})")
    for mode in modes:
        result[f"worst, {mode}"] = max(took["worst_s"] for name, took in result.items() if name.endswith(f", {mode}"))
    for objectives in (2, 3, 5):
        took = timed(partial(front, objectives), 3)
        result[f"front of {CANDIDATES} candidates, {objectives} objectives"] = took | {"on_it": front(objectives)}
        print(f"front of {CANDIDATES:,} candidates, {objectives} objectives: {took['median_s']:.2f} s")
    publish("solver", result)


if __name__ == "__main__":
    main()
