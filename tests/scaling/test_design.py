"""What is asked for in, an architecture with the reasons out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compoundnet as cn
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Multipliers
from compoundnet.scaling.accuracy import AccuracyModel, Term
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.scaling.design import design, plain

B0 = cn.architecture("efficientnet_b0")


def test_the_front_door() -> None:
    found = cn.design(B0, macs=1.8e9)
    assert found.cost == cn.cost(found.architecture)
    assert found.cost.macs <= 1.8e9 < found.next_spent["macs"]
    assert found.binding == ("macs",)
    assert found.architecture == B0.scaled(**found.scaling._asdict())
    assert found == cn.design("efficientnet_b0", macs=1.8e9)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(
    "limits",
    [
        {"macs": 4e8, "params": 5e6},
        {"activations": 2e7},
        {"weights_bytes": 3e7, "macs": 2e9},
        {"memory_bytes": 4e7},
        {"training_bytes": 4e9, "batch_size": 16},
    ],
)
def test_no_limit_is_exceeded(limits: dict[str, float], free: bool) -> None:
    found = design(B0, **limits, free=free)  # type: ignore[arg-type]
    asked = {name: value for name, value in limits.items() if name != "batch_size"}
    assert set(found.spent) == set(asked)
    assert all(found.spent[name] <= limit for name, limit in asked.items())
    assert set(found.binding) <= set(asked) and found.binding


def test_free_is_no_worse_than_the_rule() -> None:
    from compoundnet.scaling.accuracy import following

    model, baseline = following(RULES["efficientnet"]), ArchitectureBaseline(B0)

    def loss(found: object) -> float:
        import numpy as np

        columns = [np.array([m]) for m in found.scaling]  # type: ignore[attr-defined]
        sizes = (baseline.effective(a, c) for a, c in zip(("depth", "width", "resolution"), columns, strict=True))  # type: ignore[arg-type]
        return float(model.loss(*sizes)[0])

    for macs in (2e8, 1.8e9):
        assert loss(design(B0, macs=macs, free=True)) <= loss(design(B0, macs=macs))


def test_a_fitted_model_decides_what_grows() -> None:
    """Where only width helps, only width grows."""
    nothing = Term(weight=0.0, power=1.0)
    model = AccuracyModel(depth=nothing, width=Term(weight=0.3, power=0.5), resolution=nothing)
    found = design(B0, macs=2e9, free=model)
    assert (found.scaling.depth, found.scaling.resolution) == (1.0, 1.0)
    assert found.scaling.width > 2


def test_phi_counts_units_of_the_rule() -> None:
    found = design(B0, macs=cn.cost(cn.scale(B0, 3)).macs)
    assert found.phi == pytest.approx(3, abs=0.02)
    assert found.cost.macs == cn.cost(cn.scale(B0, 3)).macs


@settings(max_examples=30)
@given(st.floats(0.2, 5), st.floats(0.2, 5), st.floats(0.2, 5))
def test_fewer_digits_are_the_same_network(depth: float, width: float, resolution: float) -> None:
    by = Multipliers(depth, width, resolution)
    short = plain(ArchitectureBaseline(B0), by)
    assert B0.sizes(*short) == B0.sizes(*by)
    assert sum(len(f"{m:.12g}") for m in short) <= sum(len(f"{m:.12g}") for m in by)


def test_what_cannot_be() -> None:
    with pytest.raises(RequestError, match="compoundnet profile"):
        design(B0, latency_ms=10)
    with pytest.raises(RequestError, match="no limit is given"):
        design(B0)
    with pytest.raises(RequestError, match="unknown scaling rule 'efficient'"):
        design(B0, macs=1e9, rule="efficient")
    with pytest.raises(RequestError, match="unknown architecture"):
        design("efficientnet_b9", macs=1e9)
