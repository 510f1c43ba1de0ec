"""design: what it prints, writes and refuses."""

import json
from pathlib import Path

import pytest

import compoundnet as cn
from commandline import run, told
from compoundnet.architecture import Architecture
from compoundnet.scaling.accuracy import AccuracyModel, Term
from compoundnet.scaling.budget import LIMITS

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
    assert [f for f in (*flags, "--rule", "--free", "--study", "--profile", "-o", "--json") if f not in out] == []


def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "design", "efficientnet_b0", "--max-macs", "1.8G", "--max-params", "20M")
    assert (code, err) == (0, "")
    assert "macs" in out and "of 1.80 G" in out
    assert "what binds: macs" in out and "1,800,0" in out


def test_json_and_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "net.json"
    record = told(capsys, "design", "efficientnet_b0", "--max-memory", "64MB", "-o", str(file))
    arch = Architecture.from_json(file.read_text())
    price = cn.cost(arch)
    assert record["macs"] == price.macs and record["memory"]["inference_bytes"] == price.inference_bytes <= 64e6
    assert record["limits"] == {"memory_bytes": 64e6} and record["binding"] == ["memory_bytes"]
    assert record["next"]["spent"]["memory_bytes"] > 64e6
    assert arch == cn.architecture("efficientnet_b0").scaled(**record["scaling"])


def test_free_and_by_a_study(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    argv = ("design", "efficientnet_b0", "--max-macs", "1.8G")
    free = told(capsys, *argv, "--free")
    assert free["phi"] is None and free["macs"] <= 1.8e9
    one = Term(weight=0.1, power=1.0)
    model = AccuracyModel(depth=one, width=Term(weight=0.0, power=1.0), resolution=one)
    (tmp_path / "result.json").write_text(json.dumps({"accuracy_model": model.to_json()}))
    by_study = told(capsys, *argv, "--study", str(tmp_path / "result.json"))
    assert by_study["scaling"]["width"] == 1.0 and by_study["scaling"]["depth"] > 1


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
    code, out, err = run(capsys, *argv)
    assert (code, err) == (0, "") and "what binds: macs" in out


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
