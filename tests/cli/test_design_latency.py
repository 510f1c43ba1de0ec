"""design under a limit on latency: what is predicted, what is measured, and what is said of both."""

from functools import partial
from pathlib import Path

import pytest

import compoundnet as cn
from commandline import run, told
from compoundnet.architecture import Architecture
from compoundnet.deploy import Timing, choose_within
from compoundnet.scaling.latency import DeviceProfile, Setting, predict_ms
from compoundnet.units import SPACE


class TestLatency:
    """With a profile in which a multiply-add of a convolution is all that takes time."""

    LIMIT_MS = 12.0
    PROFILE = DeviceProfile(
        setting=Setting(threads=1), machine="made up", error=0.05, networks=60, reference_ms=4.0, versions={},
        prices_ms={f"{kind}.macs": 1e-8 for kind in ("stem", "pointwise", "conv", "depthwise")},
        measured="2026-01-31T12:00:00+00:00",
    )  # fmt: skip

    @pytest.fixture
    def argv(self, tmp_path: Path) -> tuple[str, ...]:
        (tmp_path / "device.json").write_text(self.PROFILE.to_json())
        return ("design", "efficientnet_b0", "--max-latency-ms", "12", "--profile", str(tmp_path / "device.json"))

    @pytest.fixture
    def truth(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Networks take a quarter more than the profile says."""

        def measured(arch: Architecture, setting: Setting) -> Timing:
            assert setting == self.PROFILE.setting
            ms = 1.25 * predict_ms(self.PROFILE, arch)
            return Timing(median_ms=ms, low_ms=0.99 * ms, high_ms=1.01 * ms, relative=ms / 4, rounds=9)

        monkeypatch.setattr("compoundnet.deploy.choose_within", partial(choose_within, measure=measured))

    def test_by_prediction_alone(self, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
        record = told(capsys, *argv, "--no-measure")
        assert not {"measured_ms", "aimed_ms", "tries"} & set(record)
        assert record["predicted_ms"] == record["spent"]["latency_ms"]
        assert record["profile"] == {
            "machine": "made up", "engine": "eager", "device": "cpu", "threads": 1, "batch_size": 1, "error": 0.05
        }  # fmt: skip
        assert 0.9 * self.LIMIT_MS < record["spent"]["latency_ms"] <= self.LIMIT_MS
        assert record["binding"] == ["latency_ms"]
        asked = cn.design("efficientnet_b0", latency_ms=self.LIMIT_MS, profile=self.PROFILE)
        assert record["scaling"] == asked.scaling._asdict()
        assert record["doubts"] == []  # a profile of another machine is for another machine
        page = run(capsys, *argv, "--no-measure")[1]
        assert "measured here" not in page
        on = "made up, eager on cpu, 1 thread, batch of 1"
        off = "predictions by its profile are 5.0 % off on average"
        assert f"latency is predicted, not measured: {on}; {off}" in page

    @pytest.mark.usefixtures("truth")
    def test_measured(self, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], tmp_path: Path) -> None:
        record = told(capsys, *argv, "-o", str(tmp_path / "net.json"))
        median, (low, high) = record["measured_ms"]["median"], record["measured_ms"]["quartiles"]
        assert low < median < high <= self.LIMIT_MS
        assert median == pytest.approx(1.25 * record["predicted_ms"])
        assert record["predicted_ms"] > 0.85 * self.LIMIT_MS / 1.25  # aimed lower, and not by much
        assert record["limits"] == {"latency_ms": self.LIMIT_MS}
        assert cn.cost(cn.architecture(tmp_path / "net.json")).macs == record["macs"]
        assert f"measured here: {median:.3g} ms" in run(capsys, *argv)[1]

    @pytest.mark.usefixtures("truth")
    def test_what_is_said_of_the_limit_is_about_the_users(
        self, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
    ) -> None:
        record = told(capsys, *argv)
        low, spent = self.LIMIT_MS / record["aimed_ms"], record["spent"]["latency_ms"]
        assert record["tries"] > 1 and 1.25 < low < 1.35
        assert spent == pytest.approx(low * record["predicted_ms"])
        assert 0.85 * self.LIMIT_MS < spent <= self.LIMIT_MS < record["next"]["spent"]["latency_ms"]
        assert record["binding"] == ["latency_ms"]
        page = run(capsys, *argv)[1]
        said = f"predictions were x{low:.3g} too low in try {record['tries'] - 1}"
        assert f"{said}, so {record['aimed_ms']:.3g} ms was aimed at" in page
        assert f"{spent:.3g} ms of 12 ms ({100 * spent / 12:.1f} %)" in page
        assert f"latency is predicted ({record['predicted_ms']:.3g} ms) and measured: made up" in page
        assert f"has {record['next']['spent']['latency_ms']:.6g} latency_ms:" in page

    @pytest.mark.usefixtures("truth")
    def test_a_profile_of_another_machine_is_told(
        self, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
    ) -> None:
        assert any("another machine: made up" in doubt for doubt in told(capsys, *argv)["doubts"])
        assert "but: the profile is of another machine: made up, not" in run(capsys, *argv)[1]

    def test_where_nothing_keeps_the_limit_it_says_what_was_measured(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
    ) -> None:
        def slow(arch: Architecture, setting: Setting) -> Timing:
            return Timing(median_ms=5000.0, low_ms=4900.0, high_ms=5100.0, rounds=9)

        monkeypatch.setattr("compoundnet.deploy.choose_within", partial(choose_within, measure=slow))
        code, out, err = run(capsys, *argv)
        assert (code, out) == (2, "")
        said = err.replace(SPACE, " ")
        assert "no network keeps 12 ms here" in said and "took 5,100 ms" in said and err.count("\n") == 1

    def test_really_measured(self, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
        small = ("design", "mbconv_tiny", "--max-latency-ms", "10s", "--max-macs", "3M", *argv[-2:])
        assert 0 < told(capsys, *small)["measured_ms"]["median"] < 10_000

    @pytest.mark.parametrize(
        ("flags", "line"),
        [
            (("--max-macs", "1G", "--no-measure"), "no-measure goes with a limit on latency"),
            (("--max-macs", "1G", "--profile", "device.json"), "a profile goes with a limit on latency"),
            (("--max-latency-ms", "5", "--profile", "none.json"), "no device profile 'none.json'"),
            (("--max-latency-ms", "5"), "compoundnet profile measures this device"),
            (
                ("--max-latency-ms", "0.0001", "--no-measure", "--profile", "device.json"),
                "needs latency_ms of at least",
            ),
        ],
    )
    def test_what_cannot_be(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        argv: tuple[str, ...],
        flags: tuple[str, ...],
        line: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path / "cache"))
        code, out, err = run(capsys, *argv[:2], *flags)
        assert (code, out) == (2, "")
        assert line in err and err.count("\n") == 1
