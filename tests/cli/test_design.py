"""design: what it prints, writes and refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import compoundnet as cn
from commandline import run, told
from compoundnet.architecture import Architecture
from compoundnet.baselines import open_baseline
from compoundnet.scaling import Multipliers
from compoundnet.scaling.accuracy import AccuracyModel, Term, baseline_in_words, fit, read_model
from compoundnet.scaling.budget import LIMITS
from compoundnet.scaling.solver import choices

FACTORIES = '''
import torch
from torch import nn

def net(depth, width, resolution, num_classes=10):
    """Plain convolutions; width and depth count, resolution is the input's affair."""
    c = max(1, round(8 * width))
    layers = [nn.Conv2d(3, c, 3, 2, 1)]
    for _ in range(max(1, round(2 * depth))):
        layers += [nn.Conv2d(c, c, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes))

def raises(depth, width, resolution):
    raise KeyError("no such thing\\nas this")

def shallow(depth, width, resolution):
    return net(1, width, resolution)

def nothing(depth, width, resolution):
    return None

def narrow(depth, width):
    return net(depth, width, 1)

def picky(depth, width, resolution):
    return nn.Sequential(nn.Flatten(), nn.Linear(round(100 * depth * width), 10))

def leaves(depth, width, resolution):
    raise SystemExit(0)

def exact(depth, width, resolution):
    """As documented: the side is 32 times the resolution."""
    side, c = round(32 * resolution), round(4 * width)
    more = [nn.Conv2d(c, c, 1) for _ in range(round(2 * depth))]
    return nn.Sequential(nn.Conv2d(3, c, 1), *more, nn.Flatten(), nn.Linear(c * side * side, 10))

