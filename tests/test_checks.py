"""Each check takes what is right and refuses the rest in one line that names the field and says what would do."""

import errno
import math
import re
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.checks import (
    LARGEST,
    check_choice,
    check_number,
    check_odd,
    check_text,
    check_whole,
    check_writable,
    check_yes_or_no,
    finite,
)
from compoundnet.errors import RequestError

SHARE = "lie in [0, 1)"


def share(value: object) -> None:
    check_number("rate", value, lambda x: 0 <= x < 1, SHARE)


WRONG: list[tuple[Callable[[], None], str]] = [
    (lambda: check_whole("n", 0), "n is 0; it must be a positive integer"),
    (lambda: check_whole("n", -3), "n is -3; it must be a positive integer"),
    (lambda: check_whole("n", 3.0), "n is 3.0; it must be a positive integer"),
    (lambda: check_whole("n", True), "n is True; it must be a positive integer"),
    (lambda: check_whole("n", "3"), "n is '3'; it must be a positive integer"),
    (lambda: check_whole("n", LARGEST + 1), "n is 1000001; it must be a positive integer, at most 1000000"),
    (lambda: check_whole("n", 9, most=8), "n is 9; it must be a positive integer, at most 8"),
    (lambda: check_whole("n", -1, least=0), "n is -1; it must be an integer of at least 0"),
    (lambda: check_odd("k", 4), "k is 4; it must be odd, such as 3 or 5"),
    (lambda: check_odd("k", 0), "k is 0; it must be a positive integer"),
    (lambda: share(1), "rate is 1; it must lie in [0, 1)"),
    (lambda: share(math.nan), "rate is nan; it must lie in [0, 1)"),
    (lambda: share("0.5"), "rate is '0.5'; it must lie in [0, 1)"),
    (lambda: check_number("n", 10**400, lambda x: x > 0, "be small"), "n is 1000000"),
    (lambda: check_number("n", math.inf, lambda x: x > 0, "be finite"), "n is inf; it must be finite"),
    (lambda: share(False), "rate is False; it must lie in [0, 1)"),
    (lambda: share(None), "rate is None; it must lie in [0, 1)"),
    (lambda: check_choice("colour", "gren", ("blue", "green")), "unknown colour 'gren'; did you mean 'green'?"),
    (lambda: check_choice("colour", None, ("blue",)), "unknown colour 'None'; known: blue"),
    (lambda: check_choice("colour", ["blue"], ("blue",)), "unknown colour"),
    (lambda: check_yes_or_no("skip", 1), "skip is 1; it must be true or false"),
    (lambda: check_yes_or_no("skip", None), "skip is None; it must be true or false"),
    (lambda: check_text("name", "", "my_net"), "name is ''; it must be a text, such as 'my_net'"),
    (lambda: check_text("name", 3, "my_net"), "name is 3; it must be a text, such as 'my_net'"),
]


@pytest.mark.parametrize(("check", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_is_wrong(check: Callable[[], None], message: str) -> None:
    with pytest.raises(RequestError, match=f"^{re.escape(message)}") as raised:
        check()
    assert "\n" not in str(raised.value)


@given(st.integers(1, LARGEST))
def test_whole_numbers(value: int) -> None:
    check_whole("n", value)
    if value % 2:
        check_odd("k", value)


def test_what_is_right() -> None:
    check_whole("n", 0, least=0)
    check_whole("n", 8, most=8)
    share(0)
    share(0.5)
    check_choice("colour", "blue", (name for name in ("green", "blue")))
    check_yes_or_no("skip", False)
    check_text("name", "x", "my_net")


@pytest.mark.parametrize("number", [0, -1.5, 10**300, np.float32(1), np.int64(2), Fraction(1, 3)])
def test_finite_numbers(number: object) -> None:
    assert finite(number)


@pytest.mark.parametrize("other", [math.nan, math.inf, -math.inf, 10**400, np.nan, True, np.True_, "1", None, 1j])
def test_what_is_no_finite_number(other: object) -> None:
    assert not finite(other)


def test_a_place_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("mine")
    for path in (tmp_path / "new", tmp_path / "old", tmp_path / "a" / "b" / "new"):
        check_writable(path)
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for path, why in (
        (tmp_path, "it is a folder"),
        (tmp_path / "file" / "x", "is no folder"),
        (tmp_path / "file" / "y" / "x", "is no folder"),
        (tmp_path / ("x" * 300) / "y", "File name too long"),
    ):
        with pytest.raises(RequestError, match=re.escape(f"cannot write {str(path)!r}: ")) as raised:
            check_writable(path)
        assert why in str(raised.value)

    def refused(**asked: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refused)  # root, who may run the tests, may write anywhere
    said = re.escape(f"{str(tmp_path)!r} takes no file: Permission denied")
    with pytest.raises(RequestError, match=said):
        check_writable(tmp_path / "a" / "x")


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="only Linux has a folder that takes no file, even of root's"
)
def test_a_folder_that_takes_no_file_of_anybody() -> None:
    with pytest.raises(RequestError, match="'/proc' takes no file"):
        check_writable(Path("/proc/x.json"))
