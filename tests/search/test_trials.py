"""Candidates and outcomes as values: their names, their JSON, and what they refuse of damaged records."""

import json
from dataclasses import replace
from typing import Any

import pytest

from compoundnet.errors import RequestError
from compoundnet.scaling import Multipliers
from compoundnet.search.trials import Candidate, Outcome

NET = Candidate(network="ab12", multipliers=Multipliers(1.2, 1.1, 1.15), seed=3, group="phi 1", tags={"macs": 5})
DONE = Outcome(candidate=NET, state="complete", value=0.5, curve=(0.25, 0.5), info={"seconds": 1.5})


def test_json() -> None:
    assert Candidate.from_json(json.loads(json.dumps(NET.to_json()))) == NET


def test_the_key_is_of_network_seed_and_group() -> None:
    """And stays what it was: folders and journals are named by it."""
    assert NET.key == "6f00b78f5d3e-s3"
    assert replace(NET, tags={}, multipliers=Multipliers(2.0, 1.0, 1.0)).key == NET.key
    others = [replace(NET, network="x"), replace(NET, seed=4), replace(NET, group="phi 2")]
    assert len({NET.key, *(other.key for other in others)}) == 4


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"network": 3}, "network is 3"),
        ({"group": None}, "group is None"),
        ({"seed": "0"}, "seed is '0'"),
        ({"seed": -1}, "seed is -1"),
        ({"multipliers": [1.0, 0.0, 1.0]}, "multipliers are"),
        ({"multipliers": ["1", 1.0, 1.0]}, "multipliers are"),
        ({"tags": [1]}, "tags are"),
    ],
)
def test_a_candidate_that_cannot_be(damage: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        Candidate.from_json({**NET.to_json(), **damage})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"state": "done"}, "unknown state 'done'"),
        ({"value": "x"}, "value is 'x'"),
        ({"value": None}, "value is None"),
        ({"value": float("nan")}, "value is nan"),
        ({"state": "failed"}, "value is 0.5"),
        ({"curve": ("x",)}, "curve is"),
        ({"info": []}, "info is"),
    ],
)
def test_an_outcome_that_cannot_be(damage: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        replace(DONE, **damage)
