"""Between two steps of a baseline's rounding nothing changes: with folded stages, fixed ends and hidden layers, too."""

import numpy as np
import pytest

from compoundnet import zoo
from compoundnet.scaling.baseline import ArchitectureBaseline

NAMES = ["efficientnet_b0", "tf_efficientnet_x_b0", "efficientnet_lite0", "tinynet_b", "mobilenetv3_small_100"]
LOW, HIGH = 0.4, 2.6


@pytest.mark.parametrize("axis", ["depth", "width"])
@pytest.mark.parametrize("name", NAMES)
def test_sizes_change_at_steps_alone(name: str, axis: str) -> None:
    baseline = ArchitectureBaseline(zoo.architecture(name))
    steps = baseline.breakpoints(axis, LOW, HIGH)  # type: ignore[arg-type]
    edges = np.concatenate([[LOW], steps, [HIGH]])
    inside = edges[:-1, None] + np.diff(edges)[:, None] * np.array([0.001, 0.5, 0.999])
    ones = np.ones(inside.size)
    multipliers = {"depth": ones, "width": ones, "resolution": ones, axis: inside.ravel()}
    sizes = baseline.sizes(**multipliers).reshape(*inside.shape, -1)
    assert (sizes == sizes[:, :1]).all()
    assert len({tuple(row) for row in sizes[:, 0].tolist()}) > 5
