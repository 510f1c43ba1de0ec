"""Every row against what is counted here, and against errors that are in circulation."""

import csv
import re
from decimal import Decimal
from pathlib import Path

import pytest

from compoundnet.compare.counting import counted_cost
from compoundnet.compare.published import PAPER, PUBLISHED, Published, find_published
from compoundnet.zoo import Comparator, list_networks, network
from conftest import needs_shared

OURS = [row for row in PUBLISHED.values() if row.names]
QUICK = [row for row in OURS if not isinstance(network(row.names[0]), Comparator)]
SLOW = [row for row in OURS if isinstance(network(row.names[0]), Comparator)]
MOST_APART = Decimal("0.06")


def by_label(row: Published) -> str:
    return row.label


def within_rounding(published: Decimal, counted: Decimal) -> bool:
    half_a_digit = Decimal((0, (5,), int(published.as_tuple().exponent) - 1))
    return abs(published - counted) <= half_a_digit


def check(row: Published) -> None:
    """Published and counted agree within the source's digits, or the note says what is counted, and they are near."""
    ours = network(row.names[0])
    price = counted_cost(ours, lambda text: None)
    counted = {
        "parameters": (row.params_m, Decimal(price.params) / 10**6),
        "MACs": (row.macs_g, Decimal(price.macs) / 10**9),
    }
    if row.resolution is not None:
        assert ours.resolution == row.resolution
    for name, (published, here) in counted.items():
        if published is None:
            continue
        assert abs(published - here) <= MOST_APART * here, f"{name}: {published} published, {here} counted"
        assert within_rounding(published, here) != (f"{name}: " in row.note), f"{published} published, {here} counted"


@pytest.mark.parametrize("row", QUICK, ids=by_label)
def test_figures_of_architectures_agree_with_what_is_counted_or_say_why_not(row: Published) -> None:
    check(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", SLOW, ids=by_label)
def test_figures_of_comparators_agree_with_what_is_counted_or_say_why_not(row: Published) -> None:
    check(row)


@pytest.mark.parametrize("row", PUBLISHED.values(), ids=by_label)
def test_a_row_is_sound(row: Published) -> None:
    assert 50 < row.top1 < 90
    assert row.top5 is None or row.top1 < row.top5 < 100
    assert re.search(r"Table \d|README|weights", row.source)
    assert set(row.names) <= set(list_networks())
    assert row.curve == bool(re.fullmatch(r"EfficientNet-B[0-7]", row.label))


# What the collection calls them, where that is not the label.
COLLECTED = {
    "VGG-16, batch norm": "vgg16_bn.",
    "VGG-19, batch norm": "vgg19_bn.",
    "MobileNetV3-L": "mobilenet_v3_large.",
    "MobileNetV3-S": "mobilenet_v3_small.",
    "MnasNet-B1": "mnasnet1_0.",
}


def bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@needs_shared("reference/published.csv")
def test_every_accuracy_stands_in_the_collected_sources_under_its_name(shared: Path) -> None:
    known: dict[tuple[float, float | None], list[str]] = {}
    with (shared / "reference/published.csv").open() as file:
        for record in csv.DictReader(file):
            accuracy = (float(record["top1"] or 0), float(record["top5"]) if record["top5"] else None)
            known.setdefault(accuracy, []).append(bare(record["model"]))
    wrong = [
        row.label
        for row in PUBLISHED.values()
        if not any(bare(COLLECTED.get(row.label, row.label)) in name for name in known.get((row.top1, row.top5), ()))
    ]
    assert wrong == []


def test_the_papers_table_2() -> None:
    """arXiv:1905.11946v5, not the first version, whose B7 has 84.4."""
    curve = [PUBLISHED[f"EfficientNet-B{i}"] for i in range(8)]
    assert [row.top1 for row in curve] == [77.1, 79.1, 80.1, 81.6, 82.9, 83.6, 84.0, 84.3]
    assert [row.top5 for row in curve] == [93.3, 94.4, 94.9, 95.7, 96.4, 96.7, 96.8, 97.0]
    assert [str(row.params_m) for row in curve] == ["5.3", "7.8", "9.2", "12", "19", "30", "43", "66"]
    assert [str(row.macs_g) for row in curve] == ["0.39", "0.70", "1.0", "1.8", "4.2", "9.9", "19", "37"]
    assert (PUBLISHED["GPipe"].top1, PUBLISHED["GPipe"].params_m) == (84.3, 557)


def test_googlenet_has_its_own_accuracy_and_says_whose_the_papers_is() -> None:
    assert PUBLISHED["GoogLeNet"].top1 == 69.778
    assert "74.8" in PUBLISHED["GoogLeNet"].note


def test_the_default_names_everything_of_table_2_and_the_forerunners() -> None:
    for name in ("AlexNet", "ZFNet", "VGG-16", "GoogLeNet", "DenseNet-201", "MobileNetV1", "MnasNet-A1", "GPipe"):
        assert name in PAPER
    assert {row.label for row in PUBLISHED.values() if row.source.endswith("Table 2")} <= set(PAPER)
    assert len(set(PAPER)) == len(PAPER)


def test_finds_a_row_by_either_name() -> None:
    assert find_published("semnasnet_100") is find_published("mnasnet-a1") is PUBLISHED["MnasNet-A1"]
    assert find_published("tf_efficientnet_b0") is find_published("efficientnet_b0")
    assert find_published("mbconv_mini") is None
