"""The figure: every network once, in its place, no label over another, other people's images never among them."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from compare.runs import write_run
from compoundnet.compare import Comparison, chart, compare
from compoundnet.compare.asked import asked_for
from compoundnet.compare.chart import Drawing, check_drawable, drawings, label_texts
from compoundnet.compare.published import PAPER, PUBLISHED, find_published
from compoundnet.cost import cost
from compoundnet.errors import RequestError
from compoundnet.scaling.latency import Setting
from compoundnet.zoo import Comparator, architecture, network


@cache
def figure() -> tuple[Drawing, ...]:
    """Of the paper's networks, but for those that take seconds to count."""
    quick = [name for name in PAPER if (row := find_published(name)) is not None and not counted_slowly(row.names)]
    return tuple(drawings(compare(quick)))


def counted_slowly(names: tuple[str, ...]) -> bool:
    return bool(names) and isinstance(network(names[0]), Comparator)


def specification(drawing: Drawing) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(drawing.chart.to_dict()))
    sets = plain.get("datasets", {})
    for layer in plain["layer"]:
        layer["values"] = layer["data"].get("values") or sets.get(layer["data"].get("name"), [])
    return plain


def texts(drawing: Drawing) -> list[str]:
    layers = specification(drawing)["layer"]
    return [value["text"] for layer in layers for value in layer["values"] if "text" in value]


def test_one_chart_a_cost() -> None:
    assert [drawing.cost for drawing in figure()] == ["params", "macs", "activations"]
    assert [d.cost for d in drawings(compare(["efficientnet_b0"]), "macs")] == ["macs", "params", "activations"]


@pytest.mark.parametrize("i", range(3))
def test_every_label_is_there_once(i: int) -> None:
    drawing = figure()[i]
    assert sorted(texts(drawing)) == sorted(label_texts(drawing.rows))
    assert len(set(texts(drawing))) == len(drawing.rows) == len(drawing.placed)
    assert {"B0", "B3", "EfficientNet-B7", "ResNet-50", "MobileNetV2"} <= set(texts(drawing))


@pytest.mark.parametrize("i", range(3))
def test_no_label_stands_on_another_or_outside(i: int) -> None:
    drawing = figure()[i]
    boxes = [one.box for one in drawing.placed.values()]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert all(b.left >= 0 and b.top >= 0 and b.right <= drawing.width and b.bottom <= drawing.height for b in boxes)


def test_what_has_no_such_cost_is_named_as_left_out() -> None:
    params, macs, activations = figure()
    assert params.left_out == ()
    assert macs.left_out == ("GPipe",)
    assert {"SENet", "Inception-v3", "GPipe"} <= set(activations.left_out)


def test_the_curve_joins_the_efficientnets_in_order() -> None:
    lines = [layer for layer in specification(figure()[0])["layer"] if layer["mark"]["type"] == "line"]
    assert [[point["y"] for point in line["values"]] for line in lines] == [
        pytest.approx([PUBLISHED[f"EfficientNet-B{i}"].top1 / 100 for i in range(8)])
    ]
    assert [point["x"] for point in lines[0]["values"]] == [
        cost(architecture(f"efficientnet_b{i}")).params for i in range(8)
    ]


def test_points_stand_where_the_numbers_say() -> None:
    drawing = figure()[0]
    spec = specification(drawing)
    places = {(p["x"], p["y"]) for layer in spec["layer"] if layer["mark"]["type"] == "point" for p in layer["values"]}
    assert len(places) == len(drawing.rows)
    assert (146e6, 0.827) in places  # SENet, as published
    assert spec["width"] == round(drawing.width) and spec["height"] == round(drawing.height)


def test_runs_have_a_chart_of_their_own(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", 0.99),
        write_run(tmp_path / "b", 0.7),
        write_run(tmp_path / "c", 0.4, images="cars"),
    ]
    drawn = drawings(compare(["efficientnet_b0", "resnet50", *runs]))
    names = {drawing.name: [row.label for row in drawing.rows] for drawing in drawn}
    assert names["params"] == names["macs"] == ["EfficientNet-B0", "ResNet-50"]
    assert (names["runs"], names["runs1"]) == (["a", "b"], ["c"])
    assert [d.on for d in drawn if d.name.startswith("runs")] == ["pets, test", "cars, test"]


def test_a_hostile_name_is_only_a_text(tmp_path: Path) -> None:
    run = write_run(tmp_path / ('"><script>\x1b' + 60 * "x"), images="<b>\x00")
    (drawing,) = drawings(compare([run]))
    (text,) = texts(drawing)
    assert len(text) == 36
    assert not re.search("[\x00-\x1f]", json.dumps(specification(drawing), ensure_ascii=False))


def test_many_networks_make_it_taller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "_LEAST_HEIGHT_PX", 40.0)
    runs = [write_run(tmp_path / f"a_rather_long_name_of_run_{i}", 0.9) for i in range(12)]
    (drawing,) = drawings(compare(runs))
    assert drawing.height > 40
    boxes = [one.box for one in drawing.placed.values()]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_nothing_to_draw() -> None:
    assert drawings(compare(["mbconv_tiny"])) == []


@pytest.mark.parametrize(
    ("given", "asked_cost", "setting", "complaint"),
    [
        (["mbconv_tiny", "mbconv_mini"], "params", None, "no accuracy is known of mbconv_tiny, mbconv_mini; add"),
        (["alexnet"], "latency", None, "against latency, which was not asked for: add --latency eager"),
        (["GPipe"], "macs", None, "macs of GPipe can be neither counted nor read; take --cost params"),
        (["alexnet"], "latency", Setting(engine="openvino"), "latency of AlexNet can be neither"),
    ],
)
def test_what_cannot_be_drawn_is_told_before_it_is_measured(
    given: list[str], asked_cost: Any, setting: Setting | None, complaint: str
) -> None:
    with pytest.raises(RequestError, match=complaint):
        check_drawable(asked_for(given), asked_cost, setting)
    check_drawable(asked_for([*given, "efficientnet_b0"]), "params", setting)


def test_a_comparison_is_a_value() -> None:
    assert compare(["mbconv_tiny"]) == compare(["mbconv_tiny"])
    assert isinstance(compare(["mbconv_tiny"]), Comparison)
