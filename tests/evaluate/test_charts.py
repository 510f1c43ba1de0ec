"""Charts as SVG: they hold what they should, and nothing of one disturbs the page or another."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from compoundnet.evaluate import Evaluation, evaluate_logits
from compoundnet.evaluate.charts import curve_figures, reliability_figure
from compoundnet.evaluate.confusion import confusion_figure, confusion_pairs
from compoundnet.evaluate.drawing import inline_svg, sound_text

SVG = "{http://www.w3.org/2000/svg}"


def evaluation(classes: int, labels: list[str] | None = None) -> Evaluation:
    """Ten images a class; one in ten is taken for the next class."""
    truth = np.repeat(np.arange(classes), 10)
    predicted = np.where(np.arange(len(truth)) % 10 == 0, (truth + 1) % classes, truth)
    return evaluate_logits(np.eye(classes)[predicted] * 5, truth, labels or [f"class {i}" for i in range(classes)])


def epoch(number: int, **values: Any) -> dict[str, Any]:
    return {"kind": "epoch", "epoch": number, "train_loss": 1 / (number + 1), **values}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def filled(svg: str, colour: str) -> int:
    return len(re.findall(rf'fill="var\(--{colour}\)"', svg))


def test_curves_of_a_training_in_two_phases() -> None:
    rows = [
        {"kind": "start", "seed": 1},
        {"kind": "step", "epoch": 9, "train_loss": 7.0},
        *(epoch(i, phase="head" if i < 2 else "all", val_loss=0.5, val_top1=0.5 + i / 10) for i in range(5)),
    ]
    loss, accuracy = curve_figures(rows)
    assert (loss.title, accuracy.title) == ("Loss", "Accuracy")
    assert {"training", "validation", "head only", "whole network", "1", "5", "epoch"} <= set(texts(loss.svg))
    assert "averaged weights" not in texts(accuracy.svg)
    assert accuracy.caption.replace("\u00a0", " ") == "Validation from 50.0 % to 90.0 %."
    assert loss.caption == "Training from 1 to 0.2; validation from 0.5 to 0.5."


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"kind": "note", "text": "no epoch yet"}],
        [{"kind": "epoch", "phase": "all", "epoch": 0, "val_loss": None, "val_top1": None}],
        [{"kind": "epoch", "epoch": 0, "train_loss": float("nan")}],
    ],
)
def test_no_curve_without_values(rows: list[dict[str, Any]]) -> None:
    assert curve_figures(rows) == ()


def test_missing_keys_and_values_leave_gaps_only() -> None:
    rows = [epoch(0), {"kind": "epoch", "epoch": 1, "val_top1": 0.9}, epoch(2, val_top1=None)]
    loss, accuracy = curve_figures(rows)
    assert loss.caption == "Training from 1 to 0.333."
    assert accuracy.caption.startswith("Validation")


def test_one_epoch_and_perfect_accuracy_can_be_drawn() -> None:
    loss, accuracy = curve_figures([epoch(0, val_top1=1.0, phase="all")])
    assert "whole network" not in texts(loss.svg)
    assert "100%" in texts(accuracy.svg)


def test_of_an_epoch_recorded_twice_the_last_counts() -> None:
    (loss,) = curve_figures([epoch(1, train_loss=0.5), epoch(0), epoch(1, train_loss=0.25)])
    assert loss.caption == "Training from 1 to 0.25."


def test_reliability_has_a_point_for_every_bin_with_images() -> None:
    rng = np.random.default_rng(0)
    found = evaluate_logits(rng.normal(size=(300, 4)) * 2, rng.integers(0, 4, 300), list("abcd"))
    used = sum(b.count > 0 for b in found.reliability)
    assert filled(reliability_figure(found).svg, "c1") == used
    assert f"{found.ece:.3f}" in reliability_figure(found).svg


@pytest.mark.parametrize(("classes", "counts"), [(2, True), (6, True), (12, True), (13, True), (60, False)])
def test_confusion_has_a_cell_for_every_count(classes: int, counts: bool) -> None:
    figure = confusion_figure(evaluation(classes))
    cells = classes * classes if classes <= 12 else 2 * classes
    assert filled(figure.svg, "heat1") + filled(figure.svg, "heat2") == cells
    assert texts(figure.svg).count("9") == (classes if counts else 0)
    assert set(texts(figure.svg)) >= {f"class {i}" for i in range(classes)}


def test_of_very_many_classes_the_worst_are_shown() -> None:
    truth = np.repeat(np.arange(120), 2)
    predicted = np.where(truth >= 80, 0, truth)
    found = evaluate_logits(np.eye(120)[predicted], truth, [f"class {i}" for i in range(120)])
    figure = confusion_figure(found)
    assert figure.caption.startswith("The 40 of 120 classes with the most mistakes.")
    assert {name for name in texts(figure.svg) if name.startswith("class")} == {f"class {i}" for i in range(80, 120)}


def test_counts_that_do_not_fit_their_cells_are_left_out() -> None:
    few = evaluation(20)
    many = replace(few, confusion=tuple(tuple(count * 10_000 for count in row) for row in few.confusion))
    assert "9" in texts(confusion_figure(few).svg)
    assert "90,000" not in texts(confusion_figure(many).svg)


def test_most_frequent_confusions_come_first() -> None:
    logits = np.eye(3)[[1, 1, 2, 0, 1, 2]]
    found = evaluate_logits(logits, np.array([0, 0, 0, 1, 1, 2]), ["a", "b", "c"])
    assert confusion_pairs(found) == (("a", "b", 2, 2 / 3), ("a", "c", 1, 1 / 3), ("b", "a", 1, 1 / 2))
    assert confusion_pairs(found, most=1) == (("a", "b", 2, 2 / 3),)


def test_names_of_classes_stay_text() -> None:
    hostile = ["<script>alert(1)</script>", '" onload="alert(1)', "a & b {{ 7 * 7 }}", 'id="x" url(#y)', "caf\udce9"]
    svg = confusion_figure(evaluation(5, labels=hostile)).svg
    assert "<script" not in svg
    assert set(texts(svg)) >= {*hostile[:4], "caf\\udce9"}
    assert not any("onload" in element.attrib for element in ElementTree.fromstring(svg).iter())


def test_one_svg_does_not_disturb_another() -> None:
    svg = (
        '<svg width="1"><clipPath id="clip0"/><g clip-path="url(#clip0)"/><use href="#clip0"/><text>id="a"</text></svg>'
    )
    inlined = inline_svg(svg, "loss", 'a "quoted" label')
    assert inlined.count("loss-clip0") == 3
    assert '<text>id="a"</text>' in inlined
    assert inlined.startswith('<svg role="img" aria-label="a &quot;quoted&quot; label" width="1">')


def test_undecodable_names_become_visible() -> None:
    assert sound_text("caf\udce9") == "caf\\udce9"
    assert sound_text("café 猫") == "café 猫"
    assert sound_text("a\x1b[1m\ufffe\n") == "a\\x1b[1m\\ufffe\n"
