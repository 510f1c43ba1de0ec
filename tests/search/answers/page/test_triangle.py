"""The triangle: a dot for every network, the best rule where its shares say, shades only where something was tried."""

import math
import re
from functools import cache

import numpy as np
import pytest

from compoundnet.search.answers.coefficients import CoefficientsResult, analyse
from compoundnet.search.answers.page.charts import networks_chart
from compoundnet.search.answers.page.triangle import triangle_chart
from search.answers.page.drawings import drawn, marks, paths, texts
from search.answers.synthetic import bowl, study


@cache
def coefficients() -> CoefficientsResult:
    return analyse(study(bowl((0.25, 0.35, 0.4)), np.random.default_rng(0), steps=4))


def test_the_triangle_has_a_dot_for_every_network_and_the_letters_of_the_published_rules() -> None:
    result = coefficients()
    root = drawn(triangle_chart(result))
    assert len(paths(root, stroke="var(--ink)", stroke_width="0.9")) == 15
    assert len(paths(root, stroke_dasharray="4,3")) == 1
    words = texts(root)
    assert {"depth alone", "width alone", "resolution alone", "best rule", "% for depth →", "80"} <= set(words)
    assert all(words.count(letter) == 2 for letter in "ESGTUF")


def test_the_best_rule_stands_where_its_shares_say() -> None:
    result = coefficients()
    best = [rows for rows in marks(triangle_chart(result), "point") if len(rows) == 1]
    place = best[0][0]
    assert place["y"] == pytest.approx(result.rule.depth * 3**0.5 / 2)
    assert place["x"] == pytest.approx(result.rule.resolution + result.rule.depth / 2)


def test_better_is_deeper_blue() -> None:
    result = coefficients()
    bands, *_ = marks(triangle_chart(result), "line")
    away: dict[int, list[float]] = {}
    peak = (0.4 + 0.25 / 2, 0.25 * 3**0.5 / 2)
    for row in bands:
        (blue,) = re.findall(r"(\d+)%", row["fill"])
        away.setdefault(int(blue), []).append(math.dist((row["x"], row["y"]), peak))
    distances = [np.mean(away[blue]) for blue in sorted(away, reverse=True)]
    assert len(distances) >= 5
    assert distances == sorted(distances)


def test_only_what_was_tried_is_shaded() -> None:
    outcomes = [
        o for o in study(bowl((0.3, 0.3, 0.4)), np.random.default_rng(0)) if o.candidate.tags["shares"][0] < 0.5
    ]
    bands, *_ = marks(triangle_chart(analyse(outcomes)), "line")
    assert 0.3 < max(row["y"] for row in bands) <= 0.4 * 3**0.5 / 2 + 1 / 64
    assert min(row["y"] for row in bands) == 0


@pytest.mark.parametrize("networks", [1, 2, 3])
def test_few_networks_are_drawn_without_a_surface(networks: int) -> None:
    result = analyse(study(bowl((0.3, 0.3, 0.4)), np.random.default_rng(0), networks=networks))
    root = drawn(triangle_chart(result))
    assert len(paths(root, stroke="var(--ink)", stroke_width="0.9")) == networks
    assert "depth / width / resolution, %" in texts(drawn(networks_chart(result, "phi 1")))


def test_shades_of_the_key_have_no_gap() -> None:
    words = texts(drawn(triangle_chart(coefficients())))
    bands = [tuple(map(float, word.split("–"))) for word in words if re.fullmatch(r"[0-9.]+–[0-9.]+", word)]
    assert len(bands) == 7
    assert [high for _, high in bands[:-1]] == [low for low, _ in bands[1:]]
    assert f"over {bands[-1][1]:g}" in words
