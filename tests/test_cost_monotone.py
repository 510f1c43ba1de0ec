"""No cost falls when the side grows: the budget solver finds the largest side by bisection."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet.architecture import Architecture
from compoundnet.cost import Cost, cost, training_peak_bytes
from strategies import architectures


@given(architectures(mixed=True), st.integers(0, 40))
def test_costs_do_not_fall_with_the_side(arch: Architecture, more: int) -> None:
    larger = replace(arch, resolution=arch.resolution + more)
    before, after = cost(arch), cost(larger)
    fell = [f.name for f in fields(Cost) if getattr(after, f.name) < getattr(before, f.name)]
    assert fell == []


@given(architectures(mixed=True), st.integers(0, 40), st.sampled_from((1, 2, 32)), st.sampled_from(("adamw", "sgd")))
def test_the_peak_of_training_does_not_fall_with_the_side(
    arch: Architecture, more: int, batch_size: int, optimizer: str
) -> None:
    larger = replace(arch, resolution=arch.resolution + more)
    peaks = [training_peak_bytes(net, batch_size, optimizer) for net in (arch, larger)]  # type: ignore[arg-type]
    assert peaks[0] <= peaks[1]


def test_one_of_many_costs_and_its_record() -> None:
    import numpy as np

    from compoundnet import architecture

    b0 = architecture("efficientnet_b0")
    many = cost(b0, depth=np.array([1.0, 2.0]))
    assert many.at(1) == cost(b0, depth=2.0)
    assert many.at(0).to_record() == {f.name: getattr(cost(b0), f.name) for f in fields(Cost)}
    with pytest.raises(IndexError):
        many.at(2)
