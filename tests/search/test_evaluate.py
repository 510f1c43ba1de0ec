"""One candidate's training: the same every time, for the data's classes, or refused beforehand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from compoundnet.baselines import FactoryBaseline
from compoundnet.data import Dataset, open_dataset
from compoundnet.errors import RequestError, StoppedError
from compoundnet.run import RunFolder
from compoundnet.scaling import Multipliers
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.search.evaluate import Conditions, build_scaled, train_candidate, try_conditions
from compoundnet.search.trials import Candidate
from compoundnet.train.progress import silent
from tiny import ARCH, CLASSES, QUICK, pictures

NET = Candidate(network="n", multipliers=Multipliers(1.5, 1.0, 1.25), seed=5, group="x2")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(pictures(tmp_path_factory.mktemp("evaluate") / "images"))


def conditions(dataset: Dataset, **more: object) -> Conditions:
    return Conditions(**{"baseline": ArchitectureBaseline(ARCH), "dataset": dataset, "recipe": QUICK, **more})  # type: ignore[arg-type]


def trained(
    where: Conditions, folder: Path, *, gives_up_after: int = 99, stop_after: int = 10**9
) -> tuple[float, list[tuple[int, float]]]:
    """The value, and what was reported."""
    reported: list[tuple[int, float]] = []
    asked = iter(range(10**9))

    def report(epoch: int, value: float) -> bool:
        reported.append((epoch, value))
        return epoch >= gives_up_after

    value, info = train_candidate(where, NET, folder, report, observer=silent, stop=lambda: next(asked) >= stop_after)
    assert info["seconds"] > 0
    return value, reported


def test_the_last_epochs_accuracy_is_the_value(dataset: Dataset, tmp_path: Path) -> None:
    value, reported = trained(conditions(dataset), tmp_path / "net")
    rows = RunFolder(tmp_path / "net").read_metrics()
    assert [(row["epoch"] + 1, row["val_top1"]) for row in rows] == reported and len(reported) == QUICK.epochs
    assert value == reported[-1][1]


def test_each_epoch_is_reported_again_after_a_stop(dataset: Dataset, tmp_path: Path) -> None:
    where = conditions(dataset)
    whole = trained(where, tmp_path / "whole")
    with pytest.raises(StoppedError):
        trained(where, tmp_path / "net", stop_after=4)
    assert trained(where, tmp_path / "net") == whole


def test_a_candidate_that_is_given_up_ends_early(dataset: Dataset, tmp_path: Path) -> None:
    where = conditions(dataset, recipe=replace(QUICK, epochs=4))
    value, reported = trained(where, tmp_path / "net", gives_up_after=2)
    assert [epoch for epoch, _ in reported] == [1, 2] and value == reported[-1][1]
    assert trained(where, tmp_path / "net", gives_up_after=2) == (value, reported)  # nothing is trained again


def test_an_architecture_is_built_for_the_classes_and_rates() -> None:
    recipe = replace(QUICK, dropout=0.4, drop_path=0.3)
    network = build_scaled(ArchitectureBaseline(ARCH), Multipliers(1.0, 1.0, 1.0), 7, recipe, ARCH.resolution)
    assert network(torch.zeros(2, 3, 12, 12)).shape == (2, 7)
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.4]


class Loud(nn.Module):
    def __init__(self, frozen: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(3, len(CLASSES)).requires_grad_(not frozen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("looking")
        out: torch.Tensor = self.layer(x.mean((2, 3)))
        return out


def factory(frozen: bool = False) -> FactoryBaseline:
    return FactoryBaseline("loud", lambda depth, width, resolution: Loud(frozen), resolution=16)


def test_what_a_network_prints_in_training_is_no_answer(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = conditions(dataset, baseline=factory())
    try_conditions(where)
    trained(where, tmp_path / "net")
    out, err = capsys.readouterr()
    assert out == "" and err.count("looking") > 6


def test_conditions_are_tried(dataset: Dataset) -> None:
    try_conditions(conditions(dataset))
    with pytest.raises(RequestError, match="device 'cud' cannot be used"):
        try_conditions(conditions(dataset, device="cud"))
    with pytest.raises(RequestError, match="no parameter that could be trained"):
        try_conditions(conditions(dataset, baseline=factory(frozen=True)))
