"""The page as a reader's browser takes it: whole, offline, ordered, legible, and deaf to hostile names."""

import errno
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compoundnet.architecture import Architecture
from compoundnet.cost import cost
from compoundnet.errors import RequestError
from compoundnet.evaluate import Mistake, ReportInput, evaluate_logits, render_report, write_report
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo import architecture
from conftest import needs_shared

_VOID = {"meta", "link", "img", "wbr", "br"}
_CSS = files("compoundnet.evaluate").joinpath("report.css").read_text()


class Page(HTMLParser):
    """Elements with their attributes, ids, headings and visible text; fails on tags that do not match."""

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
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in {"td", "th", "dt", "dd", "p", "h1", "h2", "h3"}:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def arch() -> Architecture:
    return replace(architecture("tf_efficientnetv2_b0"), classes=2)


def made(arch: Architecture, classes: list[str] | None = None, **changes: Any) -> ReportInput:
    """197 of 200 right, in two classes."""
    truth = np.arange(200) % 2
    logits = np.eye(2)[np.where(np.arange(200) < 3, 1 - truth, truth)] * 4
    test = evaluate_logits(logits, truth, classes or ["cat", "dog"])
    epochs = [
        {"kind": "epoch", "phase": "all", "epoch": i, "train_loss": 0.5, "val_top1": 0.9, "images_per_s": 60 + i}
        for i in range(3)
    ]
    values: dict[str, Any] = {
        "title": "Cats and dogs",
        "architecture": arch,
        "cost": cost(arch),
        "evaluations": {"test": test, "validation": replace(test, top1=0.9)},
        "history": epochs,
        "mistakes": [],
        "recipe": {"name": "finetune", "optimizer": {"lr": 0.001}},
        "data": {
            "name": "pets",
            "fingerprint": "sha256:12ab",
            "counts": {"train": {"cat": 300, "dog": 299}, "test": {"cat": 100, "dog": 100}},
            "bad": [{"file": "train/cat/broken.png", "reason": "cannot identify image"}],
            "notes": ["A fifth was set aside."],
            "seed": 7,
        },
        "versions": {"torch": "2.15.0"},
        "weights": "v2_b0.safetensors",
        "preprocessing": Preprocessing(resolution=224),
    }
    return ReportInput(**{**values, **changes})


def photograph(path: Path, size: tuple[int, int] = (640, 480)) -> Path:
    Image.effect_noise(size, 80).convert("RGB").save(path)
    return path


def test_says_what_a_reader_needs(arch: Architecture) -> None:
    text = Page(render_report(made(arch))).text
    for words in (
        "98.5 % of 200 test images right (95.7–99.5 %)",
        "197 right, 3 wrong",
        "3 epochs, 61 images a second",
        "5.86 M",
        "FusedMBConv",
        "optimizer.lr 0.001",
        "cat 300 100 dog 299 100 all 599 200",
        "train/cat/broken.png cannot identify image",
        "A fifth was set aside.",
        "seed 7",
        "v2_b0.safetensors",
        "torch 2.15.0",
        "short side to 256 pixels",
        "None were recorded",
    ):
        assert words in text, words


def test_exact_costs_are_at_hand(arch: Architecture) -> None:
    exact = {attributes["value"]: attributes["title"] for attributes in Page(render_report(made(arch))).all("data")}
    whole = cost(arch)
    for value in (whole.params, whole.macs, whole.activations, whole.weights_bytes, whole.inference_bytes):
        assert (exact[str(value)] or "").startswith(f"{value:,}")


def test_is_one_offline_page(arch: Architecture, tmp_path: Path) -> None:
    mistake = Mistake(file=photograph(tmp_path / "a.jpg"), label="cat", predicted="dog", probability=0.97)
    html = render_report(made(arch, mistakes=[mistake]))
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    assert not {"script", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    assert re.findall(r"(?:@import|url\()[^)]*", html) == []
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none'")


def test_is_ordered_for_those_who_cannot_see_it(arch: Architecture, tmp_path: Path) -> None:
    mistake = Mistake(file=photograph(tmp_path / "a.jpg"), label="cat", predicted="dog", probability=0.97)
    page = Page(render_report(made(arch, mistakes=[mistake])))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in page.all("svg"))
    boxes = [attributes for _, attributes in page.elements if "tabindex" in attributes]
    assert boxes
    assert all(box.get("role") == "region" and box.get("aria-label") for box in boxes)


def test_mistakes_come_as_small_pictures(arch: Architecture, tmp_path: Path) -> None:
    photographs = [photograph(tmp_path / f"cat.{i}.jpg") for i in range(14)]
    mistakes = [Mistake(file=f, label="cat", predicted="dog", probability=0.97) for f in photographs]
    html = render_report(made(arch, mistakes=mistakes))
    page = Page(html)
    assert len(page.all("img")) == 12
    assert "97.0 % sure · cat.0.jpg" in page.text
    assert len(html) < 1_000_000
    assert not any("pixels" in (image.get("class") or "") for image in page.all("img"))


def test_tiny_pictures_are_enlarged_without_blur(arch: Architecture, tmp_path: Path) -> None:
    tiny = Mistake(file=photograph(tmp_path / "8.png", (8, 8)), label="3", predicted="8", probability=0.5)
    (image,) = Page(render_report(made(arch, mistakes=[tiny]))).all("img")
    assert image["class"] == "pixels"


