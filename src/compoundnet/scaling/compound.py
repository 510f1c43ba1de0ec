"""Compound scaling: how a cost factor is shared among depth, width and resolution.

MACs grow as depth * width^2 * resolution^2. A rule gives each axis a share of the logarithm of the
cost factor s, shares summing to 1::

    depth = s^e_d        width = s^(e_w / 2)        resolution = s^(e_r / 2)

so that depth * width^2 * resolution^2 = s. The paper's alpha, beta, gamma with d = alpha^phi,
w = beta^phi, r = gamma^phi are the shares (ln alpha, 2 ln beta, 2 ln gamma) / ln(alpha beta^2 gamma^2)
with s = (alpha beta^2 gamma^2)^phi; one axis alone is a share of 1 (Tan & Le 2019, section 3.3;
Dollar et al. 2021, section 4).
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from compoundnet.architecture import Architecture
from compoundnet.checks import finite
from compoundnet.errors import RequestError, unknown
from compoundnet.zoo import AnyNetwork, Comparator, architecture, not_scalable

__all__ = [
    "COST_POWERS",
    "LEAST_SIDE",
    "RULES",
    "Multipliers",
    "Rule",
    "RuleInFile",
    "find",
    "opened",
    "read_rule",
    "scale",
]


LEAST_SIDE = 8
"""Pixels of the smallest network that scaling makes, unless its baseline has fewer."""


class Multipliers(NamedTuple):
    """What each axis of the baseline is multiplied by."""

    depth: float
    width: float
    resolution: float

    @property
    def nominal(self) -> float:
        """Their nominal cost, depth * width^2 * resolution^2; of arrays an array."""
        nominal: float = math.prod(by**power for by, power in zip(self, COST_POWERS, strict=True))
        return nominal


COST_POWERS = Multipliers(1, 2, 2)
"""Of the multipliers in the nominal cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Shares of the cost factor, and the factor that one unit of phi stands for.

    >>> rule = Rule.from_coefficients(1.2, 1.1, 1.15)
    >>> round(rule.factor, 3), round(rule.depth, 2), round(rule.width, 2), round(rule.resolution, 2)
    (1.92, 0.28, 0.29, 0.43)

    Raises:
        RequestError: a share outside 0..1, shares that do not sum to 1, or a factor not above 1.
    """

    depth: float
    width: float
    resolution: float
    factor: float = 2.0

    def __post_init__(self) -> None:
        shares = self.shares
        if not all(map(finite, shares)) or min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-9):
            raise RequestError(
                f"shares (depth, width, resolution) are {shares!r:.120}; none may be negative and they must sum to 1"
            )
        if not (finite(self.factor) and self.factor > 1):
            raise RequestError(f"factor is {self.factor!r:.60}; a unit of phi must multiply the cost by more than 1")

    @classmethod
    def from_coefficients(cls, alpha: float, beta: float, gamma: float) -> "Rule":
        """The rule d = alpha^phi, w = beta^phi, r = gamma^phi; each must be at least 1 and one above."""
        numbers = all(map(finite, (alpha, beta, gamma)))
        if not (numbers and min(alpha, beta, gamma) >= 1 and alpha * beta * beta * gamma * gamma > 1):
            raise RequestError(f"alpha, beta, gamma are {alpha}, {beta}, {gamma}; all must be >= 1, and one above 1")
        logs = (math.log(alpha), 2 * math.log(beta), 2 * math.log(gamma))
        total = sum(logs)
        return cls(
            depth=logs[0] / total,
            width=logs[1] / total,
            resolution=logs[2] / total,
            factor=alpha * beta * beta * gamma * gamma,  # not beta**2, which raises where a product is infinite
        )

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of depth, width and resolution."""
        return self.depth, self.width, self.resolution

    @property
    def exponents(self) -> tuple[float, float, float]:
        """Of the cost factor in the multipliers of depth, width and resolution: e_d, e_w / 2, e_r / 2."""
        depth, width, resolution = (share / power for share, power in zip(self.shares, COST_POWERS, strict=True))
        return depth, width, resolution

    @property
    def coefficients(self) -> Multipliers:
        """alpha, beta, gamma: the multipliers of one unit of phi."""
        return self.multipliers(self.factor)

    def multipliers(self, cost_factor: float) -> Multipliers:
        """The multipliers whose nominal cost, depth * width^2 * resolution^2, is ``cost_factor``; below 1 shrinks."""
        if not (finite(cost_factor) and cost_factor > 0):
            raise RequestError(
                f"cost factor is {cost_factor!r:.60}; it must be a positive number, 1 leaves the network as it is"
            )
        return Multipliers(*(float(cost_factor) ** exponent for exponent in self.exponents))

    def at(self, phi: float) -> Multipliers:
        """The multipliers alpha^phi, beta^phi, gamma^phi; phi may be fractional, or negative to shrink."""
        if not finite(phi):
            raise RequestError(f"phi is {phi!r:.60}; it must be a number, such as 1, or -0.5 to shrink")
        try:
            return self.multipliers(float(self.factor) ** float(phi))
        except (OverflowError, RequestError) as error:
            raise RequestError(f"phi is {phi!r}; {self.factor:g}^phi is no cost factor for a network") from error


class RuleInFile(NamedTuple):
    """A rule, and what its study says against it: ``doubt`` is why the data do not support it, None where they do."""

    rule: Rule
    doubt: str | None
    warnings: tuple[str, ...] = ()


