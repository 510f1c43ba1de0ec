"""What an analysis of coefficients may claim, in sentences: the answer, and whatever speaks against it."""

from collections.abc import Callable
from statistics import median

import numpy as np

from compoundnet.scaling import Rule
from compoundnet.scaling.baseline import AXES
from compoundnet.search.answers.coefficients.result import LEVEL, CoefficientsResult, Interval, Training
from compoundnet.search.answers.simplex import Floats, hull, inside, to_plane
from compoundnet.search.answers.surface import Difference, Surface, fewest_networks
from compoundnet.search.answers.wording import at_level, points, triple, whole
from compoundnet.search.trials import UNEQUAL
from compoundnet.units import SPACE, counted

__all__ = ["answer", "doubt", "flat", "supported", "unsupported", "warnings"]

_SEEDS = 3  # below which a spread over seeds says little
_SIGNIFICANT = 0.05
_SIGNIFICANT_STOPPED = (
    0.01  # where trials were stopped early: those that went on are the luckier, which shows as a shape
)
_AT_EDGE = 0.015  # of a share
_MOVED = 0.05  # of a share: less is no drift worth a word
_ANOTHER = 0.1  # of a share: rules that differ by less on every axis are one rule
_RANK_CORRELATION = 0.6
_STEEP = 1.2  # rise of accuracy late in training, over what the shares make of it
_FEWEST_EPOCHS = 4  # of which a last quarter can be taken


def flat(surface: Surface) -> bool:
    """Whether the surface cannot be told from one without a shape, predicts no better than one, or was not tested."""
    if surface.flat_p is None or surface.error is None or surface.flat_error is None:
        return True
    level = _SIGNIFICANT_STOPPED if surface.parts else _SIGNIFICANT
    return surface.flat_p > level or surface.error >= surface.flat_error


def answer(result: CoefficientsResult) -> str:
    """The rule with its intervals, and whether any other would have done."""
    factor = result.rule.factor
    of = "Of a doubled cost" if factor == 2 else f"Of a cost times {factor:g}"
    shares = result.shares_interval or (None,) * 3
    takes = [
        f"{axis} takes {whole(share)}{SPACE}%{_within(ends, whole)}"
        for axis, share, ends in zip(AXES, result.shares, shares, strict=True)
    ]
    bounds = result.coefficients_interval or (None,) * 3
    named = zip(("α", "β", "γ"), result.rule.coefficients, bounds, strict=True)
    greek = ", ".join(
        f"{name}{SPACE}={SPACE}{value:.2f}{_within(ends, '{:.2f}'.format)}" for name, value, ends in named
    )
    rule = f"{of}, {takes[0]}, {takes[1]} and {takes[2]}: {greek}"
    if result.surface is None:
        return f"{rule}. This is the best of {counted(_finished(result), 'network')} tried, not a fit."
    if flat(result.surface):
        highest = f"The highest place of a flat surface: {rule[0].lower()}{rule[1:]}."
        return f"The data do not show that any shares are better than others. {highest}"
    return f"{rule}; intervals at {at_level(LEVEL)}."


def doubt(result: CoefficientsResult) -> str | None:
    """Why the rule is only the best that was seen; None where the data support it."""
    if result.surface is not None:
        if result.surface.flat_p is None:
            return f"too few networks ({_finished(result)}) were trained to the end to ask whether the shares matter"
        return "accuracy does not depend on the shares more than chance would have it" if flat(result.surface) else None
    if any(network.unknown for network in result.networks):
        return "too few trials went on to say how those that were stopped early would have ended"
    return "too few networks were trained to the end for a surface over the shares"


def warnings(result: CoefficientsResult) -> tuple[str, ...]:
    """A sentence or two for everything that speaks against the answer, the gravest first; empty if nothing does."""
    said = (check(result) for check in _CHECKS)
    return tuple(sentence for sentence in said if sentence)


def supported(result: CoefficientsResult) -> tuple[str, ...]:
    """What the data show, a sentence each; empty if nothing."""
    if result.surface is None or flat(result.surface):
        return ()
    surface = result.surface
    assert surface.flat_p is not None  # it was tested, or it would be flat
    assert surface.error is not None
    assert surface.flat_error is not None
    said = [
        "Accuracy depends on how the cost is shared "
        f"(p{SPACE}={SPACE}{surface.flat_p:.1g}): networks are predicted from their shares to "
        f"{points(surface.error)}, without them to {points(surface.flat_error)}."
    ]
    better = [other for other in result.published if other.gain.low > 0 and not other.extrapolated]
    if better:
        gains = [f"{o.name} by {points(o.gain.value)} ({_ends(o.gain)})" for o in better]
        said.append(f"At equal cost the best rule is better than {', '.join(gains)}.")
    return tuple(said)


