"""Rows: counted costs, published figures, measured latency, and JSON whose keys never change."""

import json
from pathlib import Path
from typing import Any

import pytest

from compare.runs import write_run
from compoundnet.compare import compare
from compoundnet.compare.rows import Comparison
from compoundnet.errors import RequestError
from compoundnet.scaling.latency import Setting
from factories import written

KEYS = ["label", "name", "kind", "resolution", "params", "macs", "activations", "memory", "latency"]
KEYS += ["accuracy", "published"]


def keys(record: dict[str, Any]) -> list[str]:
    return list(record)


def test_golden_rows() -> None:
    """EfficientNet-B0 as torchvision's metadata have it; MobileNetV2 too."""
    b0, mobile, v3 = compare(["efficientnet_b0", "mobilenetv2_100", "Inception-v3"]).to_json()["networks"]
    assert (b0["params"], b0["macs"], b0["activations"]) == (5_288_548, 385_814_752, 6_748_036)
    assert b0["memory"] == {"weights_bytes": 21_322_648, "inference_bytes": 33_967_000}
    assert (b0["kind"], b0["resolution"], b0["accuracy"]["top1"], b0["accuracy"]["on"]) == (
        "network",
        224,
        0.771,
        "ImageNet",
    )
    assert b0["published"] == {"params": 5_300_000, "macs": 390_000_000}
    assert (mobile["params"], mobile["macs"]) == (3_504_872, 300_774_272)
    assert (v3["kind"], v3["name"], v3["params"], v3["resolution"]) == ("published", None, None, 299)
    assert v3["published"] == {"params": 24_000_000, "macs": 5_700_000_000}


def test_json_has_stable_keys(tmp_path: Path) -> None:
    found = compare(["efficientnet_b0", "GPipe", write_run(tmp_path / "run"), "mbconv_mini"]).to_json()
    assert keys(found) == ["networks", "latency"]
    for record in found["networks"]:
        assert keys(record) == KEYS
        assert keys(record["memory"]) == ["weights_bytes", "inference_bytes"]
        assert keys(record["published"]) == ["params", "macs"]
    accuracies = [record["accuracy"] for record in found["networks"]]
    assert accuracies[3] is None
    for accuracy in accuracies[:3]:
        assert keys(accuracy) == ["top1", "top5", "on", "source", "note", "images"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_runs_accuracy_is_never_called_imagenets(tmp_path: Path) -> None:
    (run,) = compare([write_run(tmp_path / "run", 0.99)]).to_json()["networks"]
    assert run["kind"] == "run"
    assert run["accuracy"]["on"] == "pets, test"
    assert run["published"] == {"params": None, "macs": None}


def test_latency_is_measured_with_its_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = written(tmp_path, monkeypatch, "timed_nets")
    told: list[str] = []
    found = compare(["mbconv_tiny", "GPipe", factory], side=32, latency=Setting(engine="onnxruntime"), tell=told.append)
    tiny, gpipe, net = found.rows
    assert gpipe.latency is None
    for row, engine in ((tiny, "onnxruntime"), (net, "eager")):
        assert row.latency is not None
        assert row.latency.engine == engine
        assert 0 < row.latency.low_ms <= row.latency.median_ms <= row.latency.high_ms
    record = found.to_json()
    assert record["latency"]["engine"] == "onnxruntime" and record["latency"]["machine"]
    assert keys(record["networks"][0]["latency"]) == ["engine", "median_ms", "low_ms", "high_ms", "rounds", "disturbed"]
    assert any("mbconv_tiny" in text for text in told)


def test_latency_of_what_nobody_has_is_refused() -> None:
    with pytest.raises(RequestError, match="no latency can be measured: GPipe is not implemented here"):
        compare(["GPipe"], latency=Setting())


def test_a_comparison_without_latency_says_so() -> None:
    found = compare(["mbconv_tiny"])
    assert isinstance(found, Comparison)
    assert found.to_json()["latency"] is None
    assert found.rows[0].value("latency") is None
