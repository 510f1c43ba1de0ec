"""The demo, with its trainings cut short."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from compoundnet.cli import demo


@pytest.mark.slow
def test_demo_trains_two_networks_and_says_where_the_report_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_RECIPE", replace(demo._RECIPE, epochs=1))
    demo.demo_command(["-o", str(tmp_path / "demo")])
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out] == ["network", "mbconv_tiny", "mbconv_tiny_phi1", "report:"]
    assert Path(out[-1].removeprefix("report: ")).is_file()
    demo.demo_command(["-o", str(tmp_path / "demo"), "--json"])  # finished: nothing is trained again
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told] == ["mbconv_tiny", "mbconv_tiny_phi1"]
    assert told[1]["macs"] > 2 * told[0]["macs"]
