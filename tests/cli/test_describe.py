"""list, describe, scale: what they print, what they write, what they refuse."""

import json
from pathlib import Path

import pytest

from commandline import run, told
from compoundnet.architecture import Architecture
from compoundnet.cost import cost
from compoundnet.zoo import architecture, list_networks

HELP = {
    "list": ("PATTERN", "--json"),
    "describe": ("ARCH", "--json"),
    "scale": (
        *("ARCH", "--phi", "--rule", "--depth", "--width", "--resolution", "--output", "-o", "--json"),
        *("efficientnet_x_gpu", "uniform", "fast"),
    ),
}


@pytest.mark.parametrize("verb", HELP)
def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0
    assert all(word in out for word in HELP[verb]), out


def test_help_of_scale_names_every_rule(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from compoundnet.scaling.compound import RULES

    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = run(capsys, "scale", "--help")
    words = out.replace(",", " ").replace(".", " ").split()
    assert [rule for rule in RULES if rule not in words] == []


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "list")[1].split() == list_networks()
    assert run(capsys, "list", "efficientnet_b?")[1].split() == [f"efficientnet_b{i}" for i in range(9)]
    assert told(capsys, "list", "tf_efficientnet_b[01]") == ["tf_efficientnet_b0", "tf_efficientnet_b1"]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_list_without_a_match(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]) -> None:
    said = "compoundnet: no network matches 'vit*'; compoundnet list shows all\n"
    assert run(capsys, "list", "vit*", *flags) == (2, "", said)


def test_describe_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "describe", "efficientnet_b0")
    assert found.keys() == {"name", "resolution", "params", "macs", "activations", "memory", "stages"}
    assert found["memory"].keys() == {"weights_bytes", "inference_bytes", "training_bytes_per_image"}
    assert (found["name"], found["resolution"]) == ("efficientnet_b0", 224)
    assert (found["params"], found["macs"]) == (5288548, 385814752)
    assert sum(stage["params"] for stage in found["stages"]) == found["params"]


def test_describe_page(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "describe", "efficientnet_b0")
    assert (code, err) == (0, "")
    assert out.startswith("efficientnet_b0: 224 x 224 pixels, 1000 classes\n")
    assert "5.29 M            5,288,548" in out
    assert "\u00a0" not in out
    table = [line for line in out.splitlines() if line.startswith(("name", "stem", "stage", "head"))]
    assert len(table) == 10
    assert len({len(line) for line in table}) == 1


def test_describe_of_a_file_is_describe_of_the_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "b0.json"
    file.write_text(architecture("efficientnet_b0").to_json())
    assert told(capsys, "describe", str(file)) == told(capsys, "describe", "efficientnet_b0")


@pytest.mark.parametrize("verb", ["describe", "scale"])
def test_unknown_architectures(capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str) -> None:
    more = ("--phi", "1") if verb == "scale" else ()
    code, out, err = run(capsys, verb, "eficientnet_b0", *more)
    assert (code, out) == (2, "")
    assert err.startswith("compoundnet: unknown architecture 'eficientnet_b0'; did you mean ")
    assert "'efficientnet_b0'" in err
    assert run(capsys, verb, str(tmp_path / "none.json"), *more)[0] == 2
    (tmp_path / "bad.json").write_text('{"name": "x"}')
    code, out, err = run(capsys, verb, str(tmp_path / "bad.json"), *more)
    assert (code, out) == (2, "")
    assert err.startswith(f"compoundnet: {tmp_path / 'bad.json'}: architecture lacks ")
    assert err.count("\n") == 1


def test_scale_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "scale", "efficientnet_b0", "--phi", "1")
    base, scaled = (
        architecture("efficientnet_b0"),
        architecture("efficientnet_b0").scaled(depth=1.2, width=1.1, resolution=1.15),
    )
    assert (found["resolution"], found["macs"], found["params"]) == (258, cost(scaled).macs, cost(scaled).params)
    assert found["relative"].keys() == {"params", "macs", "activations"}
    assert found["relative"]["macs"] == pytest.approx(cost(scaled).macs / cost(base).macs)


