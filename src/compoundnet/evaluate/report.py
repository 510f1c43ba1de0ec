"""The report of a training: one offline HTML page with everything a person needs to judge the network.

No script, no request to anywhere: the pictures and the charts are inside, and the page's own content
security policy forbids the rest. Names of classes and files are hostile text until escaped.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.evaluate import wording
from compoundnet.evaluate.charts import curve_figures, reliability_figure
from compoundnet.evaluate.confusion import confusion_figure, confusion_pairs
from compoundnet.evaluate.drawing import sound_text
from compoundnet.evaluate.metrics import ClassScore, Evaluation, Mistake
from compoundnet.files import write_atomically
from compoundnet.preprocessing import Preprocessing
from compoundnet.summary import stage_rows
from compoundnet.units import human, percent, share_range
from compoundnet.zoo import AnyNetwork

if TYPE_CHECKING:
    from compoundnet.cost import Cost

__all__ = ["ReportInput", "render_report", "write_report"]

_MOST_MISTAKES = 12
_PICTURE_PX = 320  # of the longer side: sharp at the size shown on a dense screen
_PIXEL_ART_PX = 64  # pictures up to this size are enlarged without blur
_CLASS_ORDER = 12  # up to so many classes stand in their own order, more with the worst first

# field of Cost, name, unit, explanation
_COSTS = (
    ("params", "Parameters", "", "learned numbers"),
    ("macs", "MACs", "", "multiply-adds for one image"),
    ("activations", "Activations", "", "numbers written by convolutions for one image"),
    ("weights_bytes", "Weights", "B", "memory of the weights"),
    ("inference_bytes", "Inference", "B", "peak memory for one image, weights included"),
    ("training_bytes_per_image", "Training", "B", "memory kept for each image of a batch"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportInput:
    """All that the report says.

    ``evaluations`` by name of the split ("test", "validation"); the first is the headline and the one
    that confusion, classes and calibration are shown for. ``history``: the rows of ``metrics.jsonl``.
    ``data`` may have ``name``, ``fingerprint``, ``counts`` ({split: {class: images}}), ``bad`` (a list
    of {"file", "reason"}) and ``notes`` (a list of sentences); other keys are listed as they are.
    ``weights`` says where the training started from, None from scratch.
    """

    title: str
    architecture: AnyNetwork
    cost: "Cost"
    evaluations: Mapping[str, Evaluation]
    history: Sequence[Mapping[str, Any]]
    mistakes: Sequence[Mistake]
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    weights: str | None
    preprocessing: Preprocessing


@dataclass(frozen=True, kw_only=True, slots=True)
class _Picture:
    """A mistake with its picture as a data URI, or with the reason why there is none."""

    mistake: Mistake
    uri: str = ""
    pixel_art: bool = False
    problem: str = ""


def render_report(report: ReportInput) -> str:
    """The page as HTML text. The same input gives the same text.

    A mistake whose file can no longer be read is shown without its picture, with the reason.

    Raises:
        RequestError: there is no evaluation to report.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if not report.evaluations:
        raise RequestError(f"report {report.title!r} has no evaluation; give at least one, such as {{'test': ...}}")
    environment = Environment(
        loader=PackageLoader("compoundnet", "evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        soft=wording.breakable,
        human=human,
        percent=percent,
        range=share_range,
        settings=wording.settings,
    )
    return sound_text(environment.get_template("report.html.j2").render(_content(report)))


def write_report(path: Path, report: ReportInput) -> None:
    """Write :func:`render_report`'s page to ``path``, whole or not at all.

    Raises:
        RequestError: nothing to report. OSError: the file cannot be written; what was there is still there.
    """
    write_atomically(path, render_report(report))


def _content(report: ReportInput) -> dict[str, Any]:
    split, headline = next(iter(report.evaluations.items()))
    known = ("name", "fingerprint", "classes", "counts", "bad", "notes")
    speeds = [row["images_per_s"] for row in report.history if row.get("images_per_s")]
    return {
        "report": report,
        "split": split,
        "headline": headline,
        "right": round(headline.top1 * headline.n),
        "curves": curve_figures(report.history),
        "epochs": sum(row.get("kind", "epoch") == "epoch" for row in report.history),
        "images_per_s": median(speeds) if speeds else None,
        "pictures": [_picture(mistake) for mistake in report.mistakes[:_MOST_MISTAKES]],
        "confusion": confusion_figure(headline),
        "pairs": confusion_pairs(headline),
        "reliability": reliability_figure(headline),
        "scores": _ordered(headline.per_class),
        "worst_first": len(headline.per_class) > _CLASS_ORDER,
        "costs": [
            (name, human(getattr(report.cost, key), unit), getattr(report.cost, key), meaning)
            for key, name, unit, meaning in _COSTS
        ],
        "stages": stage_rows(report.architecture) if isinstance(report.architecture, Architecture) else [],
        "preprocessing": wording.preprocessing_text(report.preprocessing),
        "counts": _counts(report.data.get("counts") or {}),
        "other_data": {key: value for key, value in report.data.items() if key not in known},
    }


def _ordered(scores: Sequence[ClassScore]) -> list[ClassScore]:
    if len(scores) <= _CLASS_ORDER:
        return list(scores)
    return sorted(scores, key=lambda score: (score.f1 is None, score.f1))


def _counts(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, list[int]]]:
    """Rows of the table of images: a class and its number in every split."""
    classes = dict.fromkeys(label for split in counts.values() for label in split)
    return [(label, [split.get(label, 0) for split in counts.values()]) for label in classes]


def _picture(mistake: Mistake) -> _Picture:
    from compoundnet.data import decode_image

    try:
        image = decode_image(mistake.file, at_least=_PICTURE_PX)
    except RequestError as error:
        return _Picture(mistake=mistake, problem=getattr(error, "reason", str(error)))
    image.thumbnail((_PICTURE_PX, _PICTURE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80, optimize=True)
    return _Picture(
        mistake=mistake,
        uri="data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"),
        pixel_art=max(image.size) <= _PIXEL_ART_PX,
    )
