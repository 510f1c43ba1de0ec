"""Two or more things timed in turn in one process: medians, spread, ratio. Used by the benchmarks beside it."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def alternate(runs: dict[str, Callable[[], Any]], rounds: int, warmup: int = 1) -> dict[str, list[float]]:
    """Wall seconds of every round; each round runs all in turn, the order reversed every other round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(-warmup, rounds):
        for name in list(runs) if number % 2 else reversed(list(runs)):
            start = time.perf_counter()
            runs[name]()
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def quartiles(values: list[float]) -> dict[str, float]:
    """Median, lower and upper quartile, to four digits."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": float(f"{middle:.4g}"), "low": float(f"{low:.4g}"), "high": float(f"{high:.4g}")}


def ratios(seconds: dict[str, list[float]], baseline: str, other: str) -> dict[str, float]:
    """How many times faster ``other`` is than ``baseline``, round by round."""
    return quartiles([b / o for b, o in zip(seconds[baseline], seconds[other], strict=True)])


def publish(name: str, record: dict[str, Any]) -> None:
    """Print the record and keep it in results/NAME.json."""
    import torch

    record = {"machine": platform.machine(), "torch": torch.__version__, **record}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
