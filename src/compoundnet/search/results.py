"""What a finished study leaves in its folder: the answer as JSON and as a page, its rule, its table, its charts."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compoundnet.errors import FailureError, RequestError
from compoundnet.evaluate.drawing import save
from compoundnet.files import write_atomically, write_csv
from compoundnet.scaling import Multipliers
from compoundnet.scaling.accuracy import AccuracyModel, fit
from compoundnet.search.answers import axes, coefficients
from compoundnet.search.answers.networks import pool
from compoundnet.search.answers.page import axes_page, coefficients_page, cost_charts, triangle_chart
from compoundnet.search.plan import StudyPlan
from compoundnet.search.request import Request
from compoundnet.search.trials import Outcome

__all__ = ["accuracy_model", "write_results"]


def write_results(
    folder: Path, request: Request, plan: StudyPlan, outcomes: Sequence[Outcome], *, command: Sequence[str]
) -> dict[str, Any]:
    """Analyse the outcomes of a study and write what they come to into ``folder``; the content of ``result.json``.

    ``report.html``, ``networks.csv``, ``chart.png``, ``result.json`` with the accuracy model that
    ``design --study`` takes, of a search of coefficients ``rule.json``, which says whether the data support it and
    what speaks against it, and of rules compared with larger bases ``bases.png``.

    Raises:
        RequestError: too few trainings came to an end.
        FailureError: a file cannot be written.
    """
    model = accuracy_model(outcomes, request.baseline_in_words)
    made = _made(request, plan.notes, command)
    try:
        if request.kind == "coefficients":
            answer = _coefficients(folder, outcomes, made)
        else:
            answer = _axes(folder, plan, outcomes, made)
        result = {
            **answer,
            "notes": list(plan.notes),
            "accuracy_model": model and model.to_json(),
            "request": request.to_json(),
            "command": made["commands"][0],
        }
        write_atomically(folder / "result.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise FailureError(f"cannot write the result into {str(folder)!r}: {error.strerror or error}") from error
    return result


def accuracy_model(outcomes: Sequence[Outcome], baseline: str | None = None) -> AccuracyModel | None:
    """How accuracy grows with the realised size of each axis; :mod:`compoundnet.scaling.accuracy` tells the form.

    ``baseline`` is what was scaled, in words.

    Trials that were stopped early count with what their ends were drawn to be on average. None where that is
    not known of all of them, or where there are too few networks, or all of one size.
    """
    networks = [network for network in pool(outcomes) if network.values or network.pruned]
    if any(network.unknown for network in networks):
        return None
    ends = [[*network.values, *map(float, map(np.mean, network.estimates))] for network in networks]
    sizes = [Multipliers(*network.tags["effective"]) for network in networks]
    try:
        accuracies, weights = [float(np.mean(e)) for e in ends], [float(max(1, len(n.values))) for n in networks]
        return fit(sizes, accuracies, weights, baseline=baseline)
    except RequestError:  # it says that there are too few
        return None


def _coefficients(folder: Path, outcomes: Sequence[Outcome], made: Mapping[str, Any]) -> dict[str, Any]:
    found = coefficients.analyse(outcomes)
    answer = found.to_json()
    kept = {**answer["rule"], "supported": found.supported, "doubt": found.doubt, "warnings": list(found.warnings)}
    write_atomically(folder / "rule.json", json.dumps(kept, indent=2) + "\n")
    write_csv(found.table(), folder / "networks.csv")
    save(triangle_chart(found), folder / "chart.png")
    page = coefficients_page(found, outcomes, title=f"Scaling coefficients of {made['baseline']}", made=made)
    write_atomically(folder / "report.html", page)
    return answer


def _axes(folder: Path, plan: StudyPlan, outcomes: Sequence[Outcome], made: Mapping[str, Any]) -> dict[str, Any]:
    found = axes.compare(outcomes, same=plan.same, bases=plan.bases)
    write_csv(found.table(), folder / "networks.csv")
    for name, chart in zip(("chart.png", "bases.png"), cost_charts(found), strict=False):
        save(chart, folder / name)
    page = axes_page(found, outcomes, title=f"Axes of {made['baseline']} compared", made=made)
    write_atomically(folder / "report.html", page)
    return found.to_json()


def _made(request: Request, notes: Sequence[str], command: Sequence[str]) -> dict[str, Any]:
    """How the study was made, for the foot of its page."""
    baseline = request.baseline
    name = baseline["factory"] if "factory" in baseline else baseline["architecture"]["name"]
    return {
        "commands": [f"compoundnet {shlex.join(command)}"],
        "baseline": name,
        "data": {
            "images": request.data,
            "train_images": request.train_images,
            "val_images": request.val_images,
            "fingerprint": request.fingerprint,
        },
        "plan": "; ".join(notes) or "every network lies near its cost",
        "recipe": dict(request.recipe),
    }
