"""Verbs that need no torch: list, describe (but of a comparator), scale."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from compoundnet.architecture import Architecture
from compoundnet.checks import check_writable
from compoundnet.cli.arguments import Arch, Json, Output, call, print_json
from compoundnet.cost import Cost
from compoundnet.costs import cost
from compoundnet.errors import RequestError
from compoundnet.files import write_atomically
from compoundnet.scaling import Rule, scale
from compoundnet.scaling.compound import find as find_rule
from compoundnet.scaling.compound import read_rule as read_file
from compoundnet.summary import describe, stage_rows
from compoundnet.units import SPACE, human
from compoundnet.zoo import AnyNetwork, list_networks, network
from compoundnet.zoo import architecture as find

__all__ = ["check_architecture_output", "cost_lines", "describe_command", "list_command", "page", "read_rule"]
__all__ += ["scale_command", "write_architecture"]

_COSTS = (  # in words, the field of Cost, its unit
    ("parameters", "params", ""),
    ("MACs", "macs", ""),
    ("activations", "activations", ""),
    ("weights", "weights_bytes", "B"),
    ("inference, peak", "inference_bytes", "B"),
    ("training, an image", "training_bytes_per_image", "B"),
)

Pattern = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PATTERN")]


def list_command(argv: Sequence[str]) -> None:
    """``compoundnet list [PATTERN]``."""
    call("list", _list, argv)


def describe_command(argv: Sequence[str]) -> None:
    """``compoundnet describe ARCH``."""
    call("describe", _describe, argv)


def scale_command(argv: Sequence[str]) -> None:
    """``compoundnet scale ARCH --phi P``."""
    call("scale", _scale, argv)


def _list(pattern: Pattern = "*", json: Json = False) -> None:
    """Names of the networks that are known.

    Args:
        pattern: shell pattern, such as 'efficientnet_b?'.
        json: a JSON list.
    """
    names = list_networks(pattern)
    if not names:
        raise RequestError(f"no network matches {pattern!r}; compoundnet list shows all")
    if json:
        print_json(names)
    else:
        print("\n".join(names))


def _describe(architecture: Arch, json: Json = False) -> None:
    """Stages and cost of a network.

    Args:
        architecture: a name of compoundnet list, or a JSON file.
        json: name, resolution, params, macs, activations, memory, stages (of a comparator such as alexnet, none).
    """
    found = network(architecture)
    if json:
        print_json(describe(found, cost(found)))
    else:
        print(page(found))


def _scale(
    architecture: Arch,
    phi: float | None = None,
    rule: str | None = None,
    depth: float | None = None,
    width: float | None = None,
    resolution: float | None = None,
    output: Annotated[Path | None, Output] = None,
    json: Json = False,
) -> None:
    """A network scaled by a rule at phi, or by multipliers of its axes.

    Args:
        architecture: a name of compoundnet list, or a JSON file.
        phi: how far; each unit about doubles the MACs. May be fractional, or negative to shrink.
        rule: with phi, how cost is shared among the axes: efficientnet (the default), efficientnet_shipped,
            efficientnet_x_gpu, efficientnet_x_tpu, uniform, fast, depth, width, resolution, or the JSON file of a rule.
        depth: multiplier of every stage's repeats.
        width: multiplier of every width.
        resolution: multiplier of the input side.
        output: write the architecture there, as JSON.
        json: the description of the scaled network, and what it costs relative to the first.
    """
    if output is not None:
        check_architecture_output(output)
    base = find(architecture)
    scaled = scale(
        base, phi, rule=None if rule is None else read_rule(rule), depth=depth, width=width, resolution=resolution
    )
    before, after = cost(base), cost(scaled)
    if output is not None:
        write_architecture(output, scaled)
    if json:
        print_json({**describe(scaled), "relative": _relative(before, after)})
        return
    times = ", ".join(f"{name} x{value:.2f}" for name, value in _relative(before, after).items())
    print(f"{page(scaled)}\n\nagainst {base.name}: {times}")
    if output is not None:
        print(f"written to {output}")


def read_rule(name: str) -> Rule:
    """A published rule by its name, or the one in a JSON file, such as compoundnet coefficients leaves.

    What the study that found it says against it goes to standard error.
    """
    if not name.endswith(".json"):
        return find_rule(name)
    read = read_file(name)
    said = [f"its study does not support it: {read.doubt}"] if read.doubt else read.warnings
    for line in said:
        print(f"{name}: {line}", file=sys.stderr)
    return read.rule


def _relative(before: Cost, after: Cost) -> dict[str, float]:
    return {name: getattr(after, name) / getattr(before, name) for name in ("params", "macs", "activations")}


def check_architecture_output(path: Path) -> None:
    """RequestError: no architecture can be written there. Said before anything is computed."""
    if path.suffix != ".json":
        raise RequestError(f"output is {str(path)!r}; an architecture file ends in .json")
    check_writable(path)


def write_architecture(path: Path, arch: Architecture) -> None:
    """Write ``arch`` as JSON, whole or not at all. RequestError: it cannot be written."""
    try:
        write_atomically(path, arch.to_json() + "\n")
    except OSError as error:
        raise RequestError(f"cannot write {str(path)!r}: {error.strerror}") from error


def page(network: AnyNetwork) -> str:
    """Stages, where there are any, and cost for people."""
    title = f"{network.name}: {network.resolution} x {network.resolution} pixels, {network.classes} classes"
    table = [*_table(network), ""] if isinstance(network, Architecture) else []
    return "\n".join([title, "", *table, *cost_lines(cost(network))]).replace(SPACE, " ")


def _table(arch: Architecture) -> Iterator[str]:
    columns = ("name", "block", "kernel", "expansion", "se", "channels", "repeats", "stride", "side", "params", "macs")
    rows = [columns, *(tuple(_cell(key, row[key]) for key in columns) for row in stage_rows(arch))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    return ("  ".join(map(_aligned, row, widths, range(len(columns)))) for row in rows)


def cost_lines(price: Cost) -> list[str]:
    """A network's cost, a line each: in three digits, and to the last."""
    values = ((name, getattr(price, of), unit) for name, of, unit in _COSTS)
    return [f"{name:<20}{human(value, unit):>10}  {value:>19,}" for name, value, unit in values]


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "-"
    return human(value) if key in ("params", "macs") else str(value)
