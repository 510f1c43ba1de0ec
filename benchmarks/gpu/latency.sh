#!/usr/bin/env bash
# The latency predictor on a GPU, eager PyTorch, one image at a time: launches bound small networks there, so that the
# limits are nearer to each other than on a CPU.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONPATH=src PYTHONUNBUFFERED=1
python3 benchmarks/latency.py --engine eager --device cuda --minutes 3 --limits-ms 3 6 12
if [ -n "${OUT:-}" ]; then cp benchmarks/results/latency_eager_cuda.json "$OUT"; fi
