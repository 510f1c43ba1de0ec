"""Which classes are taken for which: the matrix as a heatmap, and its largest mistakes as rows."""

from typing import TYPE_CHECKING, Any

from compoundnet.evaluate.drawing import Figure, chart, draw, sound_text
from compoundnet.evaluate.metrics import Evaluation

if TYPE_CHECKING:
    import altair as alt

__all__ = ["confusion_figure", "confusion_pairs"]

_MOST_CLASSES = 100  # a larger matrix is cut ...
_CUT_CLASSES = 40  # ... to so many classes, those with the most mistakes
_EVERY_CELL = 12  # classes up to which zeros are drawn too
# up to so many classes: side of a cell and size of its count in pixels (0: no counts)
_CELLS = ((3, 96, 20), (6, 64, 16), (12, 44, 13), (_CUT_CLASSES, 22, 10), (_MOST_CLASSES, 9, 0))


def confusion_figure(evaluation: Evaluation) -> Figure:
    """Rows are true classes, columns predictions; shaded by the share of the row, mistakes in another hue.

    Counts stand in the cells while these are large enough. Above 100 classes, the 40 with most mistakes.
    """
    shown = _shown_classes(evaluation)
    side_px, font_px = next(sizes for most, *sizes in _CELLS if len(shown) <= most)
    names = [sound_text(evaluation.per_class[i].label) for i in shown]
    cells = []
    for i, true in enumerate(shown):
        for j, predicted in enumerate(shown):
            count = evaluation.confusion[true][predicted]
            shade = _shade(count / max(1, evaluation.per_class[true].n), text=font_px > 0)
            colour = "var(--heat1)" if i == j else "var(--heat2)"
            if count or len(shown) <= _EVERY_CELL:
                cells.append({"row": names[i], "column": names[j], "count": count, "shade": shade, "fill": colour})
    size_px = side_px * len(shown)
    label = f"Confusion matrix of {len(shown)} classes: true class by row, predicted class by column."
    cut = len(shown) < len(evaluation.per_class)
    scope = f"The {len(shown)} of {len(evaluation.per_class)} classes with the most mistakes. " if cut else ""
    return Figure(
        title="Confusion matrix",
        svg=draw(_matrix(cells, names, side_px, font_px), "confusion", label, width=size_px, height=size_px),
        caption=f"{scope}A row for each true class, a column for each prediction. "
        "Blue is right, orange is wrong; the deeper, the larger the share of the row.",
    )


def confusion_pairs(evaluation: Evaluation, most: int = 10) -> tuple[tuple[str, str, int, float], ...]:
    """The most frequent mistakes: true class, predicted class, count, share of the true class."""
    pairs = (
        (count, i, j) for i, row in enumerate(evaluation.confusion) for j, count in enumerate(row) if count and i != j
    )
    names = [score.label for score in evaluation.per_class]
    ranked = sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))[:most]
    return tuple((names[i], names[j], count, count / evaluation.per_class[i].n) for count, i, j in ranked)


def _matrix(cells: list[dict[str, Any]], names: list[str], side_px: int, font_px: int) -> "list[alt.Chart]":
    import altair as alt

    crowded = len(names) > _EVERY_CELL  # lines then lead the eye from a cell to its names
    style: dict[str, Any] = {
        "grid": crowded,
        "tickBand": "extent",
        "zindex": 0,
        "labelFontSize": max(8, font_px) if crowded else 13,
        "labelLimit": 150,
    }
    flat = len(names) <= 6 and all(len(name) * 7 < side_px for name in names)
    scale = alt.Scale(domain=names, padding=0)
    base = chart(cells).encode(
        x=alt.X("column:N", title="predicted", scale=scale).axis(
            orient="top", titleAnchor="start", labelAngle=0 if flat else -90, **style
        ),
        y=alt.Y("row:N", title="true", scale=scale).axis(titleAnchor="start", titleAlign="right", **style),
    )
    squares = base.mark_rect(stroke="var(--line)", strokeWidth=1 if font_px else 0).encode(
        fill=alt.Fill("fill:N", scale=None), fillOpacity=alt.FillOpacity("shade:Q", scale=None)
    )
    layers = [squares]
    longest = max((len(f"{cell['count']:,}") for cell in cells), default=0)
    if font_px and longest * 0.62 * font_px < side_px:  # a digit is 0.62 of the font's size wide
        layers.append(base.mark_text(fill="var(--ink)", fontSize=font_px).encode(text=alt.Text("count:Q", format=",d")))
    return layers


def _shown_classes(evaluation: Evaluation) -> list[int]:
    """All classes, or of more than 100 the 40 with the most mistakes, in their order."""
    everything = range(len(evaluation.per_class))
    if len(everything) <= _MOST_CLASSES:
        return list(everything)
    wrong = [evaluation.per_class[i].n - evaluation.confusion[i][i] for i in everything]
    return sorted(sorted(everything, key=lambda i: -wrong[i])[:_CUT_CLASSES])


def _shade(share: float, *, text: bool) -> float:
    """Opacity of a cell; at most 0.6 under text, so that one text colour is legible on every shade."""
    if share == 0:
        return 0.0
    return 0.12 + 0.48 * share if text else 0.3 + 0.7 * share