answer = 42
'''


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of factories in the current folder."""
    name = f"factories_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run(capsys, "design", "--help")
    assert code == 0
    flags = [limit.flag for limit in LIMITS]
    more = ("--rule", "--free", "--study", "--profile", "--no-measure", "-o", "--json")
    assert [f for f in (*flags, *more) if f not in out] == []
    assert "--no-free" not in out
    assert "float32 with AdamW" in out and "EMA" in out
    assert "(default: True)" not in out


def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "design", "efficientnet_b0", "--max-macs", "1.8G", "--max-params", "20M")
    assert (code, err) == (0, "")
    assert "macs" in out and "of 1.80 G" in out
    assert "what binds: macs" in out and "1,800,0" in out
    larger = out[out.index("the next larger") :]
    assert all(word in larger for word in ("parameters", "MACs", "activations", "weights", "inference", "training"))
    assert "approximate" not in out


def test_json_and_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "net.json"
    record = told(capsys, "design", "efficientnet_b0", "--max-memory", "64MB", "-o", str(file))
    arch = Architecture.from_json(file.read_text())
    price = cn.cost(arch)
    assert record["macs"] == price.macs and record["memory"]["inference_bytes"] == price.inference_bytes <= 64e6
    assert record["limits"] == {"memory_bytes": 64e6} and record["binding"] == ["memory_bytes"]
    assert record["next"]["spent"]["memory_bytes"] > 64e6
    larger = cn.cost(cn.architecture("efficientnet_b0").scaled(**record["next"]["scaling"]))
    assert record["next"]["cost"] == larger.to_record()
    assert record["exact"] is True
    assert arch == cn.architecture("efficientnet_b0").scaled(**record["scaling"])


def test_free_and_by_a_study(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ("design", "efficientnet_b0", "--max-macs", "1.8G")
    free = told(capsys, *argv, "--free")
    assert free["phi"] is None and free["macs"] <= 1.8e9
    one = Term(weight=0.1, power=1.0)
    model = AccuracyModel(depth=one, width=Term(weight=0.0, power=1.0), resolution=one)
    (tmp_path / "result.json").write_text(json.dumps({"accuracy_model": model.to_json()}))
    for place in (tmp_path / "result.json", tmp_path):
        by_study = told(capsys, *argv, "--study", place)
        assert by_study["scaling"]["width"] == 1.0 and by_study["scaling"]["depth"] > 1
        assert by_study["accuracy_model"] == model.to_json() and by_study["doubts"] == []
    assert "does not say what it rests on" in run(capsys, *argv, "--study", tmp_path)[1]


def test_a_study_of_another_baseline_is_doubted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    points = [Multipliers(d, w, r) for d in (0.1, 9) for w in (0.1, 9) for r in (0.1, 4, 9)]
    model = fit(points, [1 - 0.03 * (d * w * r) ** -0.5 for d, w, r in points])
    for name, side, doubts in (
        ("efficientnet_b0", 224, []),
        ("efficientnet_b0", 64, ["efficientnet_b0 at 64 px"]),
        ("mbconv_tiny", 224, ["mbconv_tiny at 224 px"]),
    ):
        baseline = {"architecture": {"name": name, "resolution": side}}
        record = {"accuracy_model": model.to_json(), "request": {"baseline": baseline}}
        (tmp_path / "result.json").write_text(json.dumps(record))
        told_of = told(capsys, "design", "efficientnet_b0", "--max-macs", "1.8G", "--study", tmp_path)["doubts"]
        ends = "and what it found need not hold for efficientnet_b0 at 224 px"
        said = [doubt for doubt in told_of if doubt.startswith("the study was of")]
        assert said == [f"the study was of {other}, {ends}" for other in doubts]
    code, out, _ = run(capsys, "design", "efficientnet_b0", "--max-macs", "1.8G", "--study", tmp_path)
    assert code == 0 and "the nominal cost of mbconv_tiny at 224 px, from which" in out


def test_a_factory_is_called_alike_by_a_study_and_a_design(tmp_path: Path, factories: str) -> None:
    points = [Multipliers(d, w, r) for d in (0.1, 9) for w in (0.1, 9) for r in (0.1, 4, 9)]
    model = fit(points, [1 - 0.03 * (d * w * r) ** -0.5 for d, w, r in points])
    request = {"baseline": {"factory": f"{factories}:net", "resolution": 30}}
    (tmp_path / "result.json").write_text(json.dumps({"accuracy_model": model.to_json(), "request": request}))
    studied = read_model(tmp_path).studied
    baseline = open_baseline(f"{factories}:net", 30)
    assert studied is not None
    assert studied.baseline == baseline_in_words(baseline.name, baseline.resolution_at(1.0))


def test_a_study_says_what_it_rests_on(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    points = [Multipliers(d, w, r) for d in (1, 2) for w in (1, 1.5) for r in (1, 1.2, 1.4)]
    model = fit(points, [1 - 0.03 * (d * w * r) ** -0.5 for d, w, r in points])
    (tmp_path / "result.json").write_text(json.dumps({"accuracy_model": model.to_json()}))
    code, out, err = run(capsys, "design", "efficientnet_b0", "--max-macs", "10G", "--study", tmp_path)
    assert (code, err) == (0, "")
    assert "ranked by a study of 12 networks of x1 to x8.82 the nominal cost" in out
    assert "% of accuracy off" in out
    assert "but: its resolution, x" in out and "lies beyond what was studied, x1 to x1.4" in out
    record = told(capsys, "design", "efficientnet_b0", "--max-macs", "10G", "--study", tmp_path)
    assert record["accuracy_model"]["studied"]["networks"] == 12
    assert any(doubt.startswith("its resolution") for doubt in record["doubts"])


def test_a_rule_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rule = {"depth": 0.0, "width": 1.0, "resolution": 0.0, "factor": 2.0}
    for content in (rule, {"rule": rule}):
        (tmp_path / "rule.json").write_text(json.dumps(content))
        record = told(capsys, "design", "efficientnet_b0", "--max-macs", "2G", "--rule", str(tmp_path / "rule.json"))
        assert record["scaling"]["depth"] == record["scaling"]["resolution"] == 1.0


def test_a_factory(capsys: pytest.CaptureFixture[str], factories: str) -> None:
    argv = ("design", f"{factories}:net", "--base-resolution", "32", "--max-macs", "8M")
    record = told(capsys, *argv)
    assert record["cost"]["macs"] <= 8e6 < record["next"]["spent"]["macs"]
    assert record["exact"] is False
    code, out, err = run(capsys, *argv)
    assert (code, err) == (0, "") and "what binds: macs" in out
    assert f"but: {open_baseline(argv[1], 32).caution}" in out and record["doubts"][0] in out


def test_the_grid_of_factories_is_as_fine_as_is_said(factories: str) -> None:
    baseline = open_baseline(f"{factories}:net", 32)
    said, *_ = re.findall(r"(\d+) % apart", baseline.caution)
    for axis in ("depth", "width"):
        tried = choices(baseline, axis, 0.5, 4.0)  # type: ignore[arg-type]
        assert (tried[1:] / tried[:-1]).mean() == pytest.approx(1 + int(said) / 100, abs=0.01)
    sides = np.diff(choices(baseline, "resolution", 0.5, 4.0))[1:-1]  # the ends are where it was asked to end
    assert 32 * sides == pytest.approx(8)


def test_a_factory_that_has_one_axis_is_scaled_by_it_alone(capsys: pytest.CaptureFixture[str], factories: str) -> None:
    argv = ("design", f"{factories}:shallow", "--base-resolution", "32", "--max-macs", "8M")
    assert told(capsys, *argv, "--rule", "width")["scaling"]["width"] > 1
    code, _, err = run(capsys, *argv)
    assert code == 2 and "ignores depth" in err


def test_a_factorys_network_is_no_file(capsys: pytest.CaptureFixture[str], factories: str, tmp_path: Path) -> None:
    """Said before the factory is tried: it would raise."""
    code, _, err = run(capsys, "design", f"{factories}:raises", "--max-macs", "8M", "-o", str(tmp_path / "x.json"))
    assert code == 2 and "the network of a factory is no architecture" in err and err.count("\n") == 1


def test_a_factory_is_asked_for_the_side_that_it_is_fed(capsys: pytest.CaptureFixture[str], factories: str) -> None:
    record = told(capsys, "design", f"{factories}:exact", "--base-resolution", "32", "--max-macs", "200k")
    assert record["resolution"] == 32 * record["scaling"]["resolution"]


@pytest.mark.parametrize("side", ["0", "-5", "99999999"])
def test_a_side_that_cannot_be(capsys: pytest.CaptureFixture[str], factories: str, side: str) -> None:
    code, _, err = run(capsys, "design", f"{factories}:net", "--base-resolution", side, "--max-macs", "8M")
    assert code == 2 and f"base-resolution is {side}" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("factory", "line"),
    [
        ("raises", "raised KeyError: 'no such thing"),
        ("shallow", "ignores depth"),
        ("nothing", "returned NoneType"),
        ("leaves", "raised SystemExit"),
        ("narrow", "takes no resolution"),
        ("picky", "cannot take images of 32 x 32"),
        ("answer", "is no function"),
        ("missing", "AttributeError"),
    ],
)
def test_factories_that_are_none(capsys: pytest.CaptureFixture[str], factories: str, factory: str, line: str) -> None:
    code, out, err = run(capsys, "design", f"{factories}:{factory}", "--base-resolution", "32", "--max-macs", "8M")
    assert (code, out) == (2, "")
    assert line in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ((), "no limit is given"),
        (("--max-macs", "1.8GB"), "not bytes"),
        (("--max-memory", "64M"), "bytes end in B"),
        (("--max-macs", "-1"), "must be positive"),
        (("--max-macs", "1e300"), "never ends the growth"),
        (("--max-macs", "100"), "needs macs of at least"),
        (("--max-macs", "1G", "--max-params", "1k"), "needs params of at least"),
        (("--max-params", "9M", "--free"), "does not limit the resolution"),
        (("--max-latency-ms", "15GB"), "'GB' is no unit"),
        (("--max-macs", "1G", "--batch-size", "8"), "batch_size goes with"),
        (("--max-macs", "1G", "--rule", "compound"), "unknown scaling rule"),
        (("--max-macs", "1G", "--rule", "nowhere.json"), "cannot read rule"),
        (("--max-macs", "1G", "--study", "nowhere.json"), "cannot read study"),
        (("--max-macs", "1G", "-o", "net.txt"), "ends in .json"),
        (("--max-macs", "1G", "-o", "."), "ends in .json"),
        (("--max-macs", "1G", "-o", ""), "-o is ''; give a file or a folder"),
        (("--max-macs", "1G", "--output="), "--output is ''; give a file or a folder"),
        (("--max-macs", "1G", "--study", "nowhere.json", "--rule", "fast"), "cannot read study"),
        (("--max-macs", "1e400"), "--max-macs is '1e400'; it is too large"),
        (("--max-macs", "1e-320"), "needs macs of at least"),
        (("--max-memory", "64Mb"), "bytes end in B"),
        (("--max-macs", "1G", "--base-resolution", "32"), "goes with a factory"),
    ],
)
def test_one_clear_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "design", "efficientnet_b0", *argv)
    assert (code, out) == (2, "")
    assert line in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_factory_of_no_module(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "design", "no_such_module_anywhere:net", "--max-macs", "1G")
    assert code == 2 and "cannot find factory 'no_such_module_anywhere:net'" in err and err.count("\n") == 1
