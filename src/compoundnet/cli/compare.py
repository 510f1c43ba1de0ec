"""The verb compare: networks and runs side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from compoundnet.cli.arguments import Flag, Json, Output, call, print_json
from compoundnet.compare.asked import asked_for
from compoundnet.compare.chart import check_drawable
from compoundnet.compare.page import check_folder, write_folder
from compoundnet.compare.rows import Comparison, CostName, measured
from compoundnet.compare.table import text_table
from compoundnet.errors import RequestError
from compoundnet.scaling.latency import Device, Engine, Setting

__all__ = ["compare_command"]

Networks = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NETWORK_OR_RUN ...]")]


def compare_command(argv: Sequence[str]) -> None:
    """``compoundnet compare [NETWORK_OR_RUN ...]``."""
    call("compare", _compare, argv)


def _compare(
    networks: Networks = (),
    paper: Flag = False,
    cost: CostName | None = None,
    latency: Engine | None = None,
    device: Device | None = None,
    threads: int | None = None,
    batch_size: int | None = None,
    base_resolution: int | None = None,
    output: Annotated[Path | None, Output] = None,
    json: Json = False,
) -> None:
    """Networks side by side: what they cost here, and their published or measured accuracy.

    Args:
        networks: names of compoundnet list or as published (such as Inception-v3), JSON files, package.module:factory,
            and folders of runs, whose accuracy is their own, on their own images. None: those of the EfficientNet
            paper's Table 2 and Figure 1, and their forerunners.
        paper: the paper's as well as those named.
        cost: what compare.png and compare.svg draw accuracy against: params (the paper's Figure 1) unless given, macs
            (its Figure 5), activations or latency. The page shows them all.
        latency: measure latency too, with this engine, which takes minutes; comparators such as vgg16, and
            factories, run in eager PyTorch.
        device: of the latency: cpu unless given, or cuda for eager and compiled.
        threads: of the CPU, one unless given.
        batch_size: images at a time, one unless given.
        base_resolution: side in pixels of a factory's network, 224 unless given.
        output: a folder for report.html, compare.csv, compare.png and compare.svg.
        json: the rows on standard output: label, name, kind, resolution, params, macs, activations, memory, latency,
            accuracy (with its source), published.
    """
    setting = _setting(latency, {"device": device, "threads": threads, "batch_size": batch_size})
    asked = asked_for(networks, paper, base_resolution)
    if output is not None:
        check_folder(output)
        check_drawable(asked, cost or "params", setting)
    elif cost is not None:
        raise RequestError(f"cost is {cost}; it chooses a chart, which is drawn into a folder: give --output too")
    comparison = measured(asked, latency=setting, tell=lambda text: print(text, file=sys.stderr))
    written = [] if output is None else _written(comparison, output, cost or "params")
    if json:
        print_json(comparison.to_json())
        return
    print(text_table(comparison))
    if written:
        print(f"\nwritten to {', '.join(map(str, written))}")


def _setting(engine: Engine | None, others: dict[str, object]) -> Setting | None:
    """RequestError: something about latency is given, but not that it is to be measured."""
    given = {name: value for name, value in others.items() if value is not None}
    if engine is None:
        for name in given:
            raise RequestError(f"{name.replace('_', '-')} goes with a measured latency; give --latency eager too")
        return None
    return Setting(engine=engine, **given)  # type: ignore[arg-type]


def _written(comparison: Comparison, folder: Path, cost: CostName) -> list[Path]:
    try:
        return write_folder(comparison, folder, cost)
    except OSError as error:
        raise RequestError(f"cannot write {str(folder)!r}: {error.strerror or error}") from error
