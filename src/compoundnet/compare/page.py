"""What a comparison leaves in a folder: an offline page, its charts as pictures, its table as CSV.

No script, no request to anywhere: as the report of a training, and in its look. Names of networks, runs and data are
hostile text until escaped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compoundnet.checks import check_writable
from compoundnet.compare.asked import IMAGENET
from compoundnet.compare.chart import AXES, Drawing, drawings
from compoundnet.compare.rows import Comparison, CostName, Row
from compoundnet.compare.table import columns_of, flat_rows
from compoundnet.errors import RequestError
from compoundnet.evaluate.drawing import Figure, save, sound_text, svg
from compoundnet.evaluate.wording import breakable
from compoundnet.files import write_atomically, write_csv
from compoundnet.units import counted, human, percent

__all__ = ["check_folder", "render", "write_folder"]

_TABLE, _PAGE, _PICTURE = "compare.csv", "report.html", "compare"
_FORMS = (".png", ".svg")


def check_folder(folder: Path) -> None:
    """RequestError: the files cannot be written there, or a report of something else would be lost."""
    for name in (_TABLE, _PAGE, *(f"{_PICTURE}{form}" for form in _FORMS)):
        check_writable(folder / name)
    if (folder / _PAGE).exists() and not (folder / _TABLE).exists():
        raise RequestError(f"{str(folder)!r} holds another report, which would be lost; give another folder")


def write_folder(comparison: Comparison, folder: Path, first: CostName = "params") -> list[Path]:
    """Write ``compare.csv``, ``report.html``, ``compare.png`` and ``.svg``, and a picture for each set of other images.

    ``compare`` shows accuracy against ``first``; the page shows every cost. Gives what was written.

    Raises:
        RequestError: nothing to draw, or no room for so many labels. OSError: a file cannot be written.
    """
    drawn = drawings(comparison, first)
    if not drawn:
        raise RequestError("nothing to draw: no network has both an accuracy and that cost")
    page = render(comparison, drawn)
    pictures = {_PICTURE: drawn[0], **{d.name: d for d in drawn[1:] if d.on != IMAGENET}}
    files = [folder / _PAGE, folder / _TABLE]
    write_csv(flat_rows(comparison), files[1])
    for name, drawing in pictures.items():
        for form in _FORMS:
            save(drawing.chart, folder / f"{name}{form}")
            files.append(folder / f"{name}{form}")
    write_atomically(files[0], page)
    return files


def render(comparison: Comparison, drawn: Sequence[Drawing]) -> str:
    """The page as HTML text. The same input gives the same text."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("compoundnet", room) for room in ("compare", "evaluate")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(soft=breakable, percent=percent)
    content: dict[str, Any] = {
        "comparison": comparison,
        "title": f"{counted(len(comparison.rows), 'network')} side by side",
        "answers": _answers(comparison),
        "published": [_figure(drawing) for drawing in drawn if drawing.on == IMAGENET],
        "measured": [_figure(drawing) for drawing in drawn if drawing.on != IMAGENET],
        "columns": columns_of(comparison),
        "bracketed": any(row.cost is None for row in comparison.rows),
        "engines": {row.latency.engine for row in comparison.rows if row.latency is not None},
        "said": [row for row in comparison.rows if row.accuracy is not None],
    }
    return sound_text(environment.get_template("compare.html.j2").render(content))


def _answers(comparison: Comparison) -> list[tuple[str, str]]:
    """The most accurate for each set of images, in a word and a sentence; of several the one of fewest parameters."""
    data = dict.fromkeys(row.accuracy.data for row in comparison.rows if row.accuracy is not None)
    return [_answer([row for row in comparison.rows if row.accuracy and row.accuracy.data == key]) for key in data]


def _answer(rows: Sequence[Row]) -> tuple[str, str]:
    top1 = max(row.accuracy.top1 for row in rows if row.accuracy is not None)
    equal = [row for row in rows if row.accuracy is not None and row.accuracy.top1 == top1]
    best, *others = sorted(equal, key=_params)
    assert best.accuracy is not None
    with_params = "" if best.value("params") is None else f" with {human(_params(best))} parameters"
    also = "".join(
        f"; {row.label} is as accurate with {human(_params(row))}" for row in others[:1] if row.value("params")
    )
    by = "published" if best.accuracy.data == IMAGENET else "measured"
    among = f"The most accurate of {len(rows)}, as {by}" if len(rows) > 1 else f"As {by}"
    return best.label, f"{among}: {percent(top1)} on {best.accuracy.on}{with_params}{also}."


def _top1(row: Row) -> float:
    return 0.0 if row.accuracy is None else row.accuracy.top1


def _params(row: Row) -> float:
    return row.value("params") or float("inf")


def _figure(drawing: Drawing) -> Figure:
    ranked = sorted(drawing.rows, key=_top1, reverse=True)
    best = ", ".join(f"{row.label} {percent(_top1(row))}" for row in ranked[:3])
    said = f"Top-1 accuracy on {drawing.on} against {AXES[drawing.cost]} of {counted(len(ranked), 'network')}: {best}"
    return Figure(
        title=f"Accuracy against {AXES[drawing.cost]}",
        svg=svg(drawing.chart, drawing.name, said),
        caption=_caption(drawing),
    )


def _caption(drawing: Drawing) -> str:
    """What the marks mean, and what is missing."""
    told = ["Logarithmic axis of cost."]
    if drawing.cost == "latency":
        told.append("Median with quartiles.")
    hollow = any(row.cost is None for row in drawing.rows)
    if hollow:
        told.append("Filled: cost counted here. Hollow: cost as published, for networks that are not implemented here.")
    if any(row.asked.published and row.asked.published.curve for row in drawing.rows):
        told.append("The line joins the EfficientNets.")
    if drawing.left_out:
        why = "not measured with this engine" if drawing.cost == "latency" else "not known of them"
        told.append(f"Not drawn, as that cost was {why}: {', '.join(drawing.left_out)}.")
    return " ".join(told)
