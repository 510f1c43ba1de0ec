"""Verbs that train many candidates: coefficients, study, worker."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from compoundnet.checks import check_outside, check_whole
from compoundnet.cli.arguments import Arch, Data, Json, Output, call, print_json, value_of
from compoundnet.cli.process import stoppable
from compoundnet.scaling import Rule
from compoundnet.scaling.compound import find
from compoundnet.search.engine.opening import open_study
from compoundnet.search.engine.storage import Study
from compoundnet.search.engine.worker import Ended, Event, Reported, Retried, Started, TakenOver, Waiting
from compoundnet.search.results import write_results
from compoundnet.search.study import Request, Work, carry_out, prepare, read_data, request_for
from compoundnet.search.trials import Candidate
from compoundnet.train import Recipe, console, read_recipe
from compoundnet.train.progress import Note, Observer
from compoundnet.units import counted

__all__ = ["coefficients_command", "study_command", "worker_command"]

StudyPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="STUDY")]
_RECIPE = "proxy"
_MOST_JOBS = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Common:
    """What both kinds of study take.

    Attributes:
        output: the study's folder, to make or to go on in.
        seeds: trainings of each network; --seed is the first.
        train_images: train on so many images only, the same share of each class.
        val_images: judge by so many images only.
        base_resolution: side in pixels of a factory's baseline, 224 unless given.
        storage: postgresql://user@host/database, for workers on many machines; by default a journal in STUDY.
        jobs: trainings at a time on this machine.
        device: such as cpu or cuda; by default a GPU if there is one.
        recipe: of every training: proxy (short, weakly regularised), scratch, or a JSON file. Its values are the
            defaults below.
        json: the result for machines.
    """

    output: Annotated[Path, Output]
    seeds: int = 3
    train_images: int | None = None
    val_images: int | None = None
    base_resolution: int | None = None
    storage: str | None = None
    jobs: int = 1
    device: str | None = None
    recipe: str = _RECIPE
    json: Json = False


def coefficients_command(argv: Sequence[str]) -> None:
    """``compoundnet coefficients ARCH DATA -o STUDY``."""
    default = read_recipe(value_of(argv, "--recipe") or _RECIPE)

    def run(
        architecture: Arch,
        data: Data,
        /,
        common: Annotated[Common, tyro.conf.OmitArgPrefixes],
        phi: tuple[float, ...] = (1.0,),
        networks: int = 15,
        tolerance: float = 0.05,
        method: Literal["grid", "model"] = "grid",
        min_epochs: int = 0,
        reduction: int = 3,
        settings: Annotated[Recipe, tyro.conf.OmitArgPrefixes] = default,
    ) -> None:
        """Search alpha, beta, gamma for a network on images: train networks of equal realised cost, fit the accuracies.

        The same command goes on where it was stopped. Leaves rule.json (for scale and design), result.json,
        networks.csv, chart.png and report.html in STUDY.

        Args:
            architecture: a name of compoundnet list, a JSON file, or package.module:factory.
            data: images, as for train; candidates are judged by the validation part.
            common: where, how often, by whom.
            phi: cost factors 2^phi; several are fitted together, and trusted more.
            networks: distinct networks to try at each phi, all of nearly the same realised MACs.
            tolerance: how far realised MACs may lie from 2^phi times the baseline's, as a share.
            method: grid spreads the networks evenly over the shares of depth, width and resolution; model begins with a
                third of them and then takes the one that promises most.
            min_epochs: successive halving: epochs before which no training is given up; 0: none is.
            reduction: successive halving: how many trainings arrive for one that goes on.
            settings: everything else about the trainings.
        """
        more = {
            "phis": phi, "networks": networks, "tolerance": tolerance, "method": method, "min_epochs": min_epochs,
            "reduction": reduction,
        }  # fmt: skip
        _study("coefficients", architecture, data, common, settings, more, argv)

    call("coefficients", run, argv)


def study_command(argv: Sequence[str]) -> None:
    """``compoundnet study ARCH DATA -o STUDY``."""
    default = read_recipe(value_of(argv, "--recipe") or _RECIPE)

    def run(
        architecture: Arch,
        data: Data,
        /,
        common: Annotated[Common, tyro.conf.OmitArgPrefixes],
        factors: tuple[float, ...] = (2.0, 4.0),
        rules: tuple[str, ...] = ("depth", "width", "resolution", "efficientnet"),
        settings: Annotated[Recipe, tyro.conf.OmitArgPrefixes] = default,
    ) -> None:
        """Compare scaling one axis alone with compound rules at equal realised MACs, with error bars.

        The same command goes on where it was stopped. Leaves result.json (whose accuracy model design takes),
        networks.csv, chart.png and report.html in STUDY.

        Args:
            architecture: a name of compoundnet list, a JSON file, or package.module:factory.
            data: images, as for train; candidates are judged by the validation part.
            common: where, how often, by whom.
            factors: realised MACs, as multiples of the baseline's.
            rules: published rules (see compoundnet scale --help), or JSON files of compoundnet coefficients.
            settings: everything else about the trainings.
        """
        more = {"factors": factors, "rules": dict(map(_named_rule, rules))}
        _study("axes", architecture, data, common, settings, more, argv)

    call("study", run, argv)


def worker_command(argv: Sequence[str]) -> None:
    """``compoundnet worker STUDY``."""
    call("worker", _worker, argv)


def _worker(
    study: StudyPath,
    storage: str | None = None,
    name: str | None = None,
    data: str | None = None,
    device: str | None = None,
) -> None:
    """Join a study: train what it lacks until nothing is left. Any number may join, leave, and be killed.

    Args:
        study: its folder; on another machine than the study's, a new folder for this machine's trainings.
        storage: postgresql://user@host/database, where the study is not in a journal of its folder.
        name: of the study in that data base; by default the folder's name.
        data: where the study's images are on this machine; by default where they were for the study.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    with console() as observer, stoppable() as stop, open_study(study, storage, name=name) as opened:
        request = Request.from_json(opened.definition)
        dataset = read_data(data or request.data, request.train_images, request.val_images, observer)
        carry_out(opened, prepare(request, dataset, device), stop=stop, observer=_quiet, told=_teller(observer))


