"""profile: where it writes, what it says, and what it refuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compoundnet.cli import devices, main
from compoundnet.scaling.latency import DeviceProfile, Setting, default_profile_path, read_profile


def made(setting: Setting, minutes: float, note: Callable[[str], None]) -> DeviceProfile:
    """What measuring would give, at once."""
    note(f"measured for {minutes:g} minutes")
    return DeviceProfile(
        setting=setting, machine="a processor", prices_ms={"stem.macs": 1e-6}, error=0.0512, networks=321,
        reference_ms=4.0, versions={"torch": "2.15.0"}, measured="2026-01-31T12:00:00+00:00",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "profile_device", made)
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["profile", *map(str, argv)])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def test_a_profile_goes_where_design_finds_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--engine", "onnxruntime", "--threads", "2", "--batch-size", "4", "--minutes", "0.5")
    setting = Setting(engine="onnxruntime", threads=2, batch_size=4)
    path = default_profile_path(setting)
    assert code == 0
    assert read_profile(path) == made(setting, 0.5, print)
    assert err == "measured for 0.5 minutes\n"
    assert "a processor: onnxruntime on cpu, 2 threads, batch of 4" in out
    assert "321 networks" in out and "5.1 %" in out and str(path) in out
    assert "too rough" not in out


def test_a_rough_profile_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "profile_device", lambda *given: replace(made(*given), error=0.4))
    code, out, _ = run(capsys)
    assert code == 0
    assert "40.0 % off" in out
    assert "too rough for a limit: measure again with nothing else running" in out


def test_a_profile_goes_where_it_is_sent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "new" / "mine.json"
    code, out, _ = run(capsys, "-o", path, "--json")
    assert code == 0
    record = json.loads(out)
    assert record.pop("path") == str(path)
    assert record == json.loads(path.read_text()) == made(Setting(), 5, print).to_record()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--minutes", "0"), "minutes is 0.0; it must be a positive number"),
        (("--minutes", "nan"), "minutes is nan"),
        (("--threads", "0"), "threads is 0"),
        (("--batch-size", "-1"), "batch_size is -1"),
        (
            ("--batch-size", "1000000", "--minutes", "0.01"),
            "batch_size is 1000000; it must be a positive integer, at m",
        ),
        (("--device", "cuda", "--engine", "openvino"), "'openvino' is run on cpu only"),
        (("-o", "profile.txt"), "output is 'profile.txt'; a profile ends in .json"),
    ],
)
def test_bad_requests_take_one_line(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], said: str) -> None:
    code, out, err = run(capsys, *flags)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_told_before_measuring(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.json").mkdir()
    for place in (tmp_path / "file" / "profile.json", tmp_path / "folder.json"):
        code, _, err = run(capsys, "-o", place)
        assert code == 2
        assert err.startswith(f"compoundnet: cannot write {str(place)!r}") and err.count("\n") == 1


def test_an_unknown_engine_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--engine", "tensorrt")
    assert code == 2
    assert "openvino" in err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    flags = ("--output", "-o", "--engine", "--device", "--threads", "--batch-size", "--minutes", "--json")
    assert [flag for flag in flags if flag not in out] == []