def read_rule(path: str | Path) -> RuleInFile:
    """The rule in a JSON file, with what its study says against it.

    The file holds depth, width, resolution (shares) and factor, at the top or under ``rule``.

    Raises:
        RequestError: no such file, or none of a rule.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        values = record.get("rule", record)
        rule = Rule(**{name: values[name] for name in ("depth", "width", "resolution", "factor")})
    except OSError as error:
        raise RequestError(f"cannot read rule {str(path)!r}: {error.strerror}") from error
    except RequestError as error:
        raise RequestError(f"rule {str(path)!r}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RequestError(
            f"{str(path)!r} is no rule; it must hold depth, width, resolution and factor as numbers"
        ) from error
    said = record.get("warnings")
    warnings = tuple(_line(text) for text in said) if isinstance(said, list) else ()
    if not isinstance(record.get("supported", True), bool):
        raise RequestError(f"rule {str(path)!r}: supported is {record['supported']!r:.40}; it must be true or false")
    if record.get("supported", True):
        return RuleInFile(rule, None, warnings)
    return RuleInFile(rule, _line(record.get("doubt") or "it does not say why"), warnings)


def _line(text: object) -> str:
    return " ".join(str(text).split())


_PAPER = Rule.from_coefficients(1.2, 1.1, 1.15)

RULES: dict[str, Rule] = {
    "efficientnet": _PAPER,  # Tan & Le 2019, section 4: alpha 1.2, beta 1.1, gamma 1.15
    "efficientnet_shipped": Rule(depth=0.25, width=0.30, resolution=0.45),  # what B4-B7 of tensorflow/tpu amount to
    "efficientnet_x_gpu": Rule(
        depth=0.38, width=0.42, resolution=0.20
    ),  # fitted to efficientnet_x_builder.py, GPU rows
    "efficientnet_x_tpu": Rule(depth=0.38, width=0.37, resolution=0.25),  # the same, TPU rows B1-B4
    "uniform": Rule(depth=1 / 3, width=1 / 3, resolution=1 / 3),  # "dwr", Dollar et al. 2021
    "fast": Rule(depth=0.1, width=0.8, resolution=0.1),  # "dWr", Dollar et al. 2021: activations grow as s^0.6
    "depth": Rule(depth=1, width=0, resolution=0),  # one axis alone, for comparison
    "width": Rule(depth=0, width=1, resolution=0),
    "resolution": Rule(depth=0, width=0, resolution=1),
}
"""Published rules by name."""


def scale(
    arch: str | Path | Architecture,
    phi: float | None = None,
    *,
    rule: str | Rule | None = None,
    depth: float | None = None,
    width: float | None = None,
    resolution: float | None = None,
) -> Architecture:
    """``arch`` scaled by a rule at ``phi`` (the paper's if none is given), or by multipliers (those not given are 1).

    >>> scale("efficientnet_b0", phi=1).resolution  # 224 * 1.15 = 257.6
    258

    Raises:
        RequestError: both or neither way asked for, an unknown rule, a multiplier that makes no network or a tiny one.
    """
    arch = opened(arch)
    axes = {"depth": depth, "width": width, "resolution": resolution}
    explicit = any(m is not None for m in axes.values())
    if (phi is None) == (not explicit):
        raise RequestError(
            "scale by phi, or by depth, width and resolution: "
            + ("not both" if explicit else "give phi, or at least one of the three")
        )
    if phi is None:
        if rule is not None:
            given = f"rule {rule!r}" if isinstance(rule, str) else "a rule"
            raise RequestError(f"{given} goes with phi; multipliers of depth, width and resolution need none")
        d, w, r = (1.0 if m is None else _multiplier(axis, m) for axis, m in axes.items())
        return _large_enough(arch.scaled(depth=d, width=w, resolution=r), arch, f"resolution multiplier is {r:g}")
    by = find(rule).at(phi)
    try:
        scaled = arch.scaled(**by._asdict(), name=f"{arch.name}_phi{phi:g}")
    except RequestError as error:
        raise RequestError(f"phi is {phi:g}, which makes no network of {arch.name}: {error}") from error
    return _large_enough(scaled, arch, f"phi is {phi:g}")


def _large_enough(scaled: Architecture, base: Architecture, given: str) -> Architecture:
    """``scaled``, unless hardly a pixel of its images is left."""
    if scaled.resolution < min(LEAST_SIDE, base.resolution):
        raise RequestError(
            f"{given}; of {base.resolution} px that leaves {scaled.resolution}, and networks have at least {LEAST_SIDE}"
        )
    return scaled


def _multiplier(axis: str, value: float) -> float:
    if not finite(value):
        raise RequestError(f"{axis} multiplier is {value!r:.60}; it must be a positive number, 1 leaves it as it is")
    return value if isinstance(value, (int, float)) else float(value)  # NumPy's


def opened(arch: str | Path | AnyNetwork) -> Architecture:
    """The architecture itself, that of a name or that in a file. RequestError: anything else."""
    if isinstance(arch, (str, Path)):
        return architecture(arch)
    if isinstance(arch, Comparator):
        raise not_scalable(arch.name)
    if not isinstance(arch, Architecture):
        raise RequestError(f"network is {arch!r:.60}; give a name, a JSON file or an Architecture")
    return arch


def find(rule: str | Rule | None) -> Rule:
    """The rule itself, the published one of that name, or the paper's for None."""
    if isinstance(rule, Rule):
        return rule
    if rule is None:
        return _PAPER
    if not isinstance(rule, str):
        raise RequestError(f"rule is {rule!r:.60}; give the name of a published one, such as efficientnet, or a Rule")
    if rule not in RULES:
        raise unknown("scaling rule", rule, RULES)
    return RULES[rule]
