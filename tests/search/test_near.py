"""All networks of about one cost, against pricing every triple of sizes."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compoundnet as cn
from compoundnet.architecture import Architecture
from compoundnet.baselines import FactoryBaseline
from compoundnet.errors import RequestError
from compoundnet.scaling.baseline import AXES, ArchitectureBaseline, Axis
from compoundnet.scaling.solver import choices
from compoundnet.search.near import networks_near, own_macs
from factories import chain
from strategies import architectures

B0 = ArchitectureBaseline(cn.architecture("efficientnet_b0"))
TINY = ArchitectureBaseline(cn.architecture("mbconv_tiny"))


def mesh(baseline: ArchitectureBaseline, factor: float, slack: float) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Every triple of distinct sizes, (3, n), and what it costs as a share of ``factor``."""
    most = (factor, factor**0.5, factor**0.5)
    axes = [choices(baseline, axis, 1.0, m * slack) for axis, m in zip(AXES, most, strict=True)]
    by = np.stack([grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")])
    return by, baseline.costs(*by).macs / own_macs(baseline) / factor


def sizes(baseline: ArchitectureBaseline, by: Sequence[np.ndarray]) -> set[tuple[float, ...]]:  # type: ignore[type-arg]
    return set(map(tuple, baseline.sizes(*by).tolist()))


@settings(max_examples=60)
@given(architectures(), st.floats(0.1, 2.0), st.floats(1e-3, 0.4))
def test_bisection_finds_what_the_whole_mesh_holds(arch: Architecture, phi: float, tolerance: float) -> None:
    """Baselines among them whose own side rounding would not make, or all of whose sides cost the same."""
    baseline = ArchitectureBaseline(arch)
    by, share = mesh(baseline, 2.0**phi, 1.5 * (1 + 2 * tolerance))
    within = by[:, np.abs(share - 1) <= tolerance]
    try:
        near = networks_near(baseline, 2.0**phi, tolerance)
    except RequestError as error:
        assert "raise the tolerance" in str(error) and not within.size
        return
    assert sizes(baseline, within) <= sizes(baseline, near)
    assert len(sizes(baseline, near)) == len(near[0])
    assert np.abs(baseline.costs(*near).macs / own_macs(baseline) / 2.0**phi - 1).max() <= tolerance


@pytest.mark.parametrize(("axis", "nominal"), [("depth", 4.0), ("width", 2.0)])
def test_an_axis_alone_grows_as_far_as_it_must(axis: Axis, nominal: float) -> None:
    """A stem and a head do not grow with depth, nor depthwise layers with the square of the width."""
    depth, width, side = networks_near(ArchitectureBaseline(cn.architecture("mbconv_mini")), 4.0, 0.05)
    by, others = {"depth": (depth, (width, side)), "width": (width, (depth, side))}[axis]
    alone = by[(np.array(others) == 1).all(axis=0)]
    assert alone.size and alone.min() > 1.1 * nominal


def test_the_nearest_is_named_where_none_is_near() -> None:
    factor = 2.0**0.35
    share = mesh(TINY, factor, 1.0)[1]
    nearest = factor * min(share, key=lambda x: abs(math.log(x)))
    with pytest.raises(RequestError, match=rf"\(the nearest {nearest:.3g} times\); raise the tolerance"):
        networks_near(TINY, factor, 1e-7)


def test_the_nearest_is_told_from_what_was_asked_for() -> None:
    """In more digits where three are those of the factor."""
    with pytest.raises(RequestError, match="of 2 times its MACs") as caught:
        networks_near(B0, 2.0, 1e-9)
    told = re.search(r"the nearest (\S+) times", str(caught.value))
    assert told is not None and 1e-9 < abs(float(told[1]) / 2 - 1) < 1e-3


def test_many_networks_are_found_in_little_memory() -> None:
    """phi 4 of B0: 60 million on the mesh."""
    near = networks_near(B0, 16.0, 0.001)
    assert 1000 < len(near[0]) == len(set(zip(*near, strict=True)))
    assert np.abs(B0.costs(*near).macs / own_macs(B0) / 16 - 1).max() <= 0.001


def test_more_networks_than_can_be_looked_at() -> None:
    with pytest.raises(RequestError, match="too many to look at; take a smaller phi"):
        networks_near(B0, 2.0**8, 0.05)


def test_a_factorys_networks_are_counted_only_where_they_may_be() -> None:
    """Half of the grid's, or fewer; each pair of depth and width from its smallest side on."""
    baseline = FactoryBaseline("chain", chain, resolution=64)
    near = networks_near(baseline, 1.3, 0.1)
    assert len(near[0]) > 1
    on_grid = math.prod(
        len(choices(baseline, axis, 1.0, m * 1.2)) for axis, m in zip(AXES, (1.3, 1.3**0.5, 1.3**0.5), strict=True)
    )
    assert len(baseline.counts) < on_grid / 2
    costs = baseline.costs(*near)
    same = sorted(zip(costs.macs.tolist(), costs.params.tolist(), near[2], strict=True))
    assert all(one != other for one, other in pairwise(same))
