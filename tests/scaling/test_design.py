"""What is asked for in, an architecture with the reasons out."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compoundnet as cn
from compoundnet.errors import RequestError
from compoundnet.scaling import RULES, Multipliers
from compoundnet.scaling.accuracy import AccuracyModel, Studied, Term
from compoundnet.scaling.baseline import ArchitectureBaseline
from compoundnet.scaling.design import design, plain
from compoundnet.scaling.latency import DeviceProfile, Setting, default_profile_path, predict_ms
from compoundnet.scaling.work import WORK

B0 = cn.architecture("efficientnet_b0")
PROFILE = DeviceProfile(
    setting=Setting(), machine="made up", prices_ms=dict.fromkeys(WORK, 1e-8), error=0.05, networks=60,
    reference_ms=4.0, versions={}, measured="2026-01-31T12:00:00+00:00",
)  # fmt: skip


def test_the_front_door() -> None:
    found = cn.design(B0, macs=1.8e9)
    assert found.cost == cn.cost(found.architecture)
    assert found.cost.macs <= 1.8e9 < found.next_spent["macs"]
    assert found.binding == ("macs",)
    assert found.architecture == B0.scaled(**found.scaling._asdict())
    assert found.exact and found.doubts == ()
    assert found == cn.design("efficientnet_b0", macs=1.8e9) == cn.design(B0, macs=np.float32(1.8e9), rule=None)


@pytest.mark.parametrize("free", [False, True])
def test_the_next_larger_network_comes_with_all_its_costs(free: bool) -> None:
    found = design(B0, macs=1.8e9, params=20e6, free=free)
    assert found.next_scaling is not None and found.next_cost is not None
    assert found.next_cost == cn.cost(B0.scaled(**found.next_scaling._asdict()))
    assert found.next_spent == {"macs": found.next_cost.macs, "params": found.next_cost.params}


def test_a_network_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "b0.json").write_text(B0.to_json())
    assert design(tmp_path / "b0.json", macs=1e9) == design(B0, macs=1e9)


class TestLatency:
    def test_the_profile_may_be_a_file_or_where_it_was_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path))
        path = default_profile_path(Setting())
        path.parent.mkdir(parents=True)
        path.write_text(PROFILE.to_json())
        found = design(B0, latency_ms=10, profile=PROFILE)
        assert found.spent == pytest.approx({"latency_ms": predict_ms(PROFILE, found.architecture)})
        assert 9 < found.spent["latency_ms"] <= 10 < found.next_spent["latency_ms"]
        assert found == design(B0, latency_ms=10, profile=path) == design(B0, latency_ms=10, profile=str(path))
        assert found == design(B0, latency_ms=10)

    def test_without_a_limit_a_profile_is_for_nothing(self) -> None:
        with pytest.raises(RequestError, match="a profile goes with a limit on latency"):
            design(B0, macs=1e9, profile=PROFILE)

    def test_what_is_no_profile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPOUNDNET_CACHE", str(tmp_path))
        for profile, said in ((None, "no device profile"), ("none.json", "no device profile"), (3, "profile is 3")):
            with pytest.raises(RequestError, match=said):
                design(B0, latency_ms=10, profile=profile)  # type: ignore[arg-type]


class TestDoubts:
    """Of a network beyond what was studied, and of a fit that stopped at an end of its range."""

    STUDIED = Studied(
        networks=12, least=Multipliers(0.3, 0.3, 0.3), most=Multipliers(9, 9, 1.5), cheapest=0.3, dearest=8.0
    )
    MODEL = AccuracyModel(
        depth=Term(weight=0.1, power=0.3), width=Term(weight=0.1, power=0.6), resolution=Term(weight=0.2, power=0.6),
        deviation=0.01, studied=STUDIED,
    )  # fmt: skip

    def test_within_what_was_studied_there_are_none(self) -> None:
        studied = replace(self.STUDIED, most=Multipliers(9, 9, 9))
        assert design(B0, macs=5e8, model=replace(self.MODEL, studied=studied)).doubts == ()

    def test_beyond(self) -> None:
        (doubt,) = design(B0, macs=20e9, model=self.MODEL).doubts
        assert doubt.startswith("its resolution, x") and doubt.endswith("lies beyond what was studied, x0.3 to x1.5")

    def test_of_an_axis_that_counts_for_nothing_there_are_none(self) -> None:
        model = replace(self.MODEL, resolution=Term(weight=0.0, power=0.0))
        assert design(B0, macs=5e8, model=model).doubts == ()

    @pytest.mark.parametrize("power", [0.05, 4.0])
    def test_a_power_at_an_end(self, power: float) -> None:
        doubts = design(B0, macs=4e8, model=replace(self.MODEL, width=Term(weight=0.2, power=power))).doubts
        assert any(f"what width brings is not settled: its power, {power:g}" in doubt for doubt in doubts)


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
        columns = [np.array([m]) for m in found.scaling]  # type: ignore[attr-defined]
        sizes = (baseline.effective(a, c) for a, c in zip(("depth", "width", "resolution"), columns, strict=True))  # type: ignore[arg-type]
        return float(model.loss(*sizes)[0])

    for macs in (2e8, 1.8e9):
        assert loss(design(B0, macs=macs, free=True)) <= loss(design(B0, macs=macs))


def test_a_fitted_model_decides_what_grows() -> None:
    """Where only width helps, only width grows."""
    nothing = Term(weight=0.0, power=1.0)
    model = AccuracyModel(depth=nothing, width=Term(weight=0.3, power=0.5), resolution=nothing)
    found = design(B0, macs=2e9, model=model)
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
    with pytest.raises(RequestError, match="no limit is given"):
        design(B0)
    with pytest.raises(RequestError, match="unknown scaling rule 'efficient'"):
        design(B0, macs=1e9, rule="efficient")
    with pytest.raises(RequestError, match="unknown architecture"):
        design("efficientnet_b9", macs=1e9)
    said = "names a factory; give compoundnet.baselines.open_baseline('package.module:factory')"
    with pytest.raises(RequestError, match=re.escape(said)):
        design("package.module:factory", macs=1e9)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"baseline": None}, "baseline is None; give a name"),
        ({"baseline": len}, "or for a factory what compoundnet.baselines.open_baseline makes of it"),
        ({"rule": 3}, "rule is 3; give the name"),
        ({"rule": B0}, r"^rule is Architecture\(.{60,120}, or a Rule$"),
        ({"free": TestDoubts.MODEL}, "free is AccuracyModel"),
        ({"model": {"depth": 1}}, "model is {'depth': 1}; give an AccuracyModel"),
        ({"model": TestDoubts.MODEL, "rule": "fast"}, "not both"),
        ({"macs": "1.8G"}, "limit on macs is '1.8G'; it must be a positive number, such as 1.8e9"),
    ],
)
def test_what_is_of_another_kind(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        design(**{"baseline": B0, "macs": 1e9} | asked)
