"""Charts: they hold what they should, in the page's colours or in a file's, and hostile names stay text."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from compoundnet.errors import RequestError
from compoundnet.evaluate.drawing import save, svg
from compoundnet.search.answers.axes import AxesResult, compare
from compoundnet.search.answers.coefficients import CoefficientsResult, analyse
from compoundnet.search.answers.page.charts import cost_charts, curves_chart, networks_chart
from compoundnet.search.answers.page.triangle import triangle_chart
from compoundnet.search.trials import Outcome
from search.answers.page.drawings import drawn, marks, texts
from search.answers.synthetic import axes_study, bowl, candidate, study, trial

GAINS = {"depth": (0.02, 0.03), "width": (0.03, 0.05), "resolution": (0.03, 0.05), "compound": (0.06, 0.10)}
HOSTILE = "<script>alert(1)</script> & \x1b caf\udce9"


@cache
def coefficients() -> tuple[list[Outcome], CoefficientsResult]:
    outcomes = study(bowl((0.25, 0.35, 0.4)), np.random.default_rng(0), steps=4)
    return outcomes, analyse(outcomes)


@cache
def axes() -> tuple[list[Outcome], AxesResult]:
    outcomes = axes_study(GAINS, np.random.default_rng(0))
    return outcomes, compare(outcomes)


def test_every_rule_has_a_line_from_the_baseline_and_an_interval_at_each_cost() -> None:
    _, result = axes()
    (chart,) = cost_charts(result)
    lines = marks(chart, "line")
    assert len(lines) == 4
    assert all([row["factor"] for row in rows] == [1, 2, 4] for rows in lines)
    assert sum(map(len, marks(chart, "rule"))) == 9
    words = texts(drawn(chart))
    assert {"compound", "depth", "width", "resolution", "baseline", "realised MACs", "accuracy", "20M", "80M"} <= set(
        words
    )


def test_larger_bases_have_a_chart_of_their_own_with_a_line_from_each() -> None:
    """Plain width is in both charts; without other rules there is one."""
    wider, starts = {"width": (0.03, 0.05), "width at d2 r1": (0.04, 0.07)}, {"width at d2 r1": (1.6, 0.02)}
    rules, bases = cost_charts(
        compare(axes_study({**GAINS, **wider}, np.random.default_rng(0), bases=starts), bases=list(starts))
    )
    (alone,) = cost_charts(compare(axes_study(wider, np.random.default_rng(0), bases=starts), bases=list(starts)))
    assert {rows[-1]["rule"] for rows in marks(rules, "line")} == set(GAINS)
    for chart in (bases, alone):
        lines = {rows[-1]["rule"]: [row["factor"] for row in rows] for rows in marks(chart, "line")}
        assert lines == {"width": [1, 2, 4], "width at d2 r1": [1.6, 2, 4]}
        words = texts(drawn(chart))
        assert {"width at d2 r1", "baseline", "20M", "40M", "80M"} <= set(words)
        assert "32M" not in words  # what the base itself costs is no cost that was asked for


def test_one_seed_and_no_baseline_can_be_drawn() -> None:
    outcomes = [
        o for o in axes_study(GAINS, np.random.default_rng(0), seeds=1) if o.candidate.tags["rule"] != "baseline"
    ]
    (chart,) = cost_charts(compare(outcomes))
    assert sum(map(len, marks(chart, "rule"))) == 0
    assert all(len(rows) == 2 for rows in marks(chart, "line"))
    drawn(chart)


def test_a_curve_for_every_trial_and_a_dot_where_one_was_stopped() -> None:
    outcomes, _ = axes()
    stopped = replace(outcomes[0], state="pruned", curve=outcomes[0].curve[:4])
    lines, dots = (marks(curves_chart([stopped, *outcomes[1:]], "rule"), kind)[0] for kind in ("line", "circle"))
    assert len({row["trial"] for row in lines}) == len(outcomes)
    assert [(row["epoch"], row["trial"]) for row in dots] == [(4, 0)]
    assert {row["name"] for row in lines} == {"baseline", *GAINS}


def test_curves_need_accuracies() -> None:
    outcomes, _ = axes()
    with pytest.raises(RequestError, match="no trial has a curve"):
        curves_chart([replace(o, curve=()) for o in outcomes])
    holes = replace(outcomes[0], curve=(0.1, float("nan"), 0.3))
    assert [row["epoch"] for row in marks(curves_chart([holes]), "line")[0]] == [1, 3]


def test_networks_are_sorted_with_their_intervals() -> None:
    _, result = coefficients()
    chart = networks_chart(result, "phi 1")
    rows = marks(chart, "circle")[0]
    assert [row["accuracy"] for row in rows] == sorted((row["accuracy"] for row in rows), reverse=True)
    assert all(row["low"] < row["accuracy"] < row["high"] for row in rows)
    assert rows[0]["name"] in texts(drawn(chart))
    with pytest.raises(RequestError, match="no network of group 'phi 7'"):
        networks_chart(result, "phi 7")


def test_two_networks_of_the_same_rounded_shares_keep_a_row_each() -> None:
    result = analyse([trial(candidate(shares), 0.7) for shares in ((0.301, 0.3, 0.399), (0.302, 0.3, 0.398))])
    assert texts(drawn(networks_chart(result, "phi 1"))).count("30 / 30 / 40") == 2


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_files_have_colours_instead_of_variables(tmp_path: Path, suffix: str) -> None:
    _, result = coefficients()
    path = tmp_path / f"chart{suffix}"
    save(triangle_chart(result), path)
    if suffix == ".svg":
        text = path.read_text()
        assert "var(" not in text
        assert "color-mix" not in text
        assert "#2f62c9" in text or "#b84a18" in text
    else:
        image = Image.open(path).convert("RGB")
        assert image.getpixel((1, 1)) == (0xFA, 0xF9, 0xF7)
        assert len(image.getcolors(1 << 20) or []) > 20


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"ends in \.png or \.svg"):
        save(cost_charts(axes()[1])[0], tmp_path / "chart.bmp")
    assert not list(tmp_path.iterdir())


def test_hostile_names_stay_text() -> None:
    outcomes = [
        replace(o, candidate=replace(o.candidate, tags={**o.candidate.tags, "rule": HOSTILE}))
        if o.candidate.tags["rule"] == "compound"
        else o
        for o in axes()[0]
    ]
    for chart in (*cost_charts(compare(outcomes)), curves_chart(outcomes, "rule")):
        text = svg(chart, "name", "label")
        assert "<script" not in text
        assert any("alert(1)" in word for word in texts(ElementTree.fromstring(text)))


@pytest.mark.parametrize(
    ("epochs", "ticks"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 3, 4, 5, 6]), (12, [2, 4, 6, 8, 10, 12])]
)
def test_short_curves_have_whole_epochs_and_can_be_seen(epochs: int, ticks: list[int]) -> None:
    outcomes = [replace(o, curve=o.curve[:epochs]) for o in axes()[0]]
    chart = curves_chart(outcomes, "rule")
    assert chart.to_dict()["layer"][0]["encoding"]["x"]["axis"]["values"] == ticks
    dots = marks(chart, "circle")[0]
    assert len(dots) == (len(outcomes) if epochs == 1 else 0)
    assert {str(tick) for tick in ticks} <= set(texts(drawn(chart)))
