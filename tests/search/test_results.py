"""What a study leaves in its folder: a rule that can be read again and says its worth, a page, a table, a model."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from compoundnet.errors import FailureError
from compoundnet.scaling import Multipliers, read_rule
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.search.answers.networks import pool
from compoundnet.search.plan import StudyPlan, plan_coefficients
from compoundnet.search.results import accuracy_model, write_results
from compoundnet.search.trials import Candidate, Outcome
from compoundnet.zoo import architecture
from search.answers.synthetic import axes_study, bowl, race, study

PEAK = (0.25, 0.35, 0.4)


def request(kind: str) -> Any:
    """As much of a request as a page needs."""

    return SimpleNamespace(
        kind=kind,
        baseline={"architecture": {"name": "mbconv_tiny"}},
        baseline_in_words="mbconv_tiny at 16 px",
        data="digits",
        fingerprint="sha256:12",
        train_images=None,
        val_images=None,
        recipe={"epochs": 12},
        to_json=lambda: {"kind": kind},
    )


def planned(**more: Any) -> StudyPlan:
    """As much of a plan as a result needs."""
    return StudyPlan(candidates=(), notes=("a note",), **more)


def written(folder: Path, kind: str, outcomes: Sequence[Outcome], **more: Any) -> dict[str, Any]:
    plan = planned(**more)
    result = write_results(folder, request(kind), plan, sized(outcomes), command=["coefficients", "a b"])
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result))
    assert {"report.html", "networks.csv", "chart.png"} <= {path.name for path in folder.iterdir()}
    assert result["command"] == "compoundnet coefficients 'a b'"
    return result


def sized(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """With the realised size of each axis in the tags, as the plan has it."""

    def tagged(who: Candidate) -> Candidate:
        return replace(who, tags={**who.tags, "effective": list(who.multipliers)})

    return [replace(o, candidate=tagged(o.candidate)) for o in outcomes]


@pytest.mark.parametrize(("drop", "supported"), [(0.12, True), (0.0, False)])
def test_the_rule_can_be_read_again_and_says_whether_it_is_supported(
    tmp_path: Path, drop: float, supported: bool
) -> None:
    result = written(tmp_path, "coefficients", study(bowl(PEAK, drop), np.random.default_rng(0), steps=4))
    read = read_rule(tmp_path / "rule.json").rule
    assert (read.depth, read.width, read.resolution) == tuple(
        result["rule"][a] for a in ("depth", "width", "resolution")
    )
    record = json.loads((tmp_path / "rule.json").read_text())
    assert (record["supported"], result["supported"]) == (supported, supported)
    assert (record["doubt"] is None) == supported
    assert ("do not support rule.json" in (tmp_path / "report.html").read_text()) == (not supported)


def test_axes_leave_no_rule(tmp_path: Path) -> None:
    gains = {"depth": (0.02, 0.03), "width": (0.03, 0.05), "compound": (0.06, 0.10)}
    result = written(tmp_path, "axes", axes_study(gains, np.random.default_rng(0)))
    assert not (tmp_path / "rule.json").exists()
    assert not (tmp_path / "bases.png").exists()
    assert result["notes"] == ["a note"]


def test_what_the_plan_knows_of_bases_and_of_equal_networks_comes_into_the_answer(tmp_path: Path) -> None:
    gains = {"width": (0.03, 0.05), "depth": (0.02, 0.03), "width at d2 r1": (None, 0.08)}
    outcomes = axes_study(gains, np.random.default_rng(0))
    same = {("x2", "width at d2 r1"): ("x2", "depth")}
    result = written(tmp_path, "axes", outcomes, same=same, bases=("width at d2 r1",))
    assert (tmp_path / "bases.png").exists()
    assert {(c["rule"], c["other"]) for c in result["contrasts"]} == {("width at d2 r1", "width")}
    accuracies = {(row["group"], row["rule"]): row["accuracy"] for row in result["rows"]}
    assert accuracies["x2", "width at d2 r1"] == accuracies["x2", "depth"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcomes = sized(study(bowl(PEAK), np.random.default_rng(0), steps=4, seeds=1))
    with pytest.raises(FailureError, match="cannot write the result into"):
        write_results(tmp_path / "file", request("coefficients"), planned(), outcomes, command=[])


def test_the_accuracy_model_does_not_learn_from_survivors_alone() -> None:
    """Stopped trials count with their drawn ends; where these are not known, there is no model."""
    whole, _ = race(bowl(PEAK, 0.1, top=0.7), np.random.default_rng(0), (3,), reduction=2)

    def bigger(who: Candidate) -> Candidate:
        return replace(who, group="phi 2", network=f"{who.network}+", multipliers=Multipliers(2, 2, 2))

    outcomes = sized([*whole, *(replace(o, candidate=bigger(o.candidate)) for o in whole)])
    assert not any(network.unknown for network in pool(outcomes))
    assert accuracy_model(outcomes) is not None
    cut = [replace(o, curve=()) if o.state == "pruned" else o for o in outcomes]
    assert accuracy_model(cut) is None


def test_a_plan_of_too_few_networks_says_so_before_anything_is_trained() -> None:
    baseline = ArchitectureBaseline(architecture("mbconv_tiny"))
    few, enough = (plan_coefficients(baseline, [1.0], n, [0], 0.1).notes for n in (8, 9))
    assert any("8 networks are too few for an interval, which needs 9" in note for note in few)
    assert not any("too few" in note for note in enough)
