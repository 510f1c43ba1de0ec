"""The model card: what a stranger should know of a trained network before using it.

Metadata as the hub's card specification has it (``huggingface_hub.ModelCardData``), then a page from
``card.md.j2``. Labels and names are hostile text until escaped.
"""

import html
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.errors import HFValidationError

from compoundnet.costs import cost
from compoundnet.errors import RequestError
from compoundnet.run import Run
from compoundnet.units import SPACE, human, percent, share_range
from compoundnet.weights.registry import by_repository

__all__ = ["model_card"]

_TASK = "image-classification"
_MOST_CLASSES = 40  # in the table of classes; more are only counted

# key of an evaluation, type that the hub knows, name on the card
_METRICS = (
    ("top1", "accuracy", "Accuracy"),
    ("top5", "accuracy", "Top-5 accuracy"),
    ("loss", "loss", "Cross-entropy"),
    ("ece", "ece", "Expected calibration error"),
)


def model_card(
    run: Run,
    record: Mapping[str, Any],
    *,
    repo_id: str,
    published: bool,
    in_timm: bool,
    license: str | None = None,
    datasets: Sequence[str] = (),
) -> str:
    """The Markdown text of ``README.md``.

    Args:
        run: the trained network.
        record: what may be told of its training; ``evaluations``, ``data``, ``recipe``, ``weights``, ``versions``.
        repo_id: what the lines of code load: ``owner/name``, or a folder's name if it is not ``published``.
        published: whether ``repo_id`` is a repository.
        in_timm: whether timm loads the folder as well.
        license: an identifier of the hub, or None.
        datasets: hub ids.

    Raises:
        RequestError: a license or data set that is no text.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    if not all(isinstance(text, str) and text for text in (*datasets, *([] if license is None else [license]))):
        raise RequestError(f"license is {license!r}, datasets {datasets!r}; give texts, such as 'apache-2.0'")
    environment = Environment(
        loader=PackageLoader("compoundnet", "hub"),
        autoescape=False,  # Markdown: what is not ours goes through the filter `plain`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        plain=_plain, quoted=partial(json.dumps, ensure_ascii=False), human=human, percent=percent, range=share_range
    )
    evaluations = record.get("evaluations", {})
    content = {
        "metadata": _metadata(run, record, repo_id, in_timm, license, datasets),
        "run": run,
        "cost": cost(run.architecture),
        "repo_id": repo_id,
        "timm_name": f"{'hf-hub' if published else 'local-dir'}:{repo_id}" if in_timm else None,
        "license": license,
        "data": record.get("data", {}).get("name"),
        "weights": record.get("weights"),
        "recipe": record.get("recipe", {}),
        "versions": record.get("versions", {}),
        "evaluations": evaluations,
        "judged": next(iter(evaluations.values()), None),
        "most_classes": _MOST_CLASSES,
    }
    return environment.get_template("card.md.j2").render(content).replace(SPACE, " ")


def _metadata(
    run: Run, record: Mapping[str, Any], repo_id: str, in_timm: bool, license: str | None, datasets: Sequence[str]
) -> str:
    """The YAML between the dashes."""
    base = record.get("weights")
    results = list(_results(record, datasets))
    try:
        data = ModelCardData(
            license=license,
            library_name="timm" if in_timm else "compoundnet",  # timm: the hub then shows its line and its widget
            pipeline_tag=_TASK,
            tags=[_TASK, "compoundnet", *(["timm"] if in_timm else [])],
            datasets=list(datasets) or None,
            metrics=["accuracy"] if results else None,
            base_model=base if base and by_repository(base) else None,
            model_name=repo_id.rpartition("/")[2] if results else None,
            eval_results=results or None,
        )
    except (HFValidationError, ValueError) as error:
        raise RequestError(f"cannot describe {run.architecture.name} as a model card: {error}") from error
    return data.to_yaml()


def _results(record: Mapping[str, Any], datasets: Sequence[str]) -> list[EvalResult]:
    name = record.get("data", {}).get("name") or "unknown"
    return [
        EvalResult(
            task_type=_TASK,
            dataset_type=datasets[0] if datasets else name,
            dataset_name=name,
            dataset_split=split,
            metric_type=kind,
            metric_name=title,
            metric_value=judged[key],
        )
        for split, judged in record.get("evaluations", {}).items()
        for key, kind, title in _METRICS
    ]


def _plain(text: object) -> str:
    """``text`` where Markdown and HTML see no sign of theirs: one line, for a paragraph or a table's cell."""
    line = html.escape(" ".join(str(text).split()), quote=False)
    return "".join(f"\\{c}" if c in "\\`*_[]|#!" else c for c in line)
