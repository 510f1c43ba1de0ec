"""One offline page for a search of coefficients, and one for a comparison of axes; and their tables as CSV.

No script, no request to anywhere: as the report of a training, and in its look. Names of rules, groups
and settings are hostile text until escaped.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from compoundnet.evaluate.drawing import Figure, sound_text, svg
from compoundnet.evaluate.wording import breakable, settings
from compoundnet.scaling.baseline import AXES
from compoundnet.search.answers.axes import AxesResult
from compoundnet.search.answers.axes import sentences as axes_sentences
from compoundnet.search.answers.axes.contrasts import LEVEL as AXES_LEVEL
from compoundnet.search.answers.coefficients import sentences as coefficients_sentences
from compoundnet.search.answers.coefficients.result import LEVEL, CoefficientsResult, Training
from compoundnet.search.answers.networks import Network
from compoundnet.search.answers.page.charts import cost_charts, curves_chart, networks_chart
from compoundnet.search.answers.page.columns import AXES_TABLE, CONTRASTS, NETWORKS, PUBLISHED, known
from compoundnet.search.answers.page.triangle import triangle_chart
from compoundnet.search.answers.wording import at_level, triple, whole
from compoundnet.search.trials import Outcome
from compoundnet.units import SPACE, counted, percent

__all__ = ["axes_page", "coefficients_page"]

_RANGE = re.compile(r"(?<=[0-9])–(?=[0-9])")


def coefficients_page(
    result: CoefficientsResult, outcomes: Iterable[Outcome], *, title: str, made: Mapping[str, Any] | None = None
) -> str:
    """The page of :func:`compoundnet.search.answers.coefficients.analyse`'s result as HTML text.

    ``made`` says how it was made: ``commands`` (a list of lines) and parts by name ("recipe", "data",
    "baseline", ...), each a mapping of settings or a text.
    """
    curves = _curves(outcomes, "group")
    shares = zip(AXES, result.shares, result.shares_interval or (None,) * 3, strict=True)
    done = sum(len(network.values) for network in result.networks)
    return _render(
        "coefficients.html.j2",
        title=title,
        result=result,
        made=_made(made),
        curves=curves,
        level=at_level(LEVEL),
        found=result.surface is not None and not coefficients_sentences.flat(result.surface),
        coefficients=[(n, f"{c:.2f}") for n, c in zip(("α", "β", "γ"), result.rule.coefficients, strict=True)],
        shares=[
            (axis, at_level(share), ends and f"{whole(ends.low)}–{at_level(ends.high)}") for axis, share, ends in shares
        ],
        trials=f"{done} trainings to the end",
        triangle=_triangle(result),
        published_columns=PUBLISHED,
        extrapolated=any(other.extrapolated for other in result.published),
        networks=[_network_figure(result, n.group, f"networks{i}") for i, n in enumerate(result.best)],
        best="; ".join(_best(network) for network in result.best),
        rows=result.table(),
        columns=known(NETWORKS, result.table()),
        training=_training(result.training),
        supported=coefficients_sentences.supported(result),
        unsupported=coefficients_sentences.unsupported(result),
    )


def axes_page(
    result: AxesResult, outcomes: Iterable[Outcome], *, title: str, made: Mapping[str, Any] | None = None
) -> str:
    """The page of :func:`compoundnet.search.answers.axes.compare`'s result as HTML text; ``made`` as above."""
    return _render(
        "axes.html.j2",
        title=title,
        result=result,
        answer=result.answer[0].upper() + result.answer[1:],
        made=_made(made),
        curves=_curves(outcomes, "rule"),
        level=at_level(AXES_LEVEL),
        costs=_costs(result),
        contrasts=[*result.contrasts, *result.overall],
        contrast_columns=CONTRASTS,
        rows=result.table(),
        columns=known(AXES_TABLE, result.table()),
        supported=result.sentences,
        unsupported=axes_sentences.unsupported(result.rows),
    )


def _render(template: str, **content: Any) -> str:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("compoundnet", "search/answers/page"), PackageLoader("compoundnet", "evaluate")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(soft=breakable, firm=_firm)
    return sound_text(environment.get_template(template).render(content))


