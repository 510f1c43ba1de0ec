"""Limits: units as people write them, and lines for what cannot be."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet import architecture, cost
from compoundnet.errors import RequestError
from compoundnet.scaling.budget import LIMITS, Budget, parse_quantity, shown, spent


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1.8G", "count", 1.8e9),
        ("1.8g", "count", 1.8e9),
        ("20M", "count", 20e6),
        ("300k", "count", 300e3),
        ("300K", "count", 300e3),
        ("5e6", "count", 5e6),
        ("12345", "count", 12345),
        (" 2.5 G ", "count", 2.5e9),
        (".5G", "count", 0.5e9),
        ("64MB", "bytes", 64e6),
        ("64MiB", "bytes", 64 * 2**20),
        ("8GiB", "bytes", 8 * 2**30),
        ("64mib", "bytes", None),  # m is milli
        ("2000000", "bytes", 2e6),
        ("700kB", "bytes", 700e3),
        ("700KB", "bytes", 700e3),
        ("15", "ms", 15),
        ("15ms", "ms", 15),
        ("0.5s", "ms", 500),
        ("900us", "ms", 0.9),
        ("2S", "ms", 2000),
        ("64mB", "bytes", None),
    ],
)
def test_units(text: str, unit: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(RequestError, match=text):
            parse_quantity(text, unit, "--max-x")  # type: ignore[arg-type]
    else:
        assert parse_quantity(text, unit, "--max-x") == pytest.approx(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "unit", "told"),
    [
        ("1.8GB", "count", "counts operations or elements, not bytes"),
        ("1.8GiB", "count", "not bytes"),
        ("64M", "bytes", "it has no B, and bytes end in B"),
        ("8Gi", "bytes", "it has no B"),
        ("5Ms", "ms", "'Ms' is no unit of it"),  # M is mega
        ("5MS", "ms", "'MS' is no unit of it"),
        ("1.8 giga", "count", "'giga' is no unit"),
        ("1.8m", "count", "'m' is no unit"),
        ("15GB", "ms", "'GB' is no unit"),
        ("", "count", "must be a number"),
        ("G", "count", "must be a number"),
        ("1,8G", "count", "must be a number"),
        ("nan", "count", "must be a number"),
        ("inf", "count", "must be a number"),
        ("-1G", "count", "must be positive"),
        ("0", "bytes", "must be positive"),
        ("1e999", "count", "is too large"),
        ("1e300T", "count", "is too large"),
        ("64Mb", "bytes", "bytes end in B"),
        ("8gb", "bytes", "bytes end in B"),
        ("0x10", "count", "must be a number"),
    ],
)
def test_what_is_no_quantity(text: str, unit: str, told: str) -> None:
    with pytest.raises(RequestError, match=told) as caught:
        parse_quantity(text, unit, "--max-x")  # type: ignore[arg-type]
    assert f"--max-x is {text!r}" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=12), st.sampled_from(("count", "bytes", "ms")))
def test_any_text_is_a_positive_number_or_a_line(text: str, unit: str) -> None:
    try:
        value = parse_quantity(text, unit, "--max-x")  # type: ignore[arg-type]
    except RequestError as error:
        assert repr(text) in str(error)
    else:
        assert 0 < value < math.inf


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "1G", 10**400])
@pytest.mark.parametrize("name", [limit.name for limit in LIMITS])
def test_a_limit_that_cannot_be(name: str, value: object) -> None:
    with pytest.raises(RequestError, match=f"limit on {name} is {value!r:.60}") as caught:
        Budget(**{name: value})  # type: ignore[arg-type]
    assert "such as 1.8G" not in str(caught.value)  # a text, which it refuses


@pytest.mark.parametrize("number", [np.float32(2e6), np.float64(2e6), np.int64(2e6), 2_000_000])
def test_numbers_of_any_kind_are_kept_as_pythons(number: float) -> None:
    budget = Budget(macs=number)
    assert budget == Budget(macs=2e6)
    assert json.dumps(budget.limits()) == '{"macs": 2000000.0}'


def test_a_batch_size_of_numpy_is_a_plain_one() -> None:
    batch_size = Budget(training_bytes=1e9, batch_size=np.int64(16)).batch_size  # type: ignore[arg-type]
    assert type(batch_size) is int and batch_size == 16
    for wrong in (0, -1, True, 1.5, np.float64(2)):
        with pytest.raises(RequestError, match="batch_size"):
            Budget(training_bytes=1e9, batch_size=wrong)  # type: ignore[arg-type]


def test_a_budget_needs_a_limit() -> None:
    with pytest.raises(RequestError, match=r"no limit is given.*macs \(--max-macs\)"):
        Budget()


def test_a_batch_size_needs_its_limit() -> None:
    with pytest.raises(RequestError, match="batch_size goes with"):
        Budget(macs=1e9, batch_size=8)
    with pytest.raises(RequestError, match="batch_size is 0"):
        Budget(training_bytes=1e9, batch_size=0)


def test_what_is_spent_of_each_limit() -> None:
    price = cost(architecture("efficientnet_b0"))
    names = [limit.name for limit in LIMITS]
    used = spent(price, Budget(**dict.fromkeys(names, 1.0), batch_size=4), training_bytes=9, latency_ms=7.5)  # type: ignore[arg-type]
    assert list(used) == names
    assert used["macs"] == 385_814_752
    assert used["memory_bytes"] == price.inference_bytes
    assert used["training_bytes"] == 9
    assert used["latency_ms"] == 7.5
    assert Budget(training_bytes=1e9).training_images == 32


def test_shown() -> None:
    assert [shown("macs", 1.8e9), shown("memory_bytes", 64e6), shown("latency_ms", 15.04)] == [
        "1.80\xa0G",
        "64.0\xa0MB",
        "15\xa0ms",
    ]
    assert shown("macs", 1e-320) == "1e-320"
    assert shown("params", 1e30) == "1e+30"
    assert [shown("latency_ms", ms) for ms in (0, 0.01234, 999.4, 999.7, 40_000.26, 1e30)] == [
        "0\xa0ms",
        "0.0123\xa0ms",
        "999\xa0ms",
        "1,000\xa0ms",
        "40,000\xa0ms",
        "1e+30\xa0ms",
    ]
