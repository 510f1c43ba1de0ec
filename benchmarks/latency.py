"""Predicted against measured latency of networks that no profile saw, and of networks chosen for a limit.

    python benchmarks/latency.py [--engine onnxruntime] [--device cpu] [--threads 1] [--batch-size 1] [--minutes 4]
                                 [--profile FILE] [--networks 30] [--limits-ms 8 25 80] [--seed 1]

Profiles the device unless given a profile. The networks are published ones with random multipliers, and
random stage tables. Each is measured beside the reference network, in passes that are minutes apart. Errors are
given of the plain medians, and of those at the speed that the machine had when it was profiled.

For each limit EfficientNet-B0 is scaled as `compoundnet design --max-latency-ms` does it, along the paper's rule and
freely, and what was chosen is measured once more, afresh. Four minutes of profiling are about seven in all.
"""

import argparse
import math
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from paired import publish
from scipy.stats import spearmanr

import compoundnet as cn
from compoundnet.architecture import Architecture, FusedMBConv, MBConv, Stage
from compoundnet.cli.process import keep_freed_memory
from compoundnet.deploy import choose_within, measure_architecture_ms, measure_architectures_ms, profile_device
from compoundnet.errors import FailureError, RequestError
from compoundnet.scaling.latency import DeviceProfile, Setting, predict_ms, read_profile

BASELINES = ("efficientnet_b0", "tf_efficientnet_b2", "efficientnetv2_b0", "tf_efficientnetv2_s", "mbconv_tiny")
RANGE_MS = (1, 200)
LIMITS_MS = (8.0, 25.0, 80.0)
GROUP, PASSES = 5, 3


def drawn(draw: random.Random) -> Architecture:
    """A published network scaled at random on each axis; one in three times a random stage table."""
    if draw.random() < 1 / 3:
        return table(draw)
    name = draw.choice(BASELINES)
    larger = 4 if name == "mbconv_tiny" else 1  # made for 16 pixels
    return cn.architecture(name).scaled(
        depth=between(draw, 0.3, 2), width=between(draw, 0.3, 2), resolution=larger * between(draw, 0.3, 2)
    )


def table(draw: random.Random) -> Architecture:
    """Random stages, wider from one to the next."""
    width, stages = between(draw, 16, 40), []
    for _ in range(draw.randint(3, 7)):
        kernel, expansion = draw.choice((3, 5)), draw.choice((1, 3, 4, 6))
        fused = FusedMBConv(kernel=3, expansion=min(expansion, 4))
        block = fused if draw.random() < 0.3 else MBConv(kernel=kernel, expansion=expansion)
        channels, stride = round(width / 8) * 8, draw.choice((1, 2, 2))
        stages.append(Stage(block=block, channels=channels, repeats=draw.randint(1, 4), stride=stride))
        width *= between(draw, 1, 2)
    resolution = round(between(draw, 64, 320))
    return Architecture(name="table", resolution=resolution, stem=32, stages=tuple(stages), head=1280)


def between(draw: random.Random, low: float, high: float) -> float:
    """Log-uniform."""
    return math.exp(draw.uniform(math.log(low), math.log(high)))


def strangers(profile: DeviceProfile, count: int, seed: int) -> list[Architecture]:
    """Networks that should take 1 to 200 ms."""
    draw = random.Random(seed)
    found: list[Architecture] = []
    while len(found) < count:
        arch = drawn(draw)
        if RANGE_MS[0] < predict_ms(profile, arch) < RANGE_MS[1]:
            found.append(arch)
    return found


def measured(profile: DeviceProfile, archs: Sequence[Architecture]) -> tuple[list[float], list[float]]:
    """Median ms of each over all passes: as they were, and at the speed of the profile."""
    plain: list[list[float]] = [[] for _ in archs]
    steady: list[list[float]] = [[] for _ in archs]
    for number in range(PASSES):
        for start in range(0, len(archs), GROUP):
            print(f"pass {number + 1} of {PASSES}, network {start + 1} of {len(archs)}", file=sys.stderr)
            timings = measure_architectures_ms(archs[start : start + GROUP], profile.setting, rounds=10)
            for i, timing in enumerate(timings, start):
                plain[i].append(timing.median_ms)
                steady[i].append((timing.relative or 0) * profile.reference_ms)
    return [median(row) for row in plain], [median(row) for row in steady]


def errors(predicted: list[float], ms: list[float]) -> dict[str, float]:
    """Relative errors of the predictions, and rank correlation."""
    off = [p / m - 1 for p, m in zip(predicted, ms, strict=True)]
    return {
        "mean_error": round(fmean(map(abs, off)), 4),
        "worst_error": round(max(map(abs, off)), 4),
        "bias": round(fmean(off), 4),
        "spearman": round(float(spearmanr(predicted, ms).statistic), 4),
    }


def chosen(profile: DeviceProfile, limit_ms: float, free: bool) -> dict[str, Any]:
    """The network that ``compoundnet design`` gives for the limit; then measured once more, afresh."""
    print(f"choosing for {limit_ms:g} ms, {'free' if free else 'along the rule'}", file=sys.stderr)
    record = {"limit_ms": limit_ms, "free": free}

    def choose(aimed_ms: float) -> cn.Design:
        return cn.design("efficientnet_b0", latency_ms=aimed_ms, profile=profile, free=free)

    try:
        found = choose_within(limit_ms, choose, profile)
    except (RequestError, FailureError) as error:
        return record | {"within": False, "error": str(error)}
    arch = found.design.architecture
    again = measure_architecture_ms(arch, profile.setting)
    return record | {
        "network": arch.name,
        "predicted_ms": round(float(predict_ms(profile, arch)), 2),
        "tries": found.tries,
        "measured_ms": round(found.timing.median_ms, 2),
        "measured_again_ms": round(again.median_ms, 2),
        "again_at_the_profiles_speed_ms": round((again.relative or 0) * profile.reference_ms, 2),
        "within": again.median_ms <= limit_ms,
    }


def main() -> None:
    """Profile, measure, print, and keep in results/latency_ENGINE.json (or latency_ENGINE_cuda.json)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--limits-ms", type=float, nargs="+", default=LIMITS_MS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    keep_freed_memory()  # as the command line does
    if asked.profile:
        profile = read_profile(asked.profile)
    else:
        setting = Setting(engine=asked.engine, device=asked.device, threads=asked.threads, batch_size=asked.batch_size)
        profile = profile_device(setting, asked.minutes, lambda text: print(text, file=sys.stderr))
    archs = strangers(profile, asked.networks, asked.seed)
    predicted = [float(predict_ms(profile, arch)) for arch in archs]
    plain, steady = measured(profile, archs)
    columns = zip(archs, predicted, plain, steady, strict=True)
    record = {
        "setting": str(profile.setting),
        "device": profile.machine,
        "profiled": {"networks": profile.networks, "error": round(profile.error, 4), "versions": profile.versions},
        "networks": len(archs),
        "plain": errors(predicted, plain),
        "at_the_profiles_speed": errors(predicted, steady),
        "limits": [chosen(profile, limit, free) for limit in asked.limits_ms for free in (False, True)],
        "ms": [
            {
                "network": f"{arch.name} at {arch.resolution}",
                "predicted": round(p, 2),
                "plain": round(m, 2),
                "at_the_profiles_speed": round(steady_ms, 2),
            }
            for arch, p, m, steady_ms in columns
        ],
    }
    on = "" if profile.setting.device == "cpu" else f"_{profile.setting.device}"
    publish(f"latency_{profile.setting.engine}{on}", record)


if __name__ == "__main__":
    main()