def _made(made: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Commands, and each other part as rows of names and values."""
    if not made:
        return None
    parts = [
        (name.replace("_", " ").capitalize(), list(settings(part)))
        for name, part in made.items()
        if isinstance(part, Mapping)
    ]
    rest = {name: part for name, part in made.items() if name != "commands" and not isinstance(part, Mapping)}
    if rest:
        parts.append(("Other", list(settings(rest))))
    return {"commands": list(made.get("commands", [])), "parts": parts}


def _triangle(result: CoefficientsResult) -> Figure:
    tried = sum(network.mean is not None for network in result.networks)
    shade = "Shade: predicted accuracy below the best rule's, where it was tried. " if result.surface else ""
    unseen = sum(network.mean is None for network in result.networks)
    without = f" {counted(unseen, 'network')} that never came to the end have none." if unseen else ""
    outline = f"The dashed line holds the best rule with {at_level(LEVEL)} confidence. " if result.region else ""
    return Figure(
        title="Accuracy by shares",
        svg=svg(triangle_chart(result), "triangle", f"Triangle of shares with {tried} networks. {result.answer}"),
        caption=f"{shade}{outline}Dots: the networks that were trained, where rounding left them, in the shade of "
        f"their own mean.{without}",
    )


def _network_figure(result: CoefficientsResult, group: str, name: str) -> Figure:
    several = any(len(network.values) > 1 for network in result.networks)
    interval = f" with a {at_level(LEVEL)} interval from the noise between seeds" if several else ""
    predicted = " Orange ticks: what the fitted surface predicts." if result.surface else ""
    return Figure(
        title=group,
        svg=svg(networks_chart(result, group), name, f"Accuracy of the networks of {group}"),
        caption=f"Mean over seeds{interval}.{predicted}",
    )


def _curves(outcomes: Iterable[Outcome], by: str) -> Figure | None:
    outcomes = [outcome for outcome in outcomes if outcome.curve]
    if not outcomes:
        return None
    stopped = any(outcome.state == "pruned" for outcome in outcomes)
    return Figure(
        title="Accuracy by epoch",
        svg=svg(curves_chart(outcomes, by), "curves", f"Validation accuracy by epoch of {len(outcomes)} trainings"),
        caption=f"A line for each of {len(outcomes)} trainings."
        + (" A dot ends one that was stopped early." if stopped else ""),
    )


def _costs(result: AxesResult) -> list[Figure]:
    """The rules, and width on larger bases: the last chart where there are any."""
    drawn = cost_charts(result)
    seen = f"Mean over seeds with its {at_level(AXES_LEVEL)} interval; logarithmic axis of cost."
    figures = [
        Figure(
            title="Accuracy and realised MACs",
            svg=svg(chart, f"cost{i}", f"Accuracy against realised MACs, a line for each rule. {result.answer}"),
            caption=f"{seen} Rules are set apart by a few pixels at equal cost.",
        )
        for i, chart in enumerate(drawn)
    ]
    if result.bases:
        figures[-1] = replace(
            figures[-1],
            title="Width alone on larger bases",
            caption=f"{figures[-1].caption} Each line begins at a base: the baseline, or the baseline with its depth "
            "and its side multiplied by d and r.",
        )
    return figures


def _training(training: Training) -> str:
    said = [f"{counted(training.epochs, 'epoch')}."]
    half, whole = training.compared or (0, 0)
    if training.halfway and training.drift:
        before = triple(training.halfway)
        moved = ", ".join(f"{axis} {100 * d.value:+.0f}" for axis, d in zip(AXES, training.drift, strict=True))
        said.append(
            f"After {half} of them the best shares would have been {before} per cent; until {whole} they moved by "
            f"{moved}."
        )
    if training.rank_correlation is not None:
        said.append(
            f"The rankings of the networks after {half} and after {whole} of them correlate by "
            f"{training.rank_correlation:.2f} (Spearman)."
        )
    if training.rise is not None:
        said.append(f"Accuracy rose by {100 * training.rise:.1f}{SPACE}points in the last quarter.")
    return " ".join(said)


def _best(network: Network) -> str:
    shares = triple(network.shares)
    n, error = len(network.values), network.standard_error
    spread = f" ± {100 * error:.1f}" if error is not None else ""
    return f"{network.group}, shares {shares}, {percent(network.mean)}{spread} from {counted(n, 'seed')}"


def _firm(text: str) -> str:
    """The text with ranges of numbers that do not break across lines (word joiners around the dash)."""
    return _RANGE.sub("\u2060–\u2060", text)