def unsupported(result: CoefficientsResult) -> tuple[str, ...]:
    """What the data say nothing about, however clear they are."""
    factors = sorted({n.tags["nominal_factor"] for n in result.networks if n.tags.get("nominal_factor")})
    tried = (
        f"×{factors[0]:g}"
        if len(factors) == 1
        else f"×{factors[0]:g} to ×{factors[-1]:g}"
        if factors
        else "those tried"
    )
    of = "the logit of accuracy" if result.surface and result.surface.form.logit else "accuracy"
    form = f"Surfaces of another form: the intervals, at {at_level(LEVEL)}, take {of} for a quadratic of the shares."
    return (
        *([form] if result.surface else []),
        f"Costs beyond {tried} of the baseline's: that the same shares stay best is an assumption.",
        f"Trainings of another length than {counted(result.training.epochs, 'epoch')}, another recipe, other data or "
        "another baseline.",
        "Other images: every network was judged on the same validation images, so that intervals tell how networks and "
        "seeds vary, not how images do.",
        "Costs other than MACs: memory and latency grow differently along each axis.",
    )


def _too_few_networks(result: CoefficientsResult) -> str | None:
    groups = len({network.group for network in result.networks if network.values})
    if result.surface is not None or _finished(result) >= fewest_networks(groups):
        return None
    return (
        f"Too few networks went to the end: {_finished(result)} in {counted(groups, 'group')}, where a surface over "
        f"the shares needs {fewest_networks(groups)}. The rule is that of the best network, without an interval."
    )


def _flat(result: CoefficientsResult) -> str | None:
    surface = result.surface
    if surface is None or not flat(surface):
        return None
    if surface.flat_p is None or surface.error is None or surface.flat_error is None:
        return (
            f"Not tested: too few networks ({_finished(result)}) were trained to the end to ask whether accuracy "
            "depends on the shares at all. A best rule would need more of them, or fewer stopped."
        )
    return (
        f"Within noise: accuracy does not depend on the shares more than chance would have it (p{SPACE}={SPACE}"
        f"{surface.flat_p:.2g}; networks are predicted to {points(surface.error)} with the shares and to "
        f"{points(surface.flat_error)} without). A best rule would need more seeds, longer training or a larger cost."
    )


def _as_good(result: CoefficientsResult) -> str | None:
    """Published rules that the best is not better than; one that is the best is no reason to warn."""
    if result.surface is None or flat(result.surface):
        return None
    others = [
        other
        for other in result.published
        if other.gain.low <= 0 and not other.extrapolated and _apart(other.rule, result) > _ANOTHER
    ]
    if not others:
        return None
    most = max(other.gain.high for other in others)
    return (
        f"Within noise: the best rule is not shown to be better than {', '.join(other.name for other in others)}, and "
        f"at most {points(most)} better than any of them."
    )


def _edge(result: CoefficientsResult) -> str | None:
    surface = result.surface
    if surface is not None and flat(surface):
        return None
    none = [axis for axis, share in zip(AXES, result.shares, strict=True) if share < _AT_EDGE]
    if none:
        return (
            f"On the edge: the best rule leaves {' and '.join(none)} as in the baseline. Nothing was tried "
            "beyond, where an axis would be scaled down while the cost grows, and no interval can reach there."
        )
    tried = surface.tried if surface else np.array([n.shares for n in result.networks if n.values])
    if len(tried) < 4 or float(inside(to_plane([result.shares]), hull(to_plane(tried)))[0]) > _AT_EDGE:
        return None  # of three, each is a corner
    return (
        f"On the edge of what was tried: {_ranges(tried)} were tried, and the best lies at their border. "
        "It may lie further out; try shares there."
    )


def _groups_differ(result: CoefficientsResult) -> str | None:
    surface = result.surface
    if surface is None or not surface.form.by_group:
        return None
    bests = [f"{group}: {triple(surface.group_maximum(group))}" for group in surface.groups]
    return (
        f"The best shares of depth, width and resolution differ between groups ({'; '.join(bests)}): one rule for all "
        "costs is a compromise."
    )


def _too_short(result: CoefficientsResult) -> str | None:
    """Bello et al. 2021: width wins at 10 epochs, depth at 350."""
    training, said = result.training, []
    if training.epochs < _FEWEST_EPOCHS:
        return (
            f"Training was too short to trust, or its curves are missing: {counted(training.epochs, 'epoch')} "
            "recorded. Which axis pays changes with the length of training (Bello et al. 2021)."
        )
    moved = training.drift and [
        f"that of {axis} moved by {drift.value:+.2f} ({drift.low:+.2f} to {drift.high:+.2f})"
        for axis, drift in zip(AXES, training.drift, strict=True)
        if abs(drift.value) > _MOVED and drift.low * drift.high > 0
    ]
    if moved:
        said.append(f"{_span(training)} the best share shifted: {', '.join(moved)}")
    clear = result.surface is not None and not flat(result.surface)
    if training.rank_correlation is not None and clear and training.rank_correlation < _RANK_CORRELATION:
        said.append(
            f"{_span(training)} the ranking of networks changed: the two agree little (Spearman "
            f"{training.rank_correlation:.2f})"
        )
    if result.surface is not None and clear and training.rise is not None:
        between = float(np.ptp(result.surface.predict(result.surface.tried, result.surface.groups[0])[0]))
        if training.rise > _STEEP * between:
            said.append(
                f"accuracy still rose by {points(training.rise)} in the last quarter, more than the "
                f"{points(between)} between the best and the worst shares"
            )
    if not said:
        return None
    return f"Training may have been too short to trust: {'; '.join(said)}. A longer training may favour other shares."


