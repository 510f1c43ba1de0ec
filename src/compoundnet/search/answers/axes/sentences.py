"""What a comparison of axes supports and what not, in sentences."""

import math
from collections.abc import Collection, Iterable, Sequence

from compoundnet.search.answers.axes.contrasts import BASELINE, LEVEL, Contrast, Row
from compoundnet.search.answers.networks import Network
from compoundnet.search.answers.wording import at_level, points, signed
from compoundnet.search.trials import UNEQUAL
from compoundnet.units import SPACE, counted

__all__ = ["answer", "many", "missing", "sentence", "stopped", "unequal", "unsupported"]


def answer(contrasts: Sequence[Contrast], bases: Collection[str] = ()) -> str:
    """The finding about the first rule that scales several axes, and that about width on the larger ``bases``."""
    if not contrasts:
        return "There is no pair to compare: a rule that scales several axes, and one axis alone at the same cost."
    compound = [c for c in contrasts if c.rule not in bases]
    wider = [c for c in contrasts if c.rule in bases]
    return " ".join([*([_compound(compound)] if compound else []), *([_wider(wider)] if wider else [])])


def _compound(contrasts: Sequence[Contrast]) -> str:
    """Whether the first rule beats every axis alone, some, or none."""
    rule = contrasts[0].rule
    mine = [c for c in contrasts if c.rule == rule]
    over = _over(mine)
    lost = [c for c in mine if _sign(c) < 0]
    beaten = [c for c in mine if _sign(c) > 0]
    rest = [c for c in mine if _sign(c) == 0]
    if lost:
        worst = min(lost, key=lambda c: c.value)
        return f"Scaling {worst.other} alone beats {rule} by {_by(worst)} {over}{_each(mine)}."
    if not beaten:
        return f"The data do not tell {rule} scaling from {_names(rest, 'or')} alone {over}."
    if rest:
        told = f"{rule} scaling beats {_names(beaten, 'and')} alone {over}"
        return f"{told}, but is not told from {_names(rest, 'or')}{_each(mine)}."
    nearest = min(beaten, key=lambda c: c.value)
    return f"{rule} scaling beats each axis alone {over}; the nearest is {nearest.other}, {_by(nearest)} behind."


def _each(contrasts: Sequence[Contrast]) -> str:
    """That one of several was picked: by chance alone some pair differs more often than one pair does."""
    if len(contrasts) == 1:
        return ""
    return f" (the clearest of {len(contrasts)} comparisons, each at {at_level(LEVEL)} by itself)"


def _wider(contrasts: Sequence[Contrast]) -> str:
    """Where each larger base, widened, stands against the baseline widened to the same cost."""
    over = _over(contrasts)
    said = [f"{c.rule} is {_by(c)} {'ahead' if _sign(c) > 0 else 'behind'}" for c in contrasts if _sign(c)]
    rest = [c.rule for c in contrasts if not _sign(c)]
    if not said:
        return f"The data do not tell width on a larger base from width on the baseline {over}."
    if rest:
        said.append(f"{_listed(rest, 'and')} {'is' if len(rest) == 1 else 'are'} not told from it")
    return f"Of width on larger bases against width on the baseline {over}: {'; '.join(said)}."


def _over(contrasts: Sequence[Contrast]) -> str:
    """At what costs the two of each pair were compared, and over how many."""
    apart = [c.apart for c in contrasts]
    known = [gap for gap in apart if gap is not None]
    if len(known) < len(apart):
        said = "at what is taken for equal MACs"
    elif max(known) > UNEQUAL:
        said = f"at realised MACs up to {at_level(max(known))} apart"
    else:
        said = "at equal realised MACs"
    few, many = min(c.costs for c in contrasts), max(c.costs for c in contrasts)
    if many == 1:
        return said
    return f"{said}, averaged over {f'{few} to {many}' if few < many else many} costs"


def sentence(contrasts: Sequence[Contrast]) -> str:
    """One rule against every axis alone, at one cost or over all."""
    first = contrasts[0]
    said = [_said(contrast) for contrast in contrasts]
    return f"{first.group or 'On average'}: {first.rule} {'; '.join(said)}."


def missing(rows: Iterable[Row], expected: Iterable[tuple[str, str]]) -> list[str]:
    """Groups and rules without a result, of those that are ``expected`` or have a row, and those of one seed only."""
    seeds = {place: 0 for place in expected} | {(row.group, row.rule): row.seeds for row in rows}
    absent, single = ([_place(*place) for place, n in seeds.items() if n == few] for few in (0, 1))
    said = [f"No result: {', '.join(absent)}."] if absent else []
    if single:
        said.append(f"One seed only, so no interval: {', '.join(single)}.")
    return said


def _place(group: str, rule: str) -> str:
    return f"the base of {rule}" if group == rule else f"{rule} at {group}"


