"""One axis against compound at equal realised MACs: the paper's Figures 3, 4 and 8, Tables 3 and 7, with error bars."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from compoundnet.errors import RequestError
from compoundnet.scaling.baseline import AXES
from compoundnet.search.answers.axes import sentences
from compoundnet.search.answers.axes.contrasts import BASELINE, LEVEL, Contrast, Row, contrast, row
from compoundnet.search.answers.networks import Network, pool
from compoundnet.search.answers.seeds import Noise, seed_noise
from compoundnet.search.trials import Outcome

__all__ = ["BASELINE", "AxesResult", "Place", "compare"]

Place: TypeAlias = tuple[str, str]
"""A group and a rule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AxesResult:
    """What a study of axes found.

    Attributes:
        rows: every rule at every cost, by cost, the baseline first.
        contrasts: every rule that scales several axes less every axis alone, and width on every larger base less plain
            width, by cost.
        overall: the same, averaged over costs; empty where there is one cost only.
        answer: the finding in a sentence.
        sentences: what the data support and what not, one a cost.
        warnings: what speaks against it.
        bases: the rules that scale width alone on a larger base.
    """

    rows: tuple[Row, ...]
    contrasts: tuple[Contrast, ...]
    overall: tuple[Contrast, ...]
    answer: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    bases: tuple[str, ...]

    def table(self) -> list[dict[str, Any]]:
        """One dictionary a row, for CSV and for the page; ``gain`` is accuracy over the baseline's."""
        base = next((row.accuracy for row in self.rows if row.rule == BASELINE), None)
        return [_flat(row, base) for row in self.rows]

    def to_json(self) -> dict[str, Any]:
        """Plain values, none of them NaN."""
        return {
            "answer": self.answer,
            "sentences": list(self.sentences),
            "warnings": list(self.warnings),
            "level": LEVEL,
            "rows": self.table(),
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
            "overall": [asdict(contrast) for contrast in self.overall],
        }


def compare(
    outcomes: Iterable[Outcome], *, same: Mapping[Place, Place] | None = None, bases: Sequence[str] = ()
) -> AxesResult:
    """Compare the rules named in the candidates' tags (``rule``) inside each group of equal cost (``nominal_factor``).

    Trials that were stopped early or failed count for nothing, and are said.

    Args:
        outcomes: of all trials.
        same: groups and rules whose network is that of another group and rule, and was not trained again.
        bases: the rules that scale width alone on a larger base. They are compared with plain width, at the costs of
            the others; the base itself stands in a group that has the rule's name.

    Raises:
        RequestError: no trial was trained to the end, tags without a rule, or two networks of one rule in a group.
    """
    outcomes = list(outcomes)
    trained = _by_place(outcomes)
    noise = seed_noise(trained.values())
    networks = {**trained, **_copies(trained, same or {})}
    rows = sorted((row(network, noise) for network in networks.values()), key=lambda r: (r.factor, r.rule != BASELINE))
    if not any(r.seeds for r in rows):
        raise RequestError(
            f"of {len(outcomes)} trials none was trained to the end; a comparison of axes needs one for each rule"
        )
    there = dict.fromkeys(r.rule for r in rows if r.rule != BASELINE)
    rules = [*(rule for rule in there if rule not in bases), *(rule for rule in bases if rule in there)]
    groups = list(dict.fromkeys(r.group for r in rows if r.rule not in (BASELINE, r.group)))
    pairs = _pairs(rules, bases)
    contrasts = _contrasts(networks, [[group] for group in groups], pairs, noise)
    overall = _contrasts(networks, [groups] if len(groups) > 1 else [], pairs, noise)
    return AxesResult(
        rows=tuple(rows),
        contrasts=contrasts,
        overall=overall,
        answer=sentences.answer(overall or contrasts, bases),
        sentences=tuple(sentences.sentence(mine) for mine in _by_rule([*contrasts, *overall])),
        warnings=(
            *sentences.missing(rows, _expected(rows, groups, rules, bases)),
            *sentences.stopped(trained.values()),
            *sentences.unequal(rows, contrasts, bases),
            *sentences.many(contrasts),
        ),
        bases=tuple(rule for rule in rules if rule in bases),
    )


def _copies(networks: Mapping[Place, Network], same: Mapping[Place, Place]) -> dict[Place, Network]:
    """The networks of ``same``, each with the name of its own rule and group."""
    return {
        (group, rule): replace(networks[place], group=group, tags={**networks[place].tags, "rule": rule})
        for (group, rule), place in same.items()
        if place in networks
    }


def _pairs(rules: Sequence[str], bases: Collection[str]) -> list[tuple[str, str]]:
    """What is compared with what: width on a larger base with plain width, what scales several axes with each alone."""
    return [
        (rule, other)
        for rule in rules
        if rule not in AXES
        for other in rules
        if other in AXES and (rule not in bases or other == "width")
    ]


def _expected(rows: Sequence[Row], groups: Sequence[str], rules: Sequence[str], bases: Collection[str]) -> list[Place]:
    """Where a result should be: each rule at each cost, but none on a base of a higher cost."""
    cost = {r.group: r.factor for r in rows}
    least = {rule: min(r.factor for r in rows if r.rule == rule) for rule in rules if rule in bases}
    return [(group, rule) for group in groups for rule in rules if cost[group] >= least.get(rule, 0)]


def _contrasts(
    networks: Mapping[Place, Network],
    costs: Sequence[Sequence[str]],
    pairs: Sequence[tuple[str, str]],
    noise: Noise,
) -> tuple[Contrast, ...]:
    found = (contrast(networks, groups, rule, other, noise) for groups in costs for rule, other in pairs)
    return tuple(difference for difference in found if difference)


def _by_rule(contrasts: Sequence[Contrast]) -> list[list[Contrast]]:
    """Those of one cost and one rule together, in their order."""
    together: dict[tuple[str | None, str], list[Contrast]] = {}
    for difference in contrasts:
        together.setdefault((difference.group, difference.rule), []).append(difference)
    return list(together.values())


def _flat(r: Row, base: float | None) -> dict[str, Any]:
    multipliers = {f"multiplier_{axis}": value for axis, value in r.multipliers._asdict().items()}
    named = {name: value for name, value in asdict(r).items() if name != "multipliers"}
    gain = None if base is None or r.accuracy is None else r.accuracy - base
    start = {"rule": named.pop("rule"), "group": named.pop("group"), "factor": named.pop("factor")}
    return {**start, **multipliers, **named, "gain": gain}


def _by_place(outcomes: Sequence[Outcome]) -> dict[Place, Network]:
    """The network of each group and rule."""
    rules: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        rule = outcome.candidate.tags.get("rule")
        if not isinstance(rule, str) or not outcome.candidate.tags.get("nominal_factor"):
            raise RequestError(
                f"trial {outcome.candidate.key} has the tags {sorted(outcome.candidate.tags)}; "
                "a comparison of axes needs 'rule' and 'nominal_factor' among them"
            )
        rules.setdefault(rule, []).append(outcome)
    places: dict[Place, Network] = {}
    for rule, mine in rules.items():
        for network in pool(mine):
            if (network.group, rule) in places:
                raise RequestError(
                    f"rule {rule!r} has more than one network in group {network.group!r}; compare one study at a time"
                )
            places[network.group, rule] = network
    return places