def _span(training: Training) -> str:
    half, whole = training.compared or (0, 0)
    return "from half the epochs to the end" if whole == training.epochs else f"from epoch {half} to epoch {whole}"


def _few_seeds(result: CoefficientsResult) -> str | None:
    counts = [len(network.values) for network in result.networks if network.values]
    if median(counts) >= _SEEDS:
        return None
    if max(counts) == 1:
        return (
            "Too few seeds: every network was trained to the end from one seed only, so the noise between seeds is "
            "not measured and the best network may be the luckiest."
        )
    few = sum(count < _SEEDS for count in counts)
    return (
        f"Too few seeds: {few} of {counted(len(counts), 'network')} were trained to the end from fewer than {_SEEDS}, "
        "so the noise between seeds is poorly known."
    )


def _pruned(result: CoefficientsResult) -> str | None:
    stopped = sum(network.pruned for network in result.networks)
    if not stopped:
        return None
    trials = stopped + sum(len(network.values) for network in result.networks)
    unknown = sum(network.unknown for network in result.networks)
    if unknown:
        how = (
            f"Too few went on to say how {unknown} of them would have ended. The rule is that of the best network that "
            "went to the end, without an interval."
        )
    else:
        how = (
            "How they would have ended was drawn from how the others went on, and the intervals allow for it, as far "
            "as a network's shares and its accuracy at the stop tell of the rest. Means in the table are of those that "
            "went on, the luckier ones."
        )
    never = [network for network in result.networks if network.pruned and not network.values]
    unseen = (
        f" {counted(len(never), 'network')} of {len(result.networks)} never came to the end, and nothing that was "
        f"measured stands there: {', '.join(f'{triple(n.shares)} ({n.group})' for n in never)}."
        if never
        else ""
    )
    checked = (
        f" Whether training was long enough was checked up to epoch {result.training.compared[1]} only, the first stop."
        if result.training.compared
        else " Whether training was long enough could not be checked."
    )
    return f"Stopped early: {stopped} of {trials} trials. {how}{unseen}{checked}"


def _failed(result: CoefficientsResult) -> str | None:
    failed = sum(network.failed for network in result.networks)
    return f"Failed: {counted(failed, 'trial')}; nothing here rests on them." if failed else None


def _unequal_costs(result: CoefficientsResult) -> str | None:
    said = []
    for group in dict.fromkeys(network.group for network in result.networks):
        mates = [network for network in result.networks if network.group == group and network.cost_ratio]
        factors = [network.tags["macs_factor"] for network in mates]
        asked = mates[0].tags["nominal_factor"] if mates else 1.0
        if any(abs(factor / asked - 1) > UNEQUAL + 1e-9 for factor in factors):
            said.append(f"{group}: ×{min(factors):.2f} to ×{max(factors):.2f} for ×{asked:g}")
    if not said:
        return None
    corrected = result.surface is not None and result.surface.form.cost
    then = "the surface allows for it by a slope on cost" if corrected else "the dearer ones have an advantage"
    return f"Realised costs lie more than {at_level(UNEQUAL)} from what was asked ({'; '.join(said)}); {then}."


_CHECKS: tuple[Callable[[CoefficientsResult], str | None], ...] = (
    _too_few_networks,
    _flat,
    _as_good,
    _edge,
    _groups_differ,
    _too_short,
    _few_seeds,
    _pruned,
    _failed,
    _unequal_costs,
)


def _finished(result: CoefficientsResult) -> int:
    return sum(bool(network.values) for network in result.networks)


def _within(ends: Interval | None, text: Callable[[float], str]) -> str:
    return f" ({text(ends.low)}–{text(ends.high)})" if ends else ""


def _ends(gain: Difference) -> str:
    """In points, of a gain that is above 0."""
    return f"{100 * gain.low:.1f}–{100 * gain.high:.1f}"


def _apart(rule: Rule, result: CoefficientsResult) -> float:
    """The largest difference of a share."""
    pairs = zip((rule.depth, rule.width, rule.resolution), result.shares, strict=True)
    return max(abs(one - other) for one, other in pairs)


def _ranges(tried: Floats) -> str:
    ends = zip(AXES, tried.min(axis=0), tried.max(axis=0), strict=True)
    return ", ".join(f"{axis} {low:.2f}–{high:.2f}" for axis, low, high in ends)