def stopped(networks: Iterable[Network]) -> list[str]:
    """Trials that did not go to the end."""
    networks = list(networks)
    pruned, failed = sum(n.pruned for n in networks), sum(n.failed for n in networks)
    if not pruned + failed:
        return []
    return [
        f"Not counted: {counted(pruned, 'trial')} stopped early and {failed} failed. Where only the promising were "
        "trained to the end, the means are too high."
    ]


def unequal(rows: Sequence[Row], contrasts: Sequence[Contrast], bases: Collection[str] = ()) -> list[str]:
    """Pairs whose realised MACs differ by more than 5 %, with what that is worth along the cheaper one's own line.

    That begins at the baseline, unless the rule is one of the ``bases``.
    """
    places = {(row.group, row.rule): row for row in rows}
    said = []
    for contrast in contrasts:
        pair = [places[contrast.group or "", rule] for rule in (contrast.rule, contrast.other)]
        cheap, dear = sorted(pair, key=lambda row: row.macs_factor or 0.0)
        if cheap.macs_factor and dear.macs_factor and dear.macs_factor > (1 + UNEQUAL) * cheap.macs_factor:
            line = (cheap.rule,) if cheap.rule in bases else (cheap.rule, BASELINE)
            said.append(_unequal(cheap, dear, [row for row in rows if row.rule in line]))
    return [f"Rounding left costs unequal: {'; '.join(said)}."] if said else []


def many(contrasts: Sequence[Contrast]) -> list[str]:
    """How many of so many comparisons would seem to be differences by chance."""
    n = sum(contrast.low is not None and not contrast.identical for contrast in contrasts)
    if n < 2:
        return []
    chance = (1 - LEVEL) * n
    return [
        f"{n} comparisons were made at {at_level(LEVEL)}: without any difference, {chance:.1f} of them would "
        "be expected to show one."
    ]


def unsupported(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the data say nothing about, however clear they are."""
    factors = [row.factor for row in rows]
    return (
        f"Costs beyond ×{max(factors):g} of the baseline's.",
        "Another length of training, another recipe, other data or another baseline: each may favour another axis.",
        "Other images: every network was judged on the same validation images, so that intervals tell how seeds vary, "
        "not how images do.",
        "Equal time or memory: the rules are equal in MACs, not in activations, memory or latency.",
    )


def _unequal(cheap: Row, dear: Row, line: Sequence[Row]) -> str:
    ratio = (dear.macs_factor or 1.0) / (cheap.macs_factor or 1.0)
    said = f"{cheap.group}, {cheap.rule} has {100 * (1 - 1 / ratio):.0f}{SPACE}% fewer MACs than {dear.rule}"
    slope = _slope(cheap, line)
    if slope is None:
        return said
    return f"{said}, worth {signed(slope * math.log(ratio))}{SPACE}points by its own slope"


def _slope(row: Row, line: Sequence[Row]) -> float | None:
    """Accuracy for each factor e of MACs between the row and the next smaller network of its line."""
    known = [r for r in line if r.accuracy is not None and r.macs_factor]
    below = [r for r in known if (r.macs_factor or 0.0) < (row.macs_factor or 0.0)]
    if row.accuracy is None or not below:
        return None
    last = max(below, key=lambda r: r.macs_factor or 0.0)
    gap = math.log((row.macs_factor or 1.0) / (last.macs_factor or 1.0))
    return (row.accuracy - (last.accuracy or 0.0)) / gap


def _said(contrast: Contrast) -> str:
    if contrast.identical:
        return f"is the same network as {contrast.other}"
    if contrast.low is None or contrast.high is None:
        side = "above" if contrast.value >= 0 else "below"
        return f"lies {points(contrast.value)} {side} {contrast.other}, from too few seeds for an interval"
    if _sign(contrast) > 0:
        return f"beats {contrast.other} by {_by(contrast)}"
    if _sign(contrast) < 0:
        return f"loses to {contrast.other} by {_by(contrast)}"
    ends = f"{signed(contrast.low)} to {signed(contrast.high)}{SPACE}points"
    return f"cannot be told from {contrast.other} at {contrast.seeds} seeds ({ends})"


def _sign(contrast: Contrast) -> int:
    """1 or -1 where the interval leaves no doubt about it, 0 where it does or where there is none."""
    if contrast.low is None or contrast.high is None:
        return 0
    return (contrast.low > 0) - (contrast.high < 0)


def _by(contrast: Contrast) -> str:
    """The size of a difference that is beyond doubt, with its interval, both without their sign."""
    low, high = sorted(abs(100 * (end or 0.0)) for end in (contrast.low, contrast.high))
    return f"{points(contrast.value)} ({low:.1f}–{high:.1f})"


def _names(contrasts: Sequence[Contrast], last: str) -> str:
    return _listed([contrast.other for contrast in contrasts], last)


def _listed(names: Sequence[str], last: str) -> str:
    *first, final = names
    return f"{', '.join(first)} {last} {final}" if first else final
