"""Profiles recover the prices they were made with, predictions never fall with size, and files are read with care."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import compoundnet as cn
from compoundnet.architecture import Architecture, BasicBlock, Bottleneck
from compoundnet.cost import layers
from compoundnet.deploy.probes import probes
from compoundnet.errors import RequestError
from compoundnet.scaling.latency import (
    DeviceProfile,
    Setting,
    default_profile_path,
    fit,
    predict_ms,
    read_profile,
)
from compoundnet.scaling.work import WORK, work_of
from strategies import architectures

PROBES = list(islice(probes(5), 150))
PRICES = {  # ms; of a processor that does 10 MACs and moves 1 element a nanosecond, and takes 20 us a call
    kind: 0.02 if kind.endswith("calls") else 1e-7 if kind.endswith("macs") else 1e-6 for kind in WORK
}
PROFILE = DeviceProfile(
    setting=Setting(engine="onnxruntime", threads=2, batch_size=4),
    machine="a processor",
    prices_ms=PRICES,
    error=0.05,
    networks=200,
    reference_ms=12.5,
    versions={"torch": "2.15.0"},
    measured="2026-01-31T12:00:00+00:00",
)
MULTIPLIERS = st.floats(0.3, 3).filter(lambda x: x != 1)  # at exactly 1 nothing is rounded, which may be wider


def priced(**prices: float) -> DeviceProfile:
    return replace(PROFILE, prices_ms=prices, setting=Setting())


def as_if(profile: DeviceProfile, noise: float = 0.0) -> list[float]:
    """What the probes would have taken, with seeded relative noise."""
    draw = np.random.default_rng(0)
    return [predict_ms(profile, arch) * draw.lognormal(0, noise) for arch in PROBES]


class TestFit:
    def test_known_prices_predict_other_networks_again(self) -> None:
        truth = replace(PROFILE, setting=Setting())
        prices, error = fit(PROBES, as_if(truth), batch_size=1)
        fitted = replace(truth, prices_ms=prices)
        assert error < 1e-6
        for arch in islice(probes(6), 20):
            assert predict_ms(fitted, arch) == pytest.approx(predict_ms(truth, arch), rel=1e-6)
        for kind in ("stem.calls", "depthwise.calls", "depthwise.macs", "pointwise.macs", "silu.elements"):
            assert prices[kind] == pytest.approx(PRICES[kind], rel=1e-3)

    def test_noise_is_averaged_out_and_told(self) -> None:
        truth = replace(PROFILE, setting=Setting())
        prices, error = fit(PROBES, as_if(truth, noise=0.1), batch_size=1)
        fitted = replace(truth, prices_ms=prices)
        others = list(islice(probes(6), 30))
        off = [abs(predict_ms(fitted, arch) / predict_ms(truth, arch) - 1) for arch in others]
        assert np.mean(off) < 0.06
        assert 0.06 < error < 0.16

    def test_no_price_is_negative_whatever_was_measured(self) -> None:
        prices, _ = fit(PROBES[:80], list(np.random.default_rng(1).uniform(1, 2, 80)), batch_size=1)
        assert min(prices.values()) > 0

    def test_a_batch_multiplies_elements_and_not_weights(self) -> None:
        (arch,) = PROBES[:1]
        for layer in layers(arch):
            for one, four in zip(work_of(layer, arch, 1), work_of(layer, arch, 4), strict=True):
                fixed = one.name.endswith(("calls", "weights"))
                assert four.amount == one.amount * (1 if fixed else 4), one.name


class TestWork:
    def test_of_a_block_by_hand(self) -> None:
        """B0 at 224: expand, 16 to 96 channels at 112 pixels, and the depthwise 3x3 after it with stride 2, padded."""
        arch = cn.architecture("tf_efficientnet_b0")
        parts = {layer.name: dict(work_of(layer, arch, 1)) for layer in layers(arch)}
        expand, depthwise = parts["stages.1.0.expand"], parts["stages.1.0.depthwise"]
        assert expand["pointwise.macs"] == 16 * 96 * 112 * 112
        assert (expand["pointwise.read"], expand["pointwise.written"]) == (16 * 112 * 112, 96 * 112 * 112)
        assert (expand["silu.calls"], expand["silu.elements"]) == (1, 96 * 112 * 112)
        assert depthwise["depthwise.macs"] == 96 * 9 * 56 * 56
        assert depthwise["pad.elements"] == 96 * 112 * 112
        assert parts["stages.1.0.project"].get("silu.elements") is None
        assert parts["stages.1.1.project"]["add.elements"] == 24 * 56 * 56
        assert parts["classifier"] == {"linear.macs": 1280 * 1000, "linear.pooled": 1280 * 7 * 7} | {
            "add.calls": 0, "add.elements": 0
        }  # fmt: skip

    def test_convolutions_are_told_apart(self) -> None:
        kinds = {
            name.partition(".")[0] for arch in PROBES for layer in layers(arch) for name, _ in work_of(layer, arch, 1)
        }
        assert kinds == {name.partition(".")[0] for name in WORK}

    def test_all_multiply_adds_are_there(self) -> None:
        arch = cn.architecture("efficientnet_b0")
        macs = sum(
            work.amount
            for layer in layers(arch)
            for work in work_of(layer, arch, 1)
            if work.name.endswith("macs") or work.name == "squeeze_excite.weights"
        )
        squeeze_excite = [layer for layer in layers(arch) if layer.kind == "squeeze_excite"]
        assert macs == cn.cost(arch).macs + sum(layer.params - layer.macs for layer in squeeze_excite)


class TestPredictions:
    def test_are_sums_of_prices(self) -> None:
        b0 = cn.architecture("efficientnet_b0")
        assert predict_ms(priced(**{"stem.calls": 3.0}), b0) == 3
        assert predict_ms(priced(**{"stem.macs": 2.0}), b0) == 2 * 3 * 32 * 9 * 112 * 112

    def test_for_a_batch(self) -> None:
        b0 = cn.architecture("efficientnet_b0")
        profile = replace(priced(**{"stem.macs": 2.0}), setting=Setting(batch_size=8))
        assert predict_ms(profile, b0) == 8 * 2 * 3 * 32 * 9 * 112 * 112

    @settings(max_examples=50)
    @given(architectures(), st.sampled_from(("depth", "width", "resolution")), MULTIPLIERS, MULTIPLIERS)
    def test_never_fall_where_a_multiplier_rises(self, arch: Architecture, axis: str, a: float, b: float) -> None:
        projects = any(isinstance(stage.block, (BasicBlock, Bottleneck)) for stage in arch.stages)
        assume(axis != "width" or not projects)  # ResNet's blocks need no projection where widths happen to agree
        low, high = sorted((a, b))
        assert predict_ms(PROFILE, arch, **{axis: low}) <= predict_ms(PROFILE, arch, **{axis: high}) * (1 + 1e-12)

    @settings(max_examples=50)
    @given(architectures(), st.lists(st.tuples(*[st.floats(0.3, 3)] * 3), min_size=1, max_size=5))
    def test_of_arrays_are_those_of_numbers(self, arch: Architecture, by: list[tuple[float, float, float]]) -> None:
        together = predict_ms(PROFILE, arch, **dict(zip(("depth", "width", "resolution"), np.array(by).T, strict=True)))
        apart = [predict_ms(PROFILE, arch, depth=d, width=w, resolution=r) for d, w, r in by]
        np.testing.assert_allclose(together, apart, rtol=1e-12)

    def test_of_arrays_broadcast(self) -> None:
        b0 = cn.architecture("efficientnet_b0")
        depth, width = np.array([[1.0], [2.0]]), np.array([0.5, 1.0, 1.5])
        table = predict_ms(PROFILE, b0, depth=depth, width=width)
        assert table.shape == (2, 3)
        assert table[1, 0] == pytest.approx(predict_ms(PROFILE, b0, depth=2, width=0.5))

    def test_of_many_are_those_of_few(self) -> None:
        b0 = cn.architecture("efficientnet_b0")
        resolution = np.linspace(0.5, 2, 40_000)
        many = predict_ms(PROFILE, b0, resolution=resolution)
        assert many[[0, 20_000, -1]] == pytest.approx(predict_ms(PROFILE, b0, resolution=resolution[[0, 20_000, -1]]))

    def test_refuse_what_is_no_scaling(self) -> None:
        b0 = cn.architecture("efficientnet_b0")
        with pytest.raises(RequestError, match="depth multiplier is -1"):
            predict_ms(PROFILE, b0, depth=-1.0)
        with pytest.raises(RequestError, match="do not fit together"):
            predict_ms(PROFILE, b0, depth=np.ones(2), width=np.ones(3))

    @pytest.mark.parametrize("wrong", [{}, "2", True, None, [1.0, "x"], [[1.0], [1.0, 2.0]], np.array([True])])
    def test_refuse_what_is_no_number(self, wrong: Any) -> None:
        with pytest.raises(RequestError, match=f"depth multiplier is {re.escape(f'{wrong!r:.60}')}; it must be a num"):
            predict_ms(PROFILE, cn.architecture("mbconv_tiny"), depth=wrong)
        with pytest.raises(RequestError, match="width multiplier is"):
            predict_ms(PROFILE, cn.architecture("mbconv_tiny"), width=wrong, resolution=np.ones(2))


class TestFiles:
    def test_a_profile_is_read_back_equal(self, tmp_path: Path) -> None:
        path = tmp_path / "profile.json"
        path.write_text(PROFILE.to_json())
        assert read_profile(path) == PROFILE

    def test_a_missing_one(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match=r"no device profile .*; compoundnet profile measures this device"):
            read_profile(tmp_path / "none.json")
        with pytest.raises(RequestError, match="null byte"):
            read_profile(Path("a\0b.json"))

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"[1, 2]", b"{}", b'{"format": 99}'])
    def test_no_profile_at_all(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "profile.json"
        path.write_bytes(content)
        with pytest.raises(RequestError, match="profile") as caught:
            read_profile(path)
        assert "\n" not in str(caught.value)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match="cannot read device profile") as raised:
            read_profile(tmp_path)
        assert str(raised.value).count(tmp_path.name) == 1

    def test_a_file_that_begins_with_a_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "profile.json"
        path.write_text(PROFILE.to_json(), encoding="utf-8-sig")
        assert read_profile(path) == PROFILE

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda record: record.pop("machine"), "lacks machine"),
            (
                lambda record: record["setting"].update(threads=1025),
                "threads is 1025; it must be a positive integer, at most",
            ),
            (lambda record: record["setting"].update(engine="tensorrt"), "unknown engine 'tensorrt'"),
            (lambda record: record["prices_ms"].update({"conv.mac": 1.0}), "did you mean 'conv.macs'"),
            (lambda record: record["prices_ms"].update({"conv.macs": -1.0}), "prices_ms.conv.macs is -1.0"),
            (lambda record: record["prices_ms"].update({"conv.macs": "1"}), "prices_ms.conv.macs is '1'"),
            (lambda record: record.update(prices_ms=[]), "prices_ms must be a JSON object"),
            (lambda record: record.update(error=float("nan")), "error is nan"),
            (lambda record: record["prices_ms"].update({"conv.macs": 10**400}), "prices_ms.conv.macs is 1000"),
            (lambda record: record.update(reference_ms=0), "reference_ms is 0"),
            (lambda record: record.update(networks=0), "networks is 0"),
            (lambda record: record.update(machine=""), "machine is ''"),
            (lambda record: record.update(more=1), "unknown field in profile 'more'"),
        ],
    )
    def test_a_damaged_one(self, spoil: Callable[[dict[str, Any]], object], said: str) -> None:
        record = json.loads(PROFILE.to_json())
        spoil(record)
        with pytest.raises(RequestError) as caught:
            DeviceProfile.from_json(json.dumps(record))
        assert said in str(caught.value)

    def test_each_setting_has_its_own_place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path))
        settings = [
            Setting(),
            Setting(engine="openvino"),
            Setting(device="cuda"),
            Setting(threads=2),
            Setting(batch_size=2),
        ]
        paths = {default_profile_path(setting) for setting in settings}
        assert len(paths) == 5
        assert {path.parent for path in paths} == {tmp_path / "devices"}


class TestSetting:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"engine": "onnx"}, "did you mean 'onnxruntime'"),
            ({"device": "gpu"}, "device 'gpu'"),
            ({"threads": 0}, "threads is 0"),
            ({"threads": 100_000}, "threads is 100000; it must be a positive integer, at most 1024"),
            ({"batch_size": 1.5}, "batch_size is 1.5"),
            ({"batch_size": 1_000_000}, "batch_size is 1000000; it must be a positive integer, at most 1024"),
            ({"engine": "openvino", "device": "cuda"}, "on cuda take eager or compiled"),
        ],
    )
    def test_what_cannot_be(self, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(RequestError) as caught:
            Setting(**wrong)
        assert said in str(caught.value)

    def test_in_words(self) -> None:
        assert str(Setting()) == "eager on cpu, 1 thread, batch of 1"
        assert str(Setting(threads=2, batch_size=8)) == "eager on cpu, 2 threads, batch of 8"
