"""The comparison as tables: for a terminal, for a page, and flat for a spreadsheet."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from compoundnet.compare.rows import Comparison, CostName, Row
from compoundnet.units import SPACE, counted, human, human_bytes, percent, three_digits

__all__ = ["COLUMNS", "Column", "columns_of", "flat_rows", "sources", "text_table"]

_DASH = "–"


class Column(NamedTuple):
    """A title and how a row is worded."""

    title: str
    text: Callable[[Row], str]


def _cost(key: CostName) -> Callable[[Row], str]:
    """Counted, or in brackets as published."""

    def text(row: Row) -> str:
        value = row.value(key)
        if value is None:
            return _DASH
        return human(value) if row.cost is not None else f"({_as_published(row, key)})"

    return text


def _as_published(row: Row, key: CostName) -> str:
    """With no more digits than the source has."""
    said = row.asked.published
    assert said is not None
    return f"{said.params_m}{SPACE}M" if key == "params" else f"{said.macs_g}{SPACE}G"


def _memory(key: str) -> Callable[[Row], str]:
    return lambda row: _DASH if row.cost is None else human_bytes(getattr(row.cost, key))


def _side(row: Row) -> str:
    side = row.to_json()["resolution"]
    return _DASH if side is None else str(side)


def _milliseconds(row: Row) -> str:
    took = row.latency
    if took is None:
        return _DASH
    return f"{three_digits(took.median_ms)} ({three_digits(took.low_ms)}–{three_digits(took.high_ms)})"


def _engine(row: Row) -> str:
    return _DASH if row.latency is None else row.latency.engine


COLUMNS = (
    Column("Network", lambda row: row.label),
    Column("Side", _side),
    Column("Parameters", _cost("params")),
    Column("MACs", _cost("macs")),
    Column("Activations", _cost("activations")),
    Column("Weights", _memory("weights_bytes")),
    Column("Inference", _memory("inference_bytes")),
    Column("Latency, ms", _milliseconds),
    Column("Engine", _engine),
    Column("Top-1", lambda row: percent(row.accuracy.top1 if row.accuracy else None)),
    Column("Top-5", lambda row: percent(row.accuracy.top5 if row.accuracy else None)),
    Column("Measured on", lambda row: row.accuracy.on if row.accuracy else _DASH),
)
"""Of every table; brackets are around what is only published."""

_OF_LATENCY = ("Latency, ms", "Engine")


def columns_of(comparison: Comparison) -> list[Column]:
    """Without those of latency where it was not measured."""
    return [c for c in COLUMNS if comparison.setting is not None or c.title not in _OF_LATENCY]


def sources(comparison: Comparison) -> list[str]:
    """Who says how accurate the networks are, each once, in order."""
    return list(dict.fromkeys(row.accuracy.source for row in comparison.rows if row.accuracy is not None))


def text_table(comparison: Comparison) -> str:
    """For a terminal: a row a network, then the sources that the numbers in square brackets stand for."""
    who = sources(comparison)
    columns = [*columns_of(comparison), Column("From", lambda row: _number(row, who))]
    table = [[c.title for c in columns], *([c.text(row) for c in columns] for row in comparison.rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    text_columns = (0, len(columns) - 2, len(columns) - 1)
    lines = [
        "  ".join(cell.ljust(w) if i in text_columns else cell.rjust(w) for i, (cell, w) in enumerate(row)).rstrip()
        for row in (list(zip(line, widths, strict=True)) for line in table)
    ]
    return "\n".join([*lines, "", *_legend(comparison, who)]).replace(SPACE, " ")


def _number(row: Row, who: list[str]) -> str:
    return _DASH if row.accuracy is None else f"[{who.index(row.accuracy.source) + 1}]"


def _legend(comparison: Comparison, who: list[str]) -> Iterator[str]:
    if any(row.cost is None for row in comparison.rows):
        yield "(in brackets: as published, of networks that are not implemented here)"
    if comparison.setting is not None:
        yield f"latency: median and quartiles, {comparison.setting}; {comparison.machine}"
    for number, source in enumerate(who, start=1):
        judged = [row.accuracy.images for row in comparison.rows if row.accuracy and row.accuracy.source == source]
        images = f", {counted(judged[0], 'image')}" if judged[0] is not None else ""
        yield f"[{number}] {source}{images}"


def flat_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One flat mapping a row, all with the same keys, for CSV."""
    return [_flat(row.to_json()) for row in comparison.rows]


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    latency, accuracy = record["latency"] or {}, record["accuracy"] or {}
    plain = {k: record[k] for k in ("label", "name", "kind", "resolution", "params", "macs", "activations")}
    return {
        **plain,
        **record["memory"],
        **{f"latency_{key}": latency.get(key) for key in ("median_ms", "low_ms", "high_ms", "engine")},
        **{key: accuracy.get(key) for key in ("top1", "top5", "on", "images", "source", "note")},
        **{f"published_{key}": value for key, value in record["published"].items()},
    }
