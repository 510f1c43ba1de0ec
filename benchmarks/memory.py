"""Inference with freed memory kept by the process against glibc's default, norms folded and not.

    python benchmarks/memory.py [--model tf_efficientnet_b4] [--batch 32] [--rounds 3]

Each setting holds for a whole process, so each runs in one of its own, in turn.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

from paired import publish, quartiles


def once(model: str, batch: int, keep: bool) -> dict[str, dict[str, float]]:
    """Images a wall second and system milliseconds an image, plain and folded, in this process."""
    if keep:
        from compoundnet.cli.process import keep_freed_memory

        keep_freed_memory()
    import torch

    import compoundnet as cn
    from compoundnet.nn import folded

    network = cn.create(model).eval().to(memory_format=torch.channels_last)
    side = cn.architecture(model).resolution
    images = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    rows = {}
    for name, net in (("plain", network), ("folded", folded(network))):
        with torch.inference_mode():
            net(images)
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_stime
            net(images)
            spent, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_stime
        rows[name] = {"images_per_s": batch / spent, "system_ms_per_image": 1e3 * (after - before) / batch}
    return rows


def main() -> None:
    """Measure, print, and keep in results/memory.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tf_efficientnet_b4")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", choices=("default", "kept"), help="measure one setting here; used by this script")
    asked = parser.parse_args()
    if asked.once:
        print(json.dumps(once(asked.model, asked.batch, asked.once == "kept")))
        return
    found: dict[str, list[dict[str, dict[str, float]]]] = {"default": [], "kept": []}
    for _ in range(asked.rounds):
        for setting, results in found.items():
            command = [sys.executable, __file__, "--model", asked.model, "--batch", str(asked.batch), "--once", setting]
            results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    rows = {
        f"{setting}, {name}": {key: quartiles([r[name][key] for r in results]) for key in results[0][name]}
        for setting, results in found.items()
        for name in ("plain", "folded")
    }
    publish("memory", {"model": asked.model, "batch": asked.batch, "rounds": asked.rounds, "rows": rows})


if __name__ == "__main__":
    main()
