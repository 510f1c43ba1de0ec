"""Run folders without a training: what compare reads of one."""

import json
from pathlib import Path
from typing import Any

from compoundnet.run import RunFolder
from compoundnet.zoo import AnyNetwork
from tiny import ARCH

__all__ = ["write_run"]


def write_run(path: Path, top1: float = 0.9, network: AnyNetwork = ARCH, images: str = "pets", **record: Any) -> Path:
    """A finished run of ``network`` that was right about ``top1`` of the test images of ``images``."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.architecture_file.write_text(network.to_json())
    folder.weights_file.write_bytes(b"")
    judged = {"test": {"top1": top1, "top5": None, "n": 200}, "validation": {"top1": 0.1, "top5": None, "n": 50}}
    content = {
        "status": "finished",
        "labels": ["a", "b", "c"],
        "data": {"name": images, "fingerprint": f"sha256:{images}"},
        "evaluations": judged,
        **record,
    }
    folder.record_file.write_text(json.dumps({"format": 1, **content}))
    return path
