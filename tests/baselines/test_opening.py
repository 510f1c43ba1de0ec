"""From a name to a baseline: found, tried, and refused in a line."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

import compoundnet as cn
from compoundnet.baselines import FactoryBaseline, open_baseline
from compoundnet.errors import RequestError
from compoundnet.scaling.baseline import ArchitectureBaseline
from factories import NET, chain, written


def test_names(tmp_path: Path) -> None:
    b0 = cn.architecture("efficientnet_b0")
    file = tmp_path / "net.json"
    file.write_text(b0.to_json())
    for name in ("efficientnet_b0", file, str(file), b0):
        opened = open_baseline(name)
        assert isinstance(opened, ArchitectureBaseline) and opened.architecture == b0
    for name in ("efficientnet_b0", b0):
        with pytest.raises(
            RequestError, match=r"^resolution 64 \(--base-resolution\) goes with a factory; efficientnet_b0 "
        ):
            open_baseline(name, resolution=64)
    with pytest.raises(RequestError, match="unknown architecture"):
        open_baseline("efficientnet_b99")


@pytest.mark.parametrize("name", [[], {}, None, 3])
def test_what_names_no_baseline(name: Any) -> None:
    said = rf"^baseline is {re.escape(repr(name))}; give a name, a JSON file, package.module:factory"
    with pytest.raises(RequestError, match=said):
        open_baseline(name)


@pytest.mark.parametrize("scales", ["nonsense", "depth", ["depth", "breadth"]])
def test_axes_that_are_none(scales: Any) -> None:
    with pytest.raises(RequestError, match=r"scales is .*; it must be a list of axes: depth, width, resolution"):
        open_baseline("efficientnet_b0", scales=scales)


def opened(name: str, resolution: int = 32) -> FactoryBaseline:
    baseline = open_baseline(name, resolution)
    assert isinstance(baseline, FactoryBaseline)
    return baseline


def test_a_factory_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here_and_nowhere_else.py").write_text(
        "from torch import nn\n"
        "def net(depth, width, resolution):\n"
        "    c = round(8 * width)\n"
        "    return nn.Sequential(nn.Conv2d(3, c, 3), *[nn.Conv2d(c, c, 1) for _ in range(round(2 * depth))])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    assert int(opened("here_and_nowhere_else:net", 16).costs(1.0, 1.0, 1.0).macs) == 14 * 14 * (27 * 8 + 2 * 64)


def test_a_function_is_a_baseline_as_its_name_is() -> None:
    baseline = open_baseline(chain, 32)
    assert isinstance(baseline, FactoryBaseline) and (baseline.name, baseline.resolution) == ("chain", 32)
    assert cn.design(baseline, macs=1e6).cost.macs <= 1e6
    with pytest.raises(RequestError, match="factory 'len' takes no depth"):
        open_baseline(len)
    with pytest.raises(RequestError, match="ignores depth"):
        open_baseline(lambda depth, width, resolution: chain(1, width, 1), 32)


PATCHES = """
from torch import nn

class Net(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        c = round(8 * width)
        self.patches = nn.Conv2d(3, c, PATCH, PATCH)
        self.body = nn.Sequential(*[nn.Linear(c, c) for _ in range(round(2 * depth))])

    def forward(self, x):
        assert x.shape[-1] % PATCH == 0
        return self.body(self.patches(x).mean((2, 3)))

def net(depth, width, resolution):
    print("building")
    return Net(depth, width)
"""


@pytest.mark.parametrize("patch", [4, 8, 14, 16, 32])
def test_networks_that_cut_images_into_patches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], patch: int
) -> None:
    name = written(tmp_path, monkeypatch, f"patches_of_{patch}", PATCHES.replace("PATCH", str(patch)))
    baseline = opened(name, 224)
    assert baseline.side_step == max(patch, 8)
    assert capsys.readouterr().out == ""


def test_sides_that_no_step_suits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = written(tmp_path, monkeypatch, "patches_of_37", PATCHES.replace("PATCH", "37"))
    with pytest.raises(RequestError, match="cannot take images of 80 x 80: AssertionError"):
        open_baseline(name, 74)


def test_an_axis_that_is_ignored_may_be_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = written(tmp_path, monkeypatch, "of_one_depth", NET.replace("2 * depth", "2"))
    with pytest.raises(RequestError, match="ignores depth"):
        open_baseline(name, 32)
    assert open_baseline(name, 32, scales=("width", "resolution")).name == name
    name = written(tmp_path, monkeypatch, "of_one_width", NET.replace("8 * width", "8"))
    with pytest.raises(RequestError, match="ignores width"):
        open_baseline(name, 32, scales=("width",))
    assert open_baseline(name, 32, scales=("depth",)).name == name


LIMITED = NET.replace("    c = ", "    if MOST < max(depth, width): raise ValueError('no more than MOST')\n    c = ")


def test_a_factory_that_builds_no_network_of_twice_the_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter more is enough to see that depth and width matter; without even that the first complaint is told."""
    fine = LIMITED.replace("2 * depth", "20 * depth")
    name = written(tmp_path, monkeypatch, "up_to_a_third_more", fine.replace("MOST", "1.3"))
    assert open_baseline(name, 32).name == name
    for module, text in {
        "up_to_a_tenth_more": fine.replace("MOST", "1.1"),
        "of_one_depth_up_to_a_third_more": LIMITED.replace("2 * depth", "2").replace("MOST", "1.3"),
    }.items():
        with pytest.raises(RequestError, match=r"depth=2, .* raised ValueError: no more than 1\.[13]$"):
            open_baseline(written(tmp_path, monkeypatch, module, text), 32)


@pytest.mark.parametrize(
    ("module", "text", "told"),
    [
        ("raises_when_imported", "1 / 0", "ZeroDivisionError"),
        ("leaves_when_imported", "raise SystemExit(0)", "SystemExit"),
        ("is_no_function", "net = 3", "is no function"),
        ("takes_two", "def net(depth, width): ...", "takes no resolution"),
        ("gives_nothing", "def net(depth, width, resolution): ...", "returned NoneType"),
        ("raises", "def net(depth, width, resolution): raise KeyError(3)", "raised KeyError: 3"),
    ],
)
def test_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str, told: str) -> None:
    name = written(tmp_path, monkeypatch, module, text)
    with pytest.raises(RequestError, match=told) as refused:
        open_baseline(name, 32)
    assert "\n" not in str(refused.value) and module in str(refused.value)


def test_a_factory_that_never_builds_the_same_twice() -> None:
    widths = itertools.count(8)
    with pytest.raises(RequestError, match="builds another network each time"):
        open_baseline(lambda depth, width, resolution: chain(depth, width * next(widths), 1), 32)