def test_a_lost_picture_is_told_not_fatal(arch: Architecture, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"no picture")
    mistakes = [
        Mistake(file=file, label="cat", predicted="dog", probability=0.9) for file in (tmp_path / "gone.jpg", damaged)
    ]
    page = Page(render_report(made(arch, mistakes=mistakes)))
    assert page.text.count("No picture: ") == 2
    assert "gone.jpg" in page.text
    assert page.all("img") == []


def test_no_mistake_is_said(arch: Architecture) -> None:
    truth = np.arange(20) % 2
    perfect = evaluate_logits(np.eye(2)[truth], truth, ["cat", "dog"])
    text = Page(render_report(made(arch, evaluations={"test": perfect}))).text
    assert "None: all 20 test images are right." in text
    assert "100 % of 20 test images right (83.9–100 %)" in text


def test_the_least_there_can_be_still_makes_a_page(arch: Architecture) -> None:
    text = Page(render_report(made(arch, history=[], recipe={}, data={}, versions={}, weights=None))).text
    assert "No epoch was recorded." in text
    assert "none: trained from scratch" in text


def test_of_many_classes_the_worst_come_first(arch: Architecture) -> None:
    truth = np.repeat(np.arange(20), 10)
    predicted = np.where((truth == 17) & (np.arange(200) % 2 == 0), 3, truth)
    found = evaluate_logits(np.eye(20)[predicted], truth, [f"class{i}" for i in range(20)])
    text = Page(render_report(made(arch, evaluations={"validation": found}))).text
    assert "The worst come first." in text
    assert text.index("class17 10 100 % 50.0 %") < text.index("class3 10")
    assert "Within top 5" in text
    assert "Within top 5" not in Page(render_report(made(arch))).text


def test_hostile_names_stay_text(arch: Architecture, tmp_path: Path) -> None:
    script, image = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
    file = tmp_path / "{{ 7*7 }}<b>\udce9.jpg"
    mistake = Mistake(file=file, label=script, predicted=image, probability=0.9)
    hostile = made(
        arch,
        classes=[script, image],
        title=script,
        mistakes=[mistake],
        evaluations={image: made(arch, classes=[script, image]).evaluations["test"]},
        data={
            "name": script,
            "counts": {image: {script: 3}},
            "bad": [{"file": image, "reason": script}],
            image: script,
        },
        recipe={image: {script: image}},
        versions={script: image},
        weights=script,
    )
    html = render_report(hostile)
    page = Page(html)
    assert html.encode("utf-8")
    assert not {"script", "b"} & {tag for tag, _ in page.elements}
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "{{ 7*7 }}<b>\\udce9.jpg" in page.text
    assert page.text.count(script) >= 8


def test_same_input_same_page(arch: Architecture) -> None:
    assert render_report(made(arch)) == render_report(made(arch))


def test_a_report_needs_an_evaluation(arch: Architecture) -> None:
    with pytest.raises(RequestError, match="'Cats and dogs' has no evaluation"):
        render_report(made(arch, evaluations={}))


def test_writes_the_page(arch: Architecture, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    write_report(target, made(arch))
    assert target.read_text(encoding="utf-8") == render_report(made(arch))
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_written_is_named_and_nothing_is_lost(
    arch: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_text("the last one")

    def full(self: Path, other: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_report(target, made(arch))
    assert target.read_text() == "the last one"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_in_the_way_is_named(arch: Architecture, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_report(tmp_path / "report.html", made(arch))


def themes() -> list[dict[str, str]]:
    """The colours of the light, the dark and the printed page."""
    blocks = re.findall(r":root \{([^}]*)\}", _CSS)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]


def channels(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def contrast(one: list[float], other: list[float]) -> float:
    """Contrast ratio of two sRGB colours (WCAG 2.2)."""

    def luminance(rgb: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark", "print"])
def test_text_is_legible(theme: dict[str, str]) -> None:
    """AA: 4.5 for text, 3 for lines that carry meaning; counts also on the deepest shade of a cell, 0.6."""
    colours = {name: channels(value) for name, value in theme.items()}
    for ground in (colours["paper"], colours["card"]):
        for text in ("ink", "muted", "c2"):
            assert contrast(colours[text], ground) >= 4.5, text
        for line in ("c1", "c2", "c3"):
            assert contrast(colours[line], ground) >= 3, line
    for heat in ("heat1", "heat2"):
        for share in (0.12, 0.6):
            cell = [share * c + (1 - share) * p for c, p in zip(colours[heat], colours["paper"], strict=True)]
            assert contrast(colours["ink"], cell) >= 4.5, heat


@needs_shared("data/cats_dogs/test")
def test_real_photographs_fit_the_page(arch: Architecture, shared: Path) -> None:
    photographs = sorted((shared / "data/cats_dogs/test/dog").glob("*.jpg"))[:12]
    mistakes = [Mistake(file=file, label="dog", predicted="cat", probability=0.8) for file in photographs]
    html = render_report(made(arch, mistakes=mistakes))
    assert len(Page(html).all("img")) == 12
    assert len(html) < 600_000


def test_control_characters_are_shown_as_escapes(arch: Architecture) -> None:
    """vl-convert would end the process over them."""
    page = render_report(made(arch, classes=["a\x1b", "b\ufffe"]))
    assert "a\\x1b" in page
    assert "\x1b" not in page
    assert "\ufffe" not in page
