"""JSON text to values, with errors that name the place."""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from compoundnet.errors import RequestError, unknown

__all__ = ["LATER", "Reader", "parse", "read", "read_kind", "read_list", "written"]

_T = TypeVar("_T")
Reader = Callable[[Any, str], Any]
"""From what JSON holds at a place, and the name of that place, to a value."""


LATER: Mapping[str, Any] = {"later": True}
"""Metadata of a field that came later: written only where it is not its default, so that what was written before
it came, studies among it, stays the same."""


def written(value: Any) -> Any:
    """A dataclass as JSON holds it: its fields in order, those that came ``LATER`` where they say something."""
    if isinstance(value, tuple):
        return [written(entry) for entry in value]
    if not is_dataclass(value):
        return value
    known = ((f, getattr(value, f.name)) for f in fields(value))
    return {f.name: written(v) for f, v in known if not (f.metadata.get("later") and v == f.default)}


def parse(text: str) -> Any:
    """What the text holds; RequestError if it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists without end
        raise RequestError(f"not JSON: {error}") from error


def read(cls: type[_T], record: Any, where: str, nested: Mapping[str, Reader] | None = None) -> _T:
    """``cls(**record)``, the fields in ``nested`` read first; RequestError names a wrong or missing key."""
    if not isinstance(record, dict):
        raise RequestError(f"{where} is {record!r:.60}; it must be a JSON object")
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in record:
        if key not in known:
            raise unknown(f"field in {where}", key, known)
    missing = [n for n, f in known.items() if n not in record and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise RequestError(f"{where} lacks {', '.join(missing)}")
    readers = nested or {}
    values = {key: readers[key](v, f"{where}.{key}") if key in readers else v for key, v in record.items()}
    try:
        return cls(**values)
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error


def read_list(reader: Reader) -> Reader:
    """A tuple of what ``reader`` makes of each entry of a list."""

    def entries(record: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(record, list):
            raise RequestError(f"{where} must be a list")
        return tuple(reader(entry, f"{where}[{i}]") for i, entry in enumerate(record))

    return entries


def read_kind(kind: str, kinds: Mapping[str, type[_T]]) -> Reader:
    """A value of the class that the record's ``type`` names."""

    def one(record: Any, where: str) -> _T:
        name = record.get("type") if isinstance(record, dict) else None
        if not isinstance(name, str) or name not in kinds:
            raise unknown(f"{kind} type in {where}", str(name), kinds)
        return read(kinds[name], {key: value for key, value in record.items() if key != "type"}, where)

    return one
