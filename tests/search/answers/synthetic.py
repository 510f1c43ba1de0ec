"""Outcomes of studies that never ran, from a truth that the tests know."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from compoundnet.scaling import Rule
from compoundnet.search.answers.axes import BASELINE
from compoundnet.search.answers.simplex import grid
from compoundnet.search.engine.halving import gives_up
from compoundnet.search.trials import Candidate, Outcome, State

__all__ = ["axes_study", "bowl", "candidate", "race", "study", "trial"]

SHARES = {"depth": (1.0, 0.0, 0.0), "width": (0.0, 1.0, 0.0), "resolution": (0.0, 0.0, 1.0)}

Shares = Sequence[float]
Truth = Callable[[np.ndarray], float]


def bowl(peak: Shares, drop: float = 0.12, top: float = 0.8) -> Truth:
    """Accuracy that falls off with the squared distance from ``peak``; ``drop`` 0.12 is about 10 points at a corner."""
    return lambda shares: top - drop * float(((shares - np.asarray(peak)) ** 2).sum())


def candidate(shares: Shares, /, seed: int = 0, factor: float = 2.0, realised: float = 1.0, **tags: Any) -> Candidate:
    """As the plan makes them; the network's identity is its shares."""
    rule = Rule(depth=shares[0], width=shares[1], resolution=max(0.0, 1 - shares[0] - shares[1]))
    macs_factor = factor * realised
    return Candidate(
        network=f"n{shares[0]:.3f}-{shares[1]:.3f}",
        multipliers=rule.multipliers(factor),
        seed=seed,
        group=f"phi {math.log2(factor):g}",
        tags={
            "shares": list(shares),
            "realised_shares": list(shares),
            "nominal_factor": factor,
            "nominal_product": factor,
            "macs_factor": macs_factor,
            "macs": round(20e6 * macs_factor),
            "params": round(1e6 * rule.multipliers(factor).width),
            "activations": 400_000,
            "training_bytes_per_image": 5_000_000,
            "resolution": round(32 * rule.multipliers(factor).resolution),
            **tags,
        },
    )


def trial(
    who: Candidate, end: float, epochs: int = 12, *, halfway: float | None = None, jitter: np.ndarray | None = None
) -> Outcome:
    """Trained to the end, levelling off; ``halfway`` is the accuracy at half the epochs."""
    half = end - 0.05 if halfway is None else halfway
    times = np.arange(1, epochs + 1) / epochs
    curve = np.interp(times, [0, 0.5, 0.75, 1], [half / 2, half, end - (end - half) / 5, end])
    if jitter is not None:
        curve[:-1] += jitter[: epochs - 1]
    return Outcome(candidate=who, state="complete", value=end, curve=tuple(map(float, curve)), info={"seconds": 60.0})


def study(
    truth: Truth,
    rng: np.random.Generator,
    *,
    steps: int = 5,
    networks: int | None = None,
    seeds: int = 3,
    factors: Sequence[float] = (2.0,),
    misfit: float = 0.002,
    noise: float = 0.004,
    halfway: Truth | None = None,
    realised: tuple[float, float] = (0.98, 1.0),
    by_cost: float = 0.0,
) -> list[Outcome]:
    """A study of all shares in steps of ``1 / steps``, or of so many of them drawn; a doubling adds three points.

    ``by_cost`` is what a doubling adds that comes of rounding alone, whatever was asked for.
    """
    everywhere = grid(steps)
    outcomes = []
    for factor in factors:
        chosen = everywhere if networks is None else rng.permutation(everywhere)[:networks]
        for shares in chosen:
            off = rng.normal(0, misfit) + 0.03 * (math.log2(factor) - 1)
            cost = rng.uniform(*realised)
            off += by_cost * math.log2(cost)
            for seed in range(seeds):
                luck = off + rng.normal(0, noise)
                half = None if halfway is None else halfway(shares) + off + rng.normal(0, noise)
                who = candidate([float(s) for s in shares], seed, factor, cost)
                outcomes.append(trial(who, truth(shares) + luck, halfway=half, jitter=rng.normal(0, noise / 2, 12)))
    return outcomes


def race(
    truth: Truth,
    rng: np.random.Generator,
    rungs: Sequence[int] = (),
    *,
    reduction: int = 3,
    noise: float = 0.004,
    misfit: float = 0.002,
) -> tuple[list[Outcome], dict[str, float]]:
    """A study of 21 networks and three seeds under successive halving, one trial after another, and how all would end.

    Accuracy walks: what it is at one epoch tells of the next, and the shape of the truth comes out little by little,
    so that early accuracy is a poor and noisy measure of shares.
    """
    outcomes, ends = list[Outcome](), {}
    off = rng.normal(0, misfit, len(grid(5)))
    epochs = np.arange(1, 13)
    for seed in range(3):
        for shares, own in zip(grid(5), off, strict=True):
            who = candidate([float(s) for s in shares], seed)
            shape = (truth(shares) + own - 0.7) * epochs / 12
            curve = 0.7 + shape - 0.3 * np.exp(-epochs / 4) + np.cumsum(rng.normal(0, noise, 12))
            mates = [o.curve for o in outcomes]
            stop = next(
                (r for r in rungs if gives_up(curve[:r], mates, min_epochs=r, factor=reduction, epochs=12)), None
            )
            seen = tuple(map(float, curve[:stop]))
            ends[who.key] = float(curve[-1])
            state: State = "complete" if stop is None else "pruned"
            outcomes.append(Outcome(candidate=who, state=state, value=seen[-1], curve=seen))
    return outcomes, ends


def axes_study(
    gains: Mapping[str, Sequence[float | None]],
    rng: np.random.Generator,
    *,
    seeds: int = 3,
    noise: float = 0.004,
    realised: Mapping[str, float] | None = None,
    bases: Mapping[str, tuple[float, float]] | None = None,
) -> list[Outcome]:
    """Rules by name with their gains over the baseline's 70 % at 2, 4, 8, ... times its cost (None: no network there).

    ``bases`` are the costs and gains of larger bases, by the rule that widens them; each is a group of its own.
    """
    places = [(BASELINE, 1.0, 0.0, "x1")]
    for rule, line in gains.items():
        costs = [(2.0 ** (i + 1), gain) for i, gain in enumerate(line) if gain is not None]
        places += [(rule, factor, gain, f"x{factor:g}") for factor, gain in costs]
    places += [(rule, cost, gain, rule) for rule, (cost, gain) in (bases or {}).items()]
    outcomes = []
    for rule, factor, gain, group in places:
        shares = SHARES.get(rule, (1 / 3, 1 / 3, 1 / 3))
        for seed in range(seeds):
            ratio = (realised or {}).get(rule, 0.99 if factor > 1 else 1.0)
            who = candidate(shares, seed, factor, ratio, rule=rule)
            who = replace(who, group=group, network=f"{rule}-{factor:g}")
            value = 0.7 + gain + rng.normal(0, noise)
            outcomes.append(trial(who, value, jitter=rng.normal(0, noise / 2, 12)))
    return outcomes
