"""A comparator is counted once; what was kept is believed only if it can be a cost of this very network."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from compoundnet.compare.counting import counted_cost, kept_file
from compoundnet.costs import cost
from compoundnet.zoo import Comparator, network


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparator:
    monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path))
    found = network("alexnet")
    assert isinstance(found, Comparator)
    return replace(found, classes=7)


def test_counts_once_and_says_so(small: Comparator) -> None:
    told: list[str] = []
    first = counted_cost(small, told.append)
    assert first == cost(small)
    assert len(told) == 1 and "alexnet" in told[0] and "kept" in told[0]
    assert counted_cost(small, told.append) == first
    assert len(told) == 1
    assert kept_file(replace(small, classes=8)) != kept_file(small)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"params": -1}', "[" * 100_000])
def test_what_is_no_cost_is_counted_anew(small: Comparator, content: str) -> None:
    file = kept_file(small)
    file.parent.mkdir(parents=True)
    file.write_text(content)
    told: list[str] = []
    assert counted_cost(small, told.append) == cost(small)
    assert len(told) == 1
    assert json.loads(file.read_text()) == asdict(cost(small))


def test_a_cache_that_cannot_be_written_costs_only_time(small: Comparator, tmp_path: Path) -> None:
    (tmp_path / "counts").write_text("a file where the folder should be")
    assert counted_cost(small, lambda text: None) == cost(small)


def test_an_architecture_is_not_kept(small: Comparator) -> None:
    told: list[str] = []
    assert counted_cost(network("mobilenetv2_100"), told.append).params == 3_504_872
    assert told == []