def _study(
    kind: Literal["coefficients", "axes"], architecture: str, data: str, common: Common, recipe: Recipe,
    more: Mapping[str, Any], argv: Sequence[str],
) -> None:  # fmt: skip
    """Train what the study lacks, here by as many processes as asked for and wherever else workers joined; answer."""
    check_whole("jobs", common.jobs, most=_MOST_JOBS)
    check_outside("study", common.output, data)
    with console() as observer, stoppable() as stop:
        dataset = read_data(data, common.train_images, common.val_images, observer)
        request = request_for(
            kind, architecture, data, recipe, dataset=dataset, resolution=common.base_resolution, seeds=common.seeds,
            train_images=common.train_images, val_images=common.val_images, **more,
        )  # fmt: skip
        todo = prepare(request, dataset, common.device)
        for note in todo.plan.notes:
            observer(Note(note))
        with (
            open_study(common.output, common.storage, create=request.to_json()) as opened,
            _helpers(opened, common.storage, todo, common.jobs),
        ):
            outcomes = carry_out(opened, todo, stop=stop, observer=_quiet, told=_teller(observer))
        verb = "coefficients" if kind == "coefficients" else "study"
        result = write_results(common.output, request, todo.plan.notes, outcomes, command=[verb, *argv])
    if common.json:
        print_json(result)
        return
    print(result["answer"])
    for warning in result["warnings"]:
        print(f"but: {warning}")
    print(f"report: {common.output / 'report.html'}")


@contextmanager
def _helpers(study: Study, storage: str | None, todo: Work, jobs: int) -> Iterator[None]:
    """``jobs`` - 1 further workers on this machine, inside; the cores are shared out among all."""
    threads = max(1, torch.get_num_threads() // jobs)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    command = [sys.executable, "-m", "compoundnet", "worker", str(study.folder), "--device", todo.setting.device]
    command += [] if storage is None else ["--storage", storage, "--name", study.name]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    started: list[tuple[Path, subprocess.Popen[bytes]]] = []
    try:
        for number in range(1, jobs):
            log = study.folder / f"worker-{number}.log"
            with log.open("wb") as out:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
            started.append((log, process))
        yield
    except BaseException:
        for _, process in started:
            process.terminate()
        raise
    finally:
        torch.set_num_threads(before)
        for log, process in started:
            if process.wait() not in (0, 130):
                print(f"a worker ended with an error; see {log}", file=sys.stderr)


def _named_rule(rule: str) -> tuple[str, list[float] | None]:
    """Name and shares of a rule file; a published rule's name, and None."""
    if not rule.endswith(".json"):
        find(rule)
        return rule, None
    read = Rule.from_file(Path(rule))
    return Path(rule).stem, [read.depth, read.width, read.resolution]


def _quiet(event: object) -> None:
    """Steps of a training among many are not shown."""


def _teller(observer: Observer) -> Callable[[Event], None]:
    """Says what happens to trials, a line each."""

    def told(event: Event) -> None:
        match event:
            case Started(candidate, attempt, epochs):
                again = f", again from epoch {epochs}" if attempt > 1 else ""
                observer(Note(f"{_told(candidate)}: begins{again}"))
            case Reported():
                pass
            case Ended(outcome):
                value = "" if outcome.value is None else f" with {100 * outcome.value:.1f} %"
                length = counted(len(outcome.curve), "epoch")
                observer(Note(f"{_told(outcome.candidate)}: {outcome.state}{value} after {length}"))
            case Retried(candidate, error):
                observer(Note(f"{_told(candidate)}: failed ({error}), is tried once more"))
            case TakenOver(candidate):
                observer(Note(f"{_told(candidate)}: another worker has it now"))
            case Waiting(candidates):
                observer(Note(f"waiting for other workers: {len(candidates)} trainings"))

    return told


def _told(candidate: Candidate) -> str:
    d, w, r = candidate.multipliers
    rule = f" {candidate.tags['rule']}" if "rule" in candidate.tags else ""
    return f"{candidate.group}{rule}, depth x{d:g} width x{w:g} resolution x{r:g}, seed {candidate.seed}"
