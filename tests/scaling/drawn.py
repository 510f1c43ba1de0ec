"""Baselines and budgets drawn from a seed, and the networks that multipliers make of them, found by trying."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compoundnet.architecture import (
    Architecture,
    Block,
    Bottleneck,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    Rounding,
    Stage,
)
from compoundnet.cost import training_peak_bytes
from compoundnet.scaling import RULES, Rule
from compoundnet.scaling.accuracy import AccuracyModel, Term, following
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.scaling.budget import Budget, spent
from compoundnet.scaling.latency import DeviceProfile, Setting, predict_ms
from compoundnet.scaling.solver import Latency
from compoundnet.scaling.work import WORK

__all__ = ["drawn_baseline", "drawn_budget", "drawn_model", "drawn_rule", "fits", "latency_of", "one_each"]

PROFILE = DeviceProfile(
    setting=Setting(), machine="made up", error=0.05, networks=60, reference_ms=1.0, versions={}, measured="never",
    prices_ms={kind: (0.01 if kind.endswith("calls") else 1e-7) * (1 + i % 5) for i, kind in enumerate(WORK)},
)  # fmt: skip


def drawn_baseline(draw: random.Random) -> ArchitectureBaseline:
    """Two to four stages; rounding coarse enough that every network can be tried."""
    stages = []
    for _ in range(draw.randint(2, 4)):
        block = drawn_block(draw)
        channels, repeats = draw.randint(3, 12) * draw.choice((4, 8)), draw.randint(1, 4)
        stages.append(Stage(block=block, channels=channels, repeats=repeats, stride=draw.choice((1, 2))))
    return ArchitectureBaseline(
        Architecture(
            name="drawn",
            resolution=draw.choice((24, 32, 40, 57)),
            stem=draw.choice((8, 12, 16, 20)),
            stem_pool=draw.random() < 0.2,
            stages=tuple(stages),
            head=draw.choice((32, 50, 64)),
            classes=10,
            activation=draw.choice(("silu", "relu")),
            padding=draw.choice(("same", "symmetric")),
            rounding=Rounding(
                channel_multiple=draw.choice((16, 24, 32)),
                channel_floor=draw.choice((0.0, 0.9)),
                depth=draw.choice(("ceil", "round")),
                resolution_multiple=draw.choice((8, 16)),
            ),
        )
    )


def drawn_block(draw: random.Random) -> Block:
    """Any kind, mostly MBConv."""
    kernel, expansion = draw.choice((3, 5)), draw.choice((1, 4, 6))
    kinds: tuple[Block, ...] = (
        MBConv(kernel=kernel, expansion=expansion, se_ratio=draw.choice((0.0, 0.25))),
        FusedMBConv(kernel=3, expansion=min(expansion, 4)),
        DepthwiseSeparable(kernel=kernel),
        Bottleneck(kernel=3, reduction=draw.choice((2, 4))),
    )
    return draw.choices(kinds, (0.4, 0.2, 0.2, 0.2))[0]


def drawn_model(draw: random.Random) -> AccuracyModel:
    """Of a rule, or as a fit may come out: any weights and powers, an axis may count for nothing."""
    if draw.random() < 0.5:
        return following(drawn_rule(draw))
    weights = [draw.choice((0.0, 0.1, 0.3, 0.3)), draw.choice((0.1, 0.3)), draw.choice((0.1, 0.3))]
    depth, width, resolution = (Term(weight=weight, power=draw.uniform(0.05, 4)) for weight in weights)
    return AccuracyModel(depth=depth, width=width, resolution=resolution, floor=draw.uniform(0, 0.3))


def drawn_rule(draw: random.Random) -> Rule:
    """A published rule, or shares from the triangle, some of them 0."""
    if draw.random() < 0.5:
        return RULES[draw.choice([name for name in RULES if name not in ("depth", "width", "resolution")])]
    parts = [draw.choice((0.0, 1.0, 1.0, 1.0)) * draw.expovariate(1) for _ in range(3)]
    total = sum(parts)
    return Rule(depth=parts[0] / total, width=parts[1] / total, resolution=parts[2] / total) if total else RULES["fast"]


def drawn_budget(draw: random.Random, baseline: ArchitectureBaseline, factor: float) -> Budget:
    """One to three limits, each between a fraction and ``factor`` times the baseline's own cost; MACs among them."""
    own = baseline.costs(1.0, 1.0, 1.0)
    values = {
        "params": own.params,
        "activations": own.activations,
        "weights_bytes": own.weights_bytes,
        "memory_bytes": own.inference_bytes,
        "training_bytes": 32 * own.training_bytes_per_image + 4 * own.weights_bytes,
        "latency_ms": latency_of(baseline)(1.0, 1.0, 1.0),
    }
    others = {name: values[name] for name in draw.sample(list(values), draw.randint(0, 2))}
    limits = {name: value * draw.uniform(0.5, 4.0) for name, value in others.items()}
    budget = Budget(macs=own.macs * factor ** draw.uniform(-0.5, 1), **limits)  # type: ignore[arg-type]
    return replace(budget, batch_size=16) if budget.training_bytes else budget


def latency_of(baseline: ArchitectureBaseline) -> Latency:
    """As the made-up profile predicts it."""
    return lambda d, w, r: predict_ms(PROFILE, baseline.architecture, depth=d, width=w, resolution=r)


def fits(baseline: ArchitectureBaseline, by: Sequence[NDArray[np.float64]], budget: Budget) -> NDArray[np.bool_]:
    """Which networks stay within every limit."""
    peak = training_peak_bytes(
        baseline.architecture, budget.training_images, depth=by[0], width=by[1], resolution=by[2]
    )
    ms = latency_of(baseline)(*by) if budget.latency_ms else None
    used = spent(baseline.costs(*by), budget, training_bytes=peak, latency_ms=ms)
    return np.all([np.asarray(used[name]) <= limit for name, limit in budget.limits().items()], axis=0)


def one_each(baseline: ArchitectureBaseline, axis: str, low: float, high: float) -> NDArray[np.float64]:
    """A multiplier for each distinct size of one axis, by trying 40,000 and exactly 1."""
    x = np.unique(np.append(np.geomspace(low, high, 40_001), 1.0))
    one = np.ones(len(x))
    sizes = baseline.sizes(*(x if a == axis else one for a in ("depth", "width", "resolution")))
    _, first = np.unique(sizes, axis=0, return_index=True)
    return np.sort(x[first])
