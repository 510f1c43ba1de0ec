"""The verb compare."""

import json
from pathlib import Path

import pytest

from commandline import run
from compare.runs import write_run
from conftest import ROOT


def test_a_table_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "compare", "efficientnet_b0", "Inception-v3")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:4] == ["EfficientNet-B0", "224", "5.29", "M"]
    assert "(in brackets: as published" in out


def test_json_alone_on_standard_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(
        capsys, "compare", "efficientnet_b0", write_run(tmp_path / "mine"), "--json", "-o", tmp_path / "o"
    )
    found = json.loads(out)
    assert code == 0
    assert [record["kind"] for record in found["networks"]] == ["network", "run"]
    assert (tmp_path / "o" / "report.html").exists()


def test_measures_latency_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "compare", "mbconv_tiny", "mbconv_mini", "--latency", "eager")
    assert code == 0
    assert "Latency, ms" in out and "eager on cpu, 1 thread, batch of 1" in out
    assert "measuring mbconv_tiny, mbconv_mini" in err


def test_says_where_it_wrote(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "compare", "efficientnet_b0", "resnet50", "--cost", "macs", "--output", tmp_path)
    assert code == 0
    assert f"written to {tmp_path / 'report.html'}" in out


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["efficientnet_b00"], "unknown network or run 'efficientnet_b00'; did you mean 'efficientnet_b0'"),
        (["alexnet", "alexnet"], "'alexnet' is given twice; name it once"),
        (
            ["alexnet", "--cost", "macs"],
            "cost is macs; it chooses a chart, which is drawn into a folder: give --output",
        ),
        (["alexnet", "--threads", "2"], "threads goes with a measured latency; give --latency eager too"),
        (["alexnet", "--latency", "eager", "--threads", "0"], "threads is 0; it must be a positive integer"),
        (["alexnet", "--latency", "openvino", "--device", "cuda"], "engine 'openvino' is run on cpu only"),
        (["alexnet", "--base-resolution", "64"], "base-resolution 64 goes with a factory"),
        (["mbconv_tiny", "-o", "out"], "nothing to draw: no accuracy is known of mbconv_tiny"),
        (["alexnet", "-o", "out", "--cost", "latency"], "nothing to draw against latency"),
        (["alexnet", "-o", f"{ROOT}/pyproject.toml"], "is no folder"),
        (["alexnet", "-o", ""], "-o is ''; give a file or a folder"),
    ],
)
def test_a_wrong_request_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, argv: list[str], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "compare", *argv)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_has_not_ended(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "compare", write_run(tmp_path / "mine", status="running"))
    assert code == 2
    assert "has no result yet: its training has not ended" in err
