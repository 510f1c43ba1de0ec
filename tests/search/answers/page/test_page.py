"""The pages as a reader's browser takes them: whole, offline, the answer first, and deaf to hostile names."""

import csv
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compoundnet.files import write_csv
from compoundnet.search.answers.axes import compare
from compoundnet.search.answers.coefficients import analyse
from compoundnet.search.answers.page import axes_page, coefficients_page
from compoundnet.search.trials import Outcome
from search.answers.synthetic import axes_study, bowl, study

GAINS = {"depth": (0.02, 0.03), "width": (0.03, 0.05), "resolution": (0.03, 0.05), "compound": (0.06, 0.10)}
HOSTILE = '"><script>alert(1)</script>{{ 7 * 7 }}\x1bcaf\udce9'
MADE = {
    "commands": ["compoundnet coefficients b0 data --phi 1"],
    "recipe": {"epochs": 12, "optimizer": {"name": "sgd"}},
    "data": {"name": "cifar10", "fingerprint": "sha256:12ab"},
    "note": "two cores",
}


class Page(HTMLParser):
    """Attributes of the elements by tag, and the visible text; fails on tags that do not match."""

    _VOID = frozenset({"meta", "link", "img", "wbr", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", "".join(self.words).replace("\u00a0", " ").replace("\u2060", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"td", "th", "dt", "dd", "p", "li", "h1", "h2", "h3", "pre"}:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@cache
def trials() -> list[Outcome]:
    return study(bowl((0.25, 0.35, 0.4)), np.random.default_rng(0), steps=4)


@cache
def coefficients(title: str = "Tiny on CIFAR-10") -> str:
    return coefficients_page(analyse(trials()), trials(), title=title, made=MADE)


@cache
def axes(title: str = "Axes of tiny") -> str:
    outcomes = axes_study(GAINS, np.random.default_rng(0), noise=0.002)
    return axes_page(compare(outcomes), outcomes, title=title, made=MADE)


@pytest.mark.parametrize("make", [coefficients, axes])
def test_asks_nothing_of_any_server(make: Any) -> None:
    html = make()
    page = Page(html)
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", without_names)
    assert page.all("script") == []
    assert all((element.get("href") or "").startswith(("data:", "#")) for element in page.all("link") + page.all("a"))
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")


@pytest.mark.parametrize("make", [coefficients, axes])
def test_ids_are_unique_and_referred_to(make: Any) -> None:
    page, html = Page(make()), make()
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


@pytest.mark.parametrize("make", [coefficients, axes])
def test_the_same_input_gives_the_same_page(make: Any) -> None:
    assert make.__wrapped__() == make()


@pytest.mark.parametrize("make", [coefficients, axes])
def test_drawings_have_words_for_those_who_cannot_see_them(make: Any) -> None:
    drawings = Page(make()).all("svg")
    assert len(drawings) >= 2
    assert all(d["role"] == "img" and len(d["aria-label"] or "") > 20 for d in drawings)


def test_colours_follow_the_readers_theme() -> None:
    html = coefficients()
    assert "prefers-color-scheme: dark" in html
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", html + axes()))
    assert used <= set(re.findall(r"--([a-z0-9]+):", html))


def test_the_answer_comes_first_then_the_warnings_then_the_rest() -> None:
    text = Page(coefficients()).text
    order = (
        "Tiny on CIFAR-10",
        "α",
        "Of a doubled cost, depth takes",
        "Where the best rule lies",
        "Networks The best in each group",
        "What these data support",
    )
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "Before you rely on this" not in text
    one_seed = study(bowl((0.25, 0.35, 0.4)), np.random.default_rng(0), seeds=1)
    warned = Page(coefficients_page(analyse(one_seed), one_seed, title="t")).text
    assert warned.index("Of a doubled cost") < warned.index("Before you rely on this Too few seeds")
    assert "How it was made" not in warned


def test_says_what_a_reader_needs() -> None:
    text = Page(coefficients()).text
    for words in (
        "Against published rules",
        "efficientnet_shipped",
        "phi 1",
        "45 trainings to the end",
        "compoundnet coefficients b0 data --phi 1",
        "optimizer.name sgd",
        "sha256:12ab",
        "Other note two cores",
        "×2",
        "Other images: every network was judged on the same validation images",
        "the intervals, at 90 %, take accuracy for a quadratic of the shares",
        "d·w²·r²",
        "12 epochs.",
    ):
        assert words in text, words


def test_a_flat_surface_has_no_rule_on_top() -> None:
    outcomes = study(bowl((0.3, 0.3, 0.4), 0.0), np.random.default_rng(0))
    text = Page(coefficients_page(analyse(outcomes), outcomes, title="t")).text
    assert text.index("No best rule found") < text.index("The data do not show that any shares are better")
    assert "They say Nothing that noise would not show as well." in text
    assert "The data do not support rule.json, which holds the best that was seen: accuracy does not depend" in text
    assert "support rule.json" not in Page(coefficients()).text


@pytest.mark.parametrize("networks", [1, 2, 3])
def test_a_study_that_has_hardly_begun_has_a_page(networks: int) -> None:
    outcomes = study(bowl((0.3, 0.3, 0.4)), np.random.default_rng(0), networks=networks, seeds=1)
    text = Page(coefficients_page(analyse(outcomes), [], title="t")).text
    assert "Too few networks" in text
    assert "No accuracies by epoch were recorded." in text


def test_the_page_of_axes_says_what_was_found() -> None:
    text = Page(axes()).text
    for words in (
        "Compound scaling beats each axis alone",
        "Accuracy against cost",
        "mean of all",
        "x4: compound beats",
        "Equal time or memory: the rules are equal in MACs",
        "Accuracy with a 95 % interval",
        "d·w²·r²",
        "baseline ×1",
    ):
        assert words in text, words


def test_the_page_has_the_figure_of_larger_bases() -> None:
    wider, starts = {"width at d2 r1.3": (None, 0.08)}, {"width at d2 r1.3": (3.6, 0.07)}
    outcomes = axes_study({**GAINS, **wider}, np.random.default_rng(0), noise=0.002, bases=starts)
    html = axes_page(compare(outcomes, bases=list(starts)), outcomes, title="t")
    text = Page(html).text
    for words in (
        "Of width on larger bases against width on the baseline at equal realised MACs: width at d2 r1.3 is",
        "Width alone on larger bases",
        "Each line begins at a base",
        "x4: width at d2 r1.3 beats width by",
        "width at d2 r1.3 ×3.6",
    ):
        assert words in text, words
    assert len(Page(html).all("svg")) == 3
    ids = [attributes["id"] for _, attributes in Page(html).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "larger base" not in Page(axes()).text


def test_columns_of_which_nothing_is_known_are_left_out() -> None:
    bare = [
        replace(o, candidate=replace(o.candidate, tags={**o.candidate.tags, "activations": None})) for o in trials()
    ]
    heads = Page(coefficients_page(analyse(bare), bare, title="t")).text
    assert "Activations" not in heads
    assert "Parameters" in heads


def test_hostile_names_stay_text() -> None:
    def renamed(outcome: Outcome) -> Outcome:
        tags = {**outcome.candidate.tags, "rule": HOSTILE} if outcome.candidate.tags.get("rule") == "compound" else {}
        who = outcome.candidate
        return replace(outcome, candidate=replace(who, group=who.group + HOSTILE, tags=tags or who.tags))

    one = [renamed(o) for o in trials()]
    other = [renamed(o) for o in axes_study(GAINS, np.random.default_rng(0))]
    made = {"commands": [HOSTILE], HOSTILE: {HOSTILE: HOSTILE}}
    for html in (
        coefficients_page(analyse(one), one, title=HOSTILE, made=made),
        axes_page(compare(other), other, title=HOSTILE, made=made),
    ):
        page = Page(html)
        assert page.all("script") == []
        assert "alert(1)</script>{{ 7 * 7 }}\\x1bcaf\\udce9" in page.text
        html.encode()


def test_tables_come_back_from_csv(tmp_path: Path) -> None:
    table = analyse(trials()).table()
    write_csv(table, tmp_path / "networks.csv")
    with (tmp_path / "networks.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == [row["accuracy"] for row in table]
    assert [float(row["nominal_product"]) for row in rows] == [row["nominal_product"] for row in table]
    assert list(rows[0]) == list(table[0])
