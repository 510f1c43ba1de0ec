"""The folder: a whole offline page, pictures, a table; and no other report is lost."""

import csv
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from compare.runs import write_run
from compoundnet.compare import Comparison, compare
from compoundnet.compare.chart import drawings
from compoundnet.compare.page import check_folder, render, write_folder
from compoundnet.compare.table import flat_rows, text_table
from compoundnet.errors import RequestError

GIVEN = ("efficientnet_b0", "efficientnet_b1", "resnet50", "Inception-v3", "GPipe", "mbconv_tiny")


class Page(HTMLParser):
    """Attributes of the elements by tag, and the visible text; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", "".join(self.words).replace("\u00a0", " "))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.words.append(" " if tag in {"td", "th", "p", "h1", "h2", "h3", "strong"} else "")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


@cache
def comparison() -> Comparison:
    return compare(GIVEN)


@cache
def html() -> str:
    return render(comparison(), drawings(comparison()))


def test_asks_nothing_of_any_server() -> None:
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html())
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", without_names)
    page = Page(html())
    assert not any(tag in ("script", "img", "iframe") for tag, _ in page.elements)
    policy = [a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv")]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_ids_are_unique_and_drawings_have_words() -> None:
    page = Page(html())
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    drawn = [a for tag, a in page.elements if tag == "svg"]
    assert len(drawn) == 3
    assert all(a["role"] == "img" and "EfficientNet-B" in (a["aria-label"] or "") for a in drawn)


def test_colours_follow_the_readers_theme() -> None:
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", html()))
    assert used <= set(re.findall(r"--([a-z0-9]+):", html()))


def test_says_what_a_reader_needs() -> None:
    text = Page(html()).text
    for words in (
        "GPipe The most accurate of 5, as published: 84.3 % on ImageNet with 557 M parameters.",
        "EfficientNet-B0 224 5.29 M 386 M",
        "Inception-v3 299 (24 M) (5.7 G)",
        "EfficientNet, arXiv:1905.11946v5, Table 2",
        "MACs: 0.687 G are counted here",
        "Not drawn, as that cost was not known of them: GPipe.",
        "Hollow: cost as published",
        "trained by different people with different recipes",
    ):
        assert words in text, words
    assert "Your runs" not in text
    assert "Latency" not in text


def test_runs_stand_apart_and_are_marked(tmp_path: Path) -> None:
    found = compare(["efficientnet_b0", write_run(tmp_path / "mine", 0.995)])
    page = render(found, drawings(found))
    text = Page(page).text
    assert text.index("Published accuracy") < text.index("Your runs")
    assert "not to be compared with the published accuracies above" in text
    assert "mine As measured: 99.5 % on pets, test" in text
    shown = page[page.index("<h2>Published accuracy") : page.index("<h2>Your runs")]
    assert "mine" not in re.findall(r">([^<>]+)</text>", shown)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)<" + "{{ 7 * 7 }}\x1b"
    found = compare([write_run(tmp_path / "run", images=hostile)])
    page = render(found, drawings(found))
    assert "<script" not in page
    assert "{{ 7 * 7 }}\\x1b" in Page(page).text
    write_folder(found, tmp_path / "out")


def test_the_same_input_gives_the_same_page() -> None:
    assert render(comparison(), drawings(comparison())) == html()


def test_writes_a_page_a_table_and_pictures(tmp_path: Path) -> None:
    found = compare(["efficientnet_b0", "Inception-v3", write_run(tmp_path / "mine")])
    files = write_folder(found, tmp_path / "new" / "out", "macs")
    names = {"report.html", "compare.csv", "compare.png", "compare.svg", "runs.png", "runs.svg"}
    assert {file.name for file in files} == names == {file.name for file in (tmp_path / "new" / "out").iterdir()}
    picture = (tmp_path / "new" / "out" / "compare.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    drawn = (tmp_path / "new" / "out" / "compare.svg").read_text()
    assert "multiply-adds" in drawn and "var(--" not in drawn
    with (tmp_path / "new" / "out" / "compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["EfficientNet-B0", "Inception-v3", "mine"]
    assert (rows[0]["params"], rows[1]["params"], rows[1]["published_params"]) == ("5288548", "", "24000000")
    check_folder(tmp_path / "new" / "out")
    write_folder(found, tmp_path / "new" / "out")


def test_another_report_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("of a training")
    with pytest.raises(RequestError, match="holds another report, which would be lost"):
        check_folder(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot write"):
        check_folder(tmp_path / "file")


def test_nothing_is_written_where_nothing_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="nothing to draw"):
        write_folder(compare(["mbconv_tiny"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_flat_rows_all_have_the_same_keys() -> None:
    rows: list[dict[str, Any]] = flat_rows(comparison())
    assert len({tuple(row) for row in rows}) == 1
    assert rows[0]["inference_bytes"] == 33_967_000


def test_the_table_of_a_terminal_is_aligned() -> None:
    lines = text_table(comparison()).splitlines()
    end = lines.index("")
    assert end == len(GIVEN) + 1
    place = lines[0].index("Measured on")
    assert all(line[place - 2 : place] == "  " and line[place] != " " for line in lines[:end])
    assert lines[end + 2].startswith("[1] EfficientNet, arXiv:1905.11946v5, Table 2")