def test_scale_by_axes_and_by_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "scale", "efficientnet_b0", "--resolution", "2")["resolution"] == 448
    assert told(capsys, "scale", "efficientnet_b0", "--depth", "1", "--width", "1")["relative"]["macs"] == 1
    deeper = told(capsys, "scale", "efficientnet_b0", "--phi", "1", "--rule", "depth")
    assert deeper["resolution"] == 224
    assert told(capsys, "scale", "efficientnet_b0", "--phi", "-1")["relative"]["macs"] < 0.8


def test_scale_writes_an_architecture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "bigger.json"
    code, out, _ = run(capsys, "scale", "efficientnet_b0", "--phi", "1", "-o", str(file))
    assert code == 0
    assert out.endswith(f"written to {file}\n")
    assert "against efficientnet_b0: params x" in out
    written = Architecture.from_json(file.read_text())
    assert written.resolution == 258
    found = told(capsys, "scale", "efficientnet_b0", "--phi", "2", "--output", str(file))
    assert Architecture.from_json(file.read_text()).resolution == found["resolution"]


@pytest.mark.parametrize(
    "argv", [("scale", "mbconv_tiny", "--phi", "1"), ("design", "mbconv_tiny", "--max-macs", "20M")]
)
def test_a_rule_that_its_study_does_not_support_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, argv: tuple[str, ...]
) -> None:
    file, rule = tmp_path / "rule.json", {"depth": 0.0, "width": 1.0, "resolution": 0.0, "factor": 2.0}
    file.write_text(json.dumps(rule | {"supported": True, "doubt": None}))
    told_of = run(capsys, *argv, "--rule", file)
    assert (told_of[0], told_of[2]) == (0, "")
    file.write_text(json.dumps(rule | {"supported": False, "doubt": "all networks\nare alike"}))
    said = f"{file}: its study does not support it: all networks are alike\n"
    assert run(capsys, *argv, "--rule", file) == (0, told_of[1], said)
    file.write_text(json.dumps(rule | {"supported": True, "doubt": None, "warnings": ["On the\nedge.", "Few seeds."]}))
    assert run(capsys, *argv, "--rule", file) == (0, told_of[1], f"{file}: On the edge.\n{file}: Few seeds.\n")


BAD_SCALES = {
    "neither": ((), "scale by phi, or by depth, width and resolution: give phi"),
    "both": (("--phi", "1", "--depth", "2"), "scale by phi, or by depth, width and resolution: not both"),
    "rule": (("--phi", "1", "--rule", "unifrom"), "unknown scaling rule 'unifrom'; did you mean 'uniform'?"),
    "zero": (("--width", "0"), "width multiplier is 0.0; it must be a positive number"),
    "negative": (("--depth", "-2"), "depth multiplier is -2.0"),
    "no pixels": (("--phi", "-100"), "phi is -100; of 224 px that leaves 1, and networks have at least 8"),
    "rule of axes": (("--rule", "depth", "--depth", "2"), "a rule goes with phi; multipliers of depth, width and "),
    "nan": (("--depth", "nan"), "depth multiplier is nan"),
}


@pytest.mark.parametrize("case", BAD_SCALES)
def test_bad_scales(capsys: pytest.CaptureFixture[str], tmp_path: Path, case: str) -> None:
    flags, said = BAD_SCALES[case]
    file = tmp_path / "out.json"
    code, out, err = run(capsys, "scale", "efficientnet_b0", *flags, "-o", str(file))
    assert (code, out) == (2, "")
    assert err.startswith(f"compoundnet: {said}")
    assert err.count("\n") == 1
    assert not file.exists()


def test_places_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.json").mkdir()
    for place, said in (
        (tmp_path / "file" / "x.json", "cannot write"),
        (tmp_path / "folder.json", "cannot write"),
        (tmp_path / "x.yaml", "an architecture file ends in .json"),
    ):
        code, out, err = run(capsys, "scale", "efficientnet_b0", "--phi", "1", "-o", str(place))
        assert (code, out) == (2, ""), place
        assert said in err
        assert str(place) in err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.json"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "argv", [("list", "a", "b"), ("describe",), ("scale", "efficientnet_b0", "--phi", "much"), ("list", "--jsn")]
)
def test_wrong_command_lines(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err != ""
