"""Counts of factories' networks: kept for the next process, never those of other code."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compoundnet.baselines import FactoryBaseline, open_baseline
from compoundnet.baselines.counts import Counts, counts_file
from compoundnet.cost import Cost
from factories import NET, chain, written

ONE = Cost(params=1, macs=2, activations=3, weights_bytes=4, inference_bytes=5, training_bytes_per_image=6)
TWO = replace(ONE, macs=7)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_another_process_finds_them(tmp_path: Path) -> None:
    file = tmp_path / "counts" / "f.jsonl"
    counts = Counts(file)
    counts.add((1.0, 2.0**0.25, 224), ONE)
    counts.add((1.0, 1.0, 232), TWO)
    again = Counts(file)
    assert again.find((1.0, 2.0**0.25, 224)) == ONE and again.find((1.0, 1.0, 232)) == TWO
    assert again.find((1.0, 1.0, 240)) is None and len(again) == 2


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    Counts(file).add((1.0, 1.0, 224), ONE)
    whole = file.read_bytes()
    file.write_bytes(b"\xff{\n[1, 2]\n[1, 1, 8, {}]\nnull\n" + b"[" * 100_000 + b"\n" + whole + whole[:20])
    assert Counts(file).find((1.0, 1.0, 224)) == ONE and len(Counts(file)) == 1


def test_a_place_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    counts = Counts(tmp_path / "file" / "f.jsonl")
    counts.add((1.0, 1.0, 224), ONE)
    counts.confirm((1.0, 1.0, 224), TWO)
    assert counts.find((1.0, 1.0, 224)) == TWO


def test_a_count_that_differs_discards_all(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    counts = Counts(file)
    counts.add((1.0, 1.0, 224), ONE)
    counts.add((2.0, 1.0, 224), ONE)
    counts.confirm((1.0, 1.0, 224), ONE)
    assert len(counts) == len(Counts(file)) == 2
    counts.confirm((1.0, 1.0, 224), TWO)
    assert len(counts) == len(Counts(file)) == 1
    assert Counts(file).find((1.0, 1.0, 224)) == TWO


def test_long_counting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    now = [0.0]
    monkeypatch.setattr("compoundnet.baselines.counts.time.monotonic", lambda: now[0])
    counts = Counts(tell=told.append)
    for i in range(30):
        now[0] += 1
        counts.add((1.0, 1.0, i), ONE)
    assert [line.split()[0] for line in told] == ["11", "22"]


def test_a_factory_that_was_changed_is_counted_anew(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(tmp_path, monkeypatch, "changing_factory")
    first = open_baseline(name, 32)
    assert isinstance(first, FactoryBaseline)
    wide = first.count(1.0, 1.5, 48)
    assert len(list((cache / "counts").iterdir())) == 1
    monkeypatch.setattr(FactoryBaseline, "count_anew", counting(monkeypatch))
    again = open_baseline(name, 32)
    assert isinstance(again, FactoryBaseline)
    anew.clear()
    assert again.count(1.0, 1.5, 48) == wide and anew == []
    written(tmp_path, monkeypatch, "changing_factory", NET.replace("8 * width", "16 * width"))
    reload("changing_factory")
    changed = open_baseline(name, 32)
    assert isinstance(changed, FactoryBaseline)
    assert changed.count(1.0, 1.5, 48).macs > 2 * wide.macs


anew: list[tuple[float, float, int]] = []


def counting(monkeypatch: pytest.MonkeyPatch) -> object:
    real = FactoryBaseline.count_anew

    def counted(self: FactoryBaseline, *key: float) -> Cost:
        anew.append(key)  # type: ignore[arg-type]
        return real(self, *key)  # type: ignore[arg-type]

    return counted


def reload(module: str) -> None:
    """As a new process would import it."""
    del sys.modules[module]
    importlib.invalidate_caches()


def test_what_a_factory_imports_may_change_too(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own file stays as it was; that the baseline costs something else is found out."""
    (tmp_path / "their_widths.py").write_text("BASE = 8\n")
    text = "import their_widths\n" + NET.replace("8 * width", "their_widths.BASE * width")
    name = written(tmp_path, monkeypatch, "importing_factory", text)
    first = open_baseline(name, 32)
    assert isinstance(first, FactoryBaseline)
    before = first.count(1.0, 1.5, 48)
    (tmp_path / "their_widths.py").write_text("BASE = 24\n")
    for module in ("importing_factory", "their_widths"):
        reload(module)
    second = open_baseline(name, 32)
    assert isinstance(second, FactoryBaseline)
    assert second.count(1.0, 1.5, 48).macs > 2 * before.macs
    assert len(list((cache / "counts").iterdir())) == 1  # the file's name is the same


def test_a_file_is_of_one_factory_at_one_side() -> None:
    one = counts_file("factories:chain", chain, 224)
    assert one is not None and one.name.startswith("factories-chain-")
    assert counts_file("factories:chain", chain, 224) == one
    assert counts_file("factories:chain", chain, 32) != one
    assert counts_file("elsewhere:chain", chain, 224) != one
    assert counts_file("nowhere:max", max, 224) is None  # without a source
