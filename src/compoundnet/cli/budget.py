"""The verb that needs torch only for a factory or a measured latency: design."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from compoundnet.architecture import Architecture
from compoundnet.cli.arguments import Arch, Json, Output, call, print_json
from compoundnet.cli.design import page, read_rule, write_architecture
from compoundnet.errors import RequestError
from compoundnet.scaling.accuracy import AccuracyModel, following, read_model
from compoundnet.scaling.baseline import ArchitectureBaseline, Baseline
from compoundnet.scaling.budget import LIMITS, Budget, parse_quantity, shown
from compoundnet.scaling.compound import Rule
from compoundnet.scaling.design import Design, solve
from compoundnet.scaling.latency import Setting, default_profile_path, read_profile
from compoundnet.summary import describe
from compoundnet.units import SPACE
from compoundnet.zoo import architecture

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
    rule: str = "efficientnet",
    free: bool = False,
    study: Path | None = None,
    profile: Path | None = None,
    measure: bool = True,
    base_resolution: int | None = None,
    output: Annotated[Path | None, Output] = None,
    json: Json = False,
) -> None:
    """The best scaling of a network that stays within every limit, and what keeps it from being larger.

    Args:
        architecture: a name of compoundnet list, a JSON file, or package.module:factory, a function
            (depth, width, resolution) -> torch.nn.Module.
        max_macs: multiply-adds of one image, such as 1.8G.
        max_params: parameters, such as 20M.
        max_activations: elements that convolutions and linear layers write for one image, such as 10M.
        max_weights: parameters and buffers, such as 64MB.
        max_memory: peak of one image's inference, weights included, such as 100MiB.
        max_training_memory: peak of a training step of --batch-size images (32), such as 8GiB.
        max_latency_ms: predicted by a profile of the device (compoundnet profile), then measured; such as 15.
        batch_size: images of a training step.
        rule: a published rule's name (see compoundnet scale --help), or the JSON file of compoundnet coefficients.
        free: choose depth, width and resolution each on its own, instead of along the rule.
        study: result.json of a study, whose accuracy model then ranks the networks; implies free.
        profile: the device's; by default what compoundnet profile left for eager PyTorch, one thread, one image.
        measure: with a limit on latency, measure the network on this device, and take a smaller one until it keeps it.
        base_resolution: side in pixels of a factory's baseline, 224 unless given.
        output: write the architecture there, as JSON.
        json: the description of the network, its scaling, what binds and what the next larger would spend.
    """
    texts = (max_macs, max_params, max_activations, max_weights, max_memory, max_training_memory, max_latency_ms)
    limits = {
        limit.name: parse_quantity(text, limit.unit, limit.flag)
        for limit, text in zip(LIMITS, texts, strict=True)
        if text is not None
    }
    budget = Budget(**limits, batch_size=batch_size)
    baseline = _opened(architecture, base_resolution)
    by = read_rule(rule)
    model = _model(by, free, study)
    found, timing = _solved(baseline, budget, by, model, profile, measure)
    if output is not None:
        write_architecture(output, found.architecture)
    if json:
        print_json(_record(found, budget) | _measured(timing))
    else:
        print(_page(found, budget, output, timing))


def _opened(name: str, resolution: int | None) -> Baseline:
    """As :func:`compoundnet.baselines.open_baseline`, without torch where it needs none."""
    if ":" not in name and resolution is None:
        return ArchitectureBaseline(architecture(name))
    from compoundnet.baselines import open_baseline

    return open_baseline(name, resolution)


def _solved(
    baseline: Baseline, budget: Budget, rule: Rule, model: AccuracyModel | None, file: Path | None, measure: bool
) -> tuple[Design, "Timing | None"]:
    """The design, and its measured latency where that is limited and to be measured."""
    if budget.latency_ms is None:
        if file is not None:
            raise RequestError("profile goes with a limit on latency; give --max-latency-ms")
        return solve(baseline, budget, rule=rule, model=model, profile=None), None
    profile = read_profile(default_profile_path(Setting()) if file is None else file)
    designs: list[Design] = []

    def choose(aimed_ms: float) -> Architecture:
        within = replace(budget, latency_ms=aimed_ms)
        designs.append(solve(baseline, within, rule=rule, model=model, profile=profile))
        arch: Architecture = designs[-1].architecture
        return arch

    if not measure:
        choose(budget.latency_ms)
        return designs[-1], None
    from compoundnet.deploy import choose_within

    timing = choose_within(budget.latency_ms, choose, profile).timing
    return designs[-1], timing


def _measured(timing: "Timing | None") -> dict[str, Any]:
    return (
        {}
        if timing is None
        else {"measured_ms": {"median": timing.median_ms, "quartiles": [timing.low_ms, timing.high_ms]}}
    )


def _model(rule: Rule, free: bool, study: Path | None) -> AccuracyModel | None:
    if study is not None:
        return read_model(study)
    return following(rule) if free else None


def _record(found: Design, budget: Budget) -> dict[str, Any]:
    arch = found.architecture
    described = describe(arch) if isinstance(arch, Architecture) else {"name": arch.name, "resolution": arch.resolution}
    return {
        **described,
        "cost": {name: getattr(found.cost, name) for name in type(found.cost).__slots__},
        "scaling": found.scaling._asdict(),
        "phi": found.phi,
        "limits": budget.limits(),
        "spent": found.spent,
        "binding": list(found.binding),
        "next": found.next_scaling and {"scaling": found.next_scaling._asdict(), "spent": found.next_spent},
    }


def _page(found: Design, budget: Budget, output: Path | None, timing: "Timing | None") -> str:
    arch = found.architecture
    lines = [page(arch)] if isinstance(arch, Architecture) else [f"{arch.name}: {arch.resolution} px"]
    d, w, r = found.scaling
    lines += ["", f"scaling: depth x{d:g}, width x{w:g}, resolution x{r:g}" + _phi(found)]
    for name, limit in budget.limits().items():
        used = found.spent[name]
        lines.append(f"{name:<16}{shown(name, used):>10} of {shown(name, limit)} ({100 * used / limit:.1f} %)")
    if timing is not None:
        quartiles = f"quartiles {timing.low_ms:.3g} to {timing.high_ms:.3g}"
        lines.append(f"measured here: {timing.median_ms:.3g} ms ({quartiles})")
    if found.next_scaling is None:
        lines.append("there is no larger network in reach")
    else:
        d, w, r = found.next_scaling
        over = " and ".join(f"{found.next_spent[name]:,.12g} {name}" for name in found.binding)
        lines.append(f"what binds: {', '.join(found.binding)}; the next larger (x{d:g}, x{w:g}, x{r:g}) has {over}")
    if output is not None:
        lines.append(f"written to {output}")
    return "\n".join(lines).replace(SPACE, " ")


def _phi(found: Design) -> str:
    return "" if found.phi is None else f" (phi {found.phi:.2f})"
