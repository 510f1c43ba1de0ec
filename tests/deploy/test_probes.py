"""Probes: repeatable, of bounded size, and with every kind of work among them."""

from itertools import islice

import pytest

from compoundnet.architecture import Architecture
from compoundnet.cost import cost, layers
from compoundnet.deploy import probes as module
from compoundnet.deploy.probes import probes
from compoundnet.deploy.profile import LEAST_NETWORKS
from compoundnet.errors import RequestError
from compoundnet.scaling.work import WORK, work_of


def first(count: int, seed: int = 0, batch_size: int = 1) -> list[Architecture]:
    return list(islice(probes(seed, batch_size), count))


def test_the_same_seed_draws_the_same() -> None:
    assert first(10) == first(10)
    assert first(10) != first(10, seed=1)


def test_the_least_number_shows_every_kind_of_work() -> None:
    drawn = first(LEAST_NETWORKS)
    seen = {work.name for arch in drawn for layer in layers(arch) for work in work_of(layer, arch, 1) if work.amount}
    assert set(WORK) - seen == set()


def test_sizes_are_bounded_for_the_whole_batch() -> None:
    for arch in first(60, batch_size=64):
        spent = cost(arch)
        assert 3e5 < spent.macs < 1e9 / 8
        assert spent.inference_bytes * 64 < 1e9


def test_sizes_differ() -> None:
    macs = sorted(cost(arch).macs for arch in first(60))
    assert macs[10] < 2e7
    assert macs[-10] > 2e8


def test_there_are_some_for_the_largest_batch() -> None:
    assert len(first(8, batch_size=1024)) == 8


def test_a_batch_of_which_nothing_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends, and says so; none has both 300,000 multiply-adds and fewer than a millionth of a billion's root."""
    monkeypatch.setattr(module, "_DRAWS", 30)
    with pytest.raises(RequestError, match="batch_size is 1000000000; no network is small enough"):
        first(1, batch_size=10**9)
