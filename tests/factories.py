"""Factories of tests: functions (depth, width, resolution) -> module, and files that hold one."""

from pathlib import Path

import pytest
from torch import nn

__all__ = ["NET", "chain", "written"]

NET = """
from torch import nn

def net(depth, width, resolution, num_classes=3):
    c = max(1, round(8 * width))
    more = [nn.Conv2d(c, c, 3, 1, 1) for _ in range(max(1, round(2 * depth)))]
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, num_classes)]
    return nn.Sequential(nn.Conv2d(3, c, 3, 2, 1), *more, *ends)
"""
"""A module with a plain factory, ``net``."""


def chain(depth: float, width: float, resolution: float) -> nn.Module:
    """As :data:`NET`, for ten classes."""
    c = max(1, round(8 * width))
    more = [nn.Conv2d(c, c, 3, 1, 1) for _ in range(max(1, round(2 * depth)))]
    return nn.Sequential(nn.Conv2d(3, c, 3, 2, 1), *more, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str = NET) -> str:
    """``module:net`` of a file in ``folder``, which can be imported while the test runs."""
    (folder / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return f"{module}:net"
