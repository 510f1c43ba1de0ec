"""Verbs that train many candidates: coefficients, study, worker."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import tyro

from compoundnet.checks import check_outside, check_whole
from compoundnet.cli.arguments import Arch, Data, Json, Output, call, print_json, value_of
from compoundnet.cli.describe import read_rule
from compoundnet.cli.process import stoppable
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES
from compoundnet.search.answers.axes import BASELINE
from compoundnet.search.engine.helpers import helpers
from compoundnet.search.engine.opening import open_study
from compoundnet.search.progress import telling
from compoundnet.search.request import Kind, Method, Request, request_for
from compoundnet.search.results import write_results
from compoundnet.search.study import carry_out, prepare, read_data
from compoundnet.search.trials import State
from compoundnet.train import Recipe, console, read_recipe
from compoundnet.train.progress import Note, silent

__all__ = ["coefficients_command", "study_command", "worker_command"]

StudyPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="STUDY")]
_RECIPE = "proxy"
_MOST_JOBS = 256
_GROUP = re.compile(r"x[0-9.e+-]+")  # of networks of one cost


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
        method: Method = "grid",
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
        _study("coefficients", architecture, data, common, settings, more, ["coefficients", *argv])

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
        bases: tuple[str, ...] = (),
        settings: Annotated[Recipe, tyro.conf.OmitArgPrefixes] = default,
    ) -> None:
        """Compare scaling one axis alone with compound rules at equal realised MACs, with error bars.

        With --bases also width alone on deeper baselines of a higher resolution, against width alone on the baseline.

        The same command goes on where it was stopped. Leaves result.json (whose accuracy model design takes),
        networks.csv, chart.png (with --bases beside other rules also bases.png) and report.html in STUDY.

        Args:
            architecture: a name of compoundnet list, a JSON file, or package.module:factory.
            data: images, as for train; candidates are judged by the validation part.
            common: where, how often, by whom.
            factors: realised MACs, as multiples of the baseline's.
            rules: published rules (see compoundnet scale --help), or JSON files of compoundnet coefficients.
            bases: larger baselines, trained as they are and widened to the same MACs, each written depth,resolution
                (the paper's: 2,1 1,1.3 2,1.3); width alone is then compared too, whatever the rules.
            settings: everything else about the trainings.
        """
        more = {"factors": factors, "rules": _named(rules), "bases": tuple(map(_base, bases))}
        _study("axes", architecture, data, common, settings, more, ["study", *argv])

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
    json: Json = False,
) -> None:
    """Join a study: train what it lacks until nothing is left. Any number may join, leave, and be killed.

    The answer is written by the command that began the study, which may be run again at any time.

    Args:
        study: its folder; on another machine than the study's, a new folder for this machine's trainings.
        storage: postgresql://user@host/database, where the study is not in a journal of its folder.
        name: of the study in that data base; by default the folder's name.
        data: where the study's images are on this machine; by default where they were for the study.
        device: such as cpu or cuda; by default a GPU if there is one.
        json: how many trials of the study have ended, by state, for machines.
    """
    with console() as observer, stoppable() as stop, open_study(study, storage, name=name) as opened:
        request = Request.from_json(opened.definition)
        dataset = read_data(data or request.data, request.train_images, request.val_images, observer)
        todo = prepare(request, dataset, device, observer=observer)
        outcomes = carry_out(opened, todo, stop=stop, observer=silent, told=telling(observer))
    if json:
        states = Counter(outcome.state for outcome in outcomes)
        print_json({"study": opened.name, "trials": {state: states[state] for state in get_args(State)}})


def _study(
    kind: Kind, architecture: str, data: str, common: Common, recipe: Recipe, more: Mapping[str, Any],
    command: Sequence[str],
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
        todo = prepare(request, dataset, common.device, observer=observer)

        def tell(text: str) -> None:
            observer(Note(text))

        for note in todo.plan.notes:
            tell(note)
        device = todo.conditions.device
        with (
            open_study(common.output, common.storage, create=request.to_json()) as opened,
            helpers(opened, common.jobs - 1, device=device, storage=common.storage, tell=tell),
        ):
            outcomes = carry_out(opened, todo, stop=stop, observer=silent, told=telling(observer))
        result = write_results(common.output, request, todo.plan, outcomes, command=command)
    if common.json:
        print_json(result)
        return
    print(result["answer"])
    for warning in result["warnings"]:
        print(f"but: {warning}")
    print(f"report: {common.output / 'report.html'}")


def _base(text: str) -> tuple[float, float]:
    """Multipliers of depth and resolution."""
    try:
        depth, resolution = map(float, text.split(","))
    except ValueError:
        raise RequestError(
            f"base {text!r} is not DEPTH,RESOLUTION, two multipliers of the baseline's as in 2,1.3"
        ) from None
    return depth, resolution


def _named(rules: Sequence[str]) -> dict[str, list[float] | None]:
    """Shares by name: of a rule file by the file's; of a published rule None."""
    named: dict[str, list[float] | None] = {}
    for text in rules:
        path = Path(text)
        name = path.stem if path.suffix == ".json" else text
        if path.suffix == ".json" and (name in RULES or name in (BASELINE, "base") or _GROUP.fullmatch(name)):
            raise RequestError(f"rule {text!r} would be called {name!r}, which means something else; rename the file")
        if name in named:
            raise RequestError(f"rules have {name!r} twice; give each a name of its own")
        named[name] = None
        read = read_rule(text)
        if path.suffix == ".json":
            named[name] = [read.depth, read.width, read.resolution]
    return named
