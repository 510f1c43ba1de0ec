"""Sentences on axes: each says what its numbers say, and counts as a reader would."""

from dataclasses import replace

import pytest

from compoundnet.search.answers.axes import Contrast
from compoundnet.search.answers.axes.sentences import answer, many, sentence

BEATS = Contrast(
    group="x2", rule="compound", other="depth", value=0.03, low=0.01, high=0.05, seeds=3, costs=1, apart=0.01
)
TIES = replace(BEATS, other="width", value=0.001, low=-0.01, high=0.012)
LOSES = replace(BEATS, other="resolution", value=-0.02, low=-0.03, high=-0.01)
TWIN = replace(BEATS, other="width", value=0.0, low=0.0, high=0.0)
WIDER = replace(BEATS, rule="width at d2 r1", other="width")
WIDEST = replace(WIDER, rule="width at d2 r1.3")
UNSURE = replace(BEATS, other="width", low=None, high=None)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("contrasts", "said"),
    [
        ([BEATS], "compound scaling beats each axis alone at equal realised MACs; the nearest is depth"),
        (
            [BEATS, TIES],
            "compound scaling beats depth alone at equal realised MACs, but is not told from width "
            "(the clearest of 2 comparisons, each at 95 % by itself).",
        ),
        ([BEATS, TIES, LOSES], "Scaling resolution alone beats compound by 2.0 points (1.0–3.0) at equal"),
        ([TIES], "The data do not tell compound scaling from width alone"),
        ([UNSURE], "The data do not tell compound scaling from width alone"),
        ([], "There is no pair to compare"),
    ],
)
def test_the_answer_is_the_gravest_that_holds(contrasts: list[Contrast], said: str) -> None:
    assert plain(answer(contrasts)).startswith(said)


@pytest.mark.parametrize(
    ("wider", "said"),
    [
        ([WIDER], "{}: {} is 3.0 points (1.0–5.0) ahead."),
        (
            [WIDER, replace(WIDEST, value=-0.02, low=-0.03, high=-0.01)],
            "{}: {} is 3.0 points (1.0–5.0) ahead; width at d2 r1.3 is 2.0 points (1.0–3.0) behind.",
        ),
        (
            [WIDER, replace(WIDEST, low=-0.01)],
            "{}: {} is 3.0 points (1.0–5.0) ahead; width at d2 r1.3 is not told from it.",
        ),
    ],
)
def test_width_on_larger_bases_has_an_answer_of_its_own(wider: list[Contrast], said: str) -> None:
    said = said.format("Of width on larger bases against width on the baseline at equal realised MACs", WIDER.rule)
    bases = {c.rule for c in wider}
    assert plain(answer(wider, bases)) == said
    both = plain(answer([BEATS, *wider], bases))
    assert both.startswith("compound scaling beats each axis alone") and both.endswith(said)


@pytest.mark.parametrize("low", [-0.01, None])
def test_larger_bases_that_cannot_be_told_apart(low: float | None) -> None:
    wider = replace(WIDER, low=low, high=None if low is None else WIDER.high)
    said = "The data do not tell width on a larger base from width on the baseline at equal realised MACs."
    assert plain(answer([wider], {wider.rule})) == said


def test_one_network_of_two_rules_is_called_so() -> None:
    assert sentence([TWIN, BEATS]).startswith("x2: compound is the same network as width; beats depth")
    assert many([BEATS, TWIN]) == []


def test_equal_is_said_of_equal_costs_only() -> None:
    assert "at realised MACs up to 16 % apart" in plain(answer([BEATS, replace(TIES, apart=0.16)]))
    assert "at what is taken for equal MACs" in plain(answer([replace(BEATS, apart=None)]))


def test_costs_are_counted_that_were_averaged() -> None:
    overall = [replace(c, group=None, costs=n) for c, n in ((BEATS, 2), (TIES, 3))]
    assert "averaged over 2 to 3 costs" in answer(overall)
    assert "averaged over 2 costs" in answer(overall[:1])
    assert "averaged" not in answer([BEATS])


def test_every_axis_has_its_own_clause() -> None:
    assert plain(sentence([BEATS, TIES, LOSES])) == (
        "x2: compound beats depth by 3.0 points (1.0–5.0); cannot be told from width at 3 seeds (-1.0 to +1.2 points); "
        "loses to resolution by 2.0 points (1.0–3.0)."
    )
    assert "lies 3.0 points above width, from too few seeds" in plain(sentence([UNSURE]))


def test_many_comparisons_are_counted_without_those_that_have_no_interval() -> None:
    assert many([BEATS, UNSURE, UNSURE]) == []
    assert plain(many([BEATS] * 4 + [UNSURE])[0]).startswith(
        "4 comparisons were made at 95 %: without any difference, 0.2"
    )
