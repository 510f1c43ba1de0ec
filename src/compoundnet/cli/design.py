"""The verb that needs torch only for a factory or a measured latency: design."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from compoundnet.architecture import Architecture
from compoundnet.cli.arguments import Arch, Flag, Json, Output, call, print_json
from compoundnet.cli.describe import check_architecture_output, cost_lines, page, read_rule, write_architecture
from compoundnet.errors import RequestError
from compoundnet.scaling import Design, Multipliers, design
from compoundnet.scaling.accuracy import AccuracyModel, read_model
from compoundnet.scaling.baseline import AXES, Baseline
from compoundnet.scaling.budget import LIMITS, Budget, parse_quantity, shown
from compoundnet.scaling.compound import Rule, find
from compoundnet.scaling.latency import opened_profile
from compoundnet.summary import describe
from compoundnet.units import SPACE, percent

if TYPE_CHECKING:
    from compoundnet.deploy import Timing

__all__ = ["design_command"]

Quantity = Annotated[str | None, tyro.conf.arg(metavar="N")]


def design_command(argv: Sequence[str]) -> None:
    """``compoundnet design ARCH --max-macs 1.8G``."""
    call("design", _design, argv)


def _design(
    architecture: Arch,
    max_macs: Quantity = None,
    max_params: Quantity = None,
    max_activations: Quantity = None,
    max_weights: Quantity = None,
    max_memory: Quantity = None,
    max_training_memory: Quantity = None,
    max_latency_ms: Quantity = None,
    batch_size: int | None = None,
    rule: str | None = None,
    free: Flag = False,
    study: Path | None = None,
    profile: Path | None = None,
    measure: Flag = True,
    base_resolution: int | None = None,
    output: Annotated[Path | None, Output] = None,
    json: Json = False,
) -> None:
    """The best scaling of a network that stays within every limit, and what keeps it from being larger.

    Args:
        architecture: a name of compoundnet list, a JSON file, or package.module:factory, a function
            (depth, width, resolution) -> torch.nn.Module, of which networks on a grid are tried.
        max_macs: multiply-adds of one image, such as 1.8G.
        max_params: parameters, such as 20M.
        max_activations: elements that convolutions and linear layers write for one image, such as 10M.
        max_weights: parameters and buffers, such as 64MB.
        max_memory: peak of one image's inference in float32, weights included, such as 100MiB.
        max_training_memory: peak of a training step of --batch-size images (32) in float32 with AdamW and its
            two states; an average of the weights (EMA) would come on top. Such as 8GiB.
        max_latency_ms: predicted by a profile of the device (compoundnet profile), then measured; such as 15.
        batch_size: images of a training step.
        rule: a published rule's name (see compoundnet scale --help), or the JSON file of compoundnet coefficients;
            efficientnet unless given.
        free: choose depth, width and resolution each on its own, instead of along the rule.
        study: folder or result.json of a study, whose accuracy model then ranks the networks, freely and by no rule.
        profile: the device's; by default what compoundnet profile left for eager PyTorch, one thread, one image.
        measure: take the predicted latency for the true one, instead of measuring the network on this device and
            taking a smaller one until it keeps the limit.
        base_resolution: side in pixels of a factory's baseline, 224 unless given.
        output: write the architecture there, as JSON.
        json: the description of the network, its scaling, what binds and what the next larger would cost.
    """
    texts = (max_macs, max_params, max_activations, max_weights, max_memory, max_training_memory, max_latency_ms)
    limits = _limits(texts, batch_size)
    if max_latency_ms is None and not measure:
        raise RequestError("no-measure goes with a limit on latency; give --max-latency-ms")
    model = None if study is None else read_model(study)
    shares = None if rule is None else read_rule(rule)
    along = None if free or model is not None else find(shares)
    baseline = _opened(architecture, base_resolution, output, along)
    solve = partial(design, baseline, batch_size=batch_size, rule=shares, free=free, model=model)
    found, timing = _found(solve, limits, profile, measure)
    if output is not None:
        write_architecture(output, found.architecture)
    if json:
        print_json(_record(found, limits, model, timing))
    else:
        print(_page(found, limits, model, timing, output))


def _limits(texts: Sequence[str | None], batch_size: int | None) -> dict[str, float]:
    """The limits by name; RequestError before anything is built."""
    limits = {
        limit.name: parse_quantity(text, limit.unit, limit.flag)
        for limit, text in zip(LIMITS, texts, strict=True)
        if text is not None
    }
    return Budget(**limits, batch_size=batch_size).limits()


def _opened(name: str, resolution: int | None, output: Path | None, along: Rule | None) -> Baseline:
    """The baseline, to be scaled along a rule or freely; RequestError first if it could not be written."""
    from compoundnet.baselines import is_factory, open_baseline

    if output is not None:
        if is_factory(name):
            raise RequestError(
                f"output is {str(output)!r}, but the network of a factory is no architecture; leave output out"
            )
        check_architecture_output(output)
    scales = [axis for axis in AXES if along is None or getattr(along, axis)]
    return open_baseline(name, resolution, scales=scales, tell=partial(print, file=sys.stderr))


def _found(
    solve: Callable[..., Design], limits: dict[str, float], file: Path | None, measure: bool
) -> tuple[Design, "Timing | None"]:
    """The design, and its measured latency where that is limited and to be measured."""
    if "latency_ms" not in limits or not measure:
        return solve(**limits, profile=file), None
    from compoundnet.deploy import choose_within

    profile = opened_profile(file)
    chosen = choose_within(
        limits["latency_ms"], lambda aimed_ms: solve(**(limits | {"latency_ms": aimed_ms}), profile=profile), profile
    )
    return chosen.design, chosen.timing


def _record(
    found: Design, limits: dict[str, float], model: AccuracyModel | None, timing: "Timing | None"
) -> dict[str, Any]:
    arch = found.architecture
    described = describe(arch) if isinstance(arch, Architecture) else {"name": arch.name, "resolution": arch.resolution}
    larger = found.next_scaling and {
        "scaling": found.next_scaling._asdict(),
        "cost": found.next_cost and found.next_cost.to_record(),
        "spent": found.next_spent,
    }
    record = {
        **described,
        "cost": found.cost.to_record(),
        "scaling": found.scaling._asdict(),
        "exact": found.exact,
        "doubts": list(found.doubts),
        "phi": found.phi,
        "limits": limits,
        "spent": found.spent,
        "binding": list(found.binding),
        "next": larger,
    }
    if model is not None:
        record |= {"accuracy_model": model.to_json()}
    if timing is not None:
        record |= {"measured_ms": {"median": timing.median_ms, "quartiles": [timing.low_ms, timing.high_ms]}}
    return record


def _page(
    found: Design,
    limits: dict[str, float],
    model: AccuracyModel | None,
    timing: "Timing | None",
    output: Path | None,
) -> str:
    arch = found.architecture
    lines = [page(arch)] if isinstance(arch, Architecture) else [f"{arch.name}: {arch.resolution} px"]
    lines += ["", f"scaling: {_multipliers(found.scaling)}" + ("" if found.phi is None else f" (phi {found.phi:.2f})")]
    lines += _basis(found, model)
    for name, limit in limits.items():
        used = found.spent[name]
        lines.append(f"{name:<16}{shown(name, used):>10} of {shown(name, limit)} ({100 * used / limit:.1f} %)")
    if timing is not None:
        quartiles = f"quartiles {timing.low_ms:.3g} to {timing.high_ms:.3g}"
        lines.append(f"measured here: {timing.median_ms:.3g} ms ({quartiles})")
    lines += _larger(found)
    if output is not None:
        lines.append(f"written to {output}")
    return "\n".join(lines).replace(SPACE, " ")


def _basis(found: Design, model: AccuracyModel | None) -> list[str]:
    """What the choice rests on, and what speaks against it."""
    lines = []
    if model is not None and model.studied is not None:
        study = model.studied
        lines.append(
            f"ranked by a study of {study.networks} networks of x{study.cheapest:.3g} to x{study.dearest:.3g} the "
            f"nominal cost, from which its model is {percent(model.deviation)} of accuracy off"
        )
    elif model is not None:
        lines.append("ranked by an accuracy model that does not say what it rests on")
    lines += [f"but: {doubt}" for doubt in found.doubts]
    return lines


def _larger(found: Design) -> list[str]:
    """What binds, and all that the next larger network would cost."""
    if found.next_scaling is None or found.next_cost is None:
        return ["there is no larger network in reach"]
    over = " and ".join(f"{found.next_spent[name]:,.12g} {name}" for name in found.binding)
    binds = f"what binds: {', '.join(found.binding)}; the next larger ({_multipliers(found.next_scaling)}) has {over}:"
    return [binds, *(f"  {line}" for line in cost_lines(found.next_cost))]


def _multipliers(by: Multipliers) -> str:
    return f"depth x{by.depth:g}, width x{by.width:g}, resolution x{by.resolution:g}"
