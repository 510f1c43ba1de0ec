"""Errors say what was asked for and what would work."""

import pytest

from compoundnet.errors import FailureError, RequestError, StoppedError, foreign, unknown


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("gren", ["blue", "green"], "unknown colour 'gren'; did you mean 'green'?"),
        ("reen", ["green", "greed", "blue"], "unknown colour 'reen'; did you mean 'green' or 'greed'?"),
        ("xyz", ["red", "blue"], "unknown colour 'xyz'; known: blue, red"),
        ("", ["red", "blue"], "unknown colour ''; known: blue, red"),
    ],
)
def test_unknown_names_the_nearest_or_all(name: str, known: list[str], text: str) -> None:
    assert str(unknown("colour", name, known)) == text


def test_unknown_suggests_three_at_most() -> None:
    assert str(unknown("name", "a1", ["a1x", "a1y", "a1z", "a1w"])).count("'a1") == 1 + 3


def test_unknown_takes_any_iterable_once() -> None:
    assert "did you mean 'green'?" in str(unknown("colour", "gren", iter(["green"])))


def test_kinds() -> None:
    """A bad request is a ValueError, as Python's own; work that failed or stopped is not."""
    assert isinstance(unknown("colour", "gren", ["green"]), RequestError)
    assert issubclass(RequestError, ValueError)
    assert not issubclass(FailureError, ValueError)
    assert not issubclass(StoppedError, (ValueError, RuntimeError))


def test_the_message_of_somebody_elses_error_may_fail_itself() -> None:
    class Bad(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    assert foreign(Bad()) == "Bad: its message raised ValueError"
