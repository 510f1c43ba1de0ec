"""``torch.hub`` finds every network in this repository, installed or not."""

import json
import subprocess
import sys

import pytest
import torch

from compoundnet.errors import RequestError
from compoundnet.zoo import list_networks
from conftest import ROOT


def load(name: str, *args: object, **settings: object) -> torch.nn.Module:
    network: torch.nn.Module = torch.hub.load(str(ROOT), name, *args, source="local", trust_repo=True, **settings)
    return network


def test_a_network_by_its_name() -> None:
    network = load("efficientnet_b0", weights=None, num_classes=2).eval()
    assert sum(p.numel() for p in network.parameters()) == 5_288_548 - 998 * 1281  # the paper's, less 998 classes
    assert network(torch.rand(1, 3, 33, 32)).shape == (1, 2)


def test_create_takes_a_name() -> None:
    maps = load("create", "efficientnet_b0", features_only=True, out_indices=(1, 2))
    assert maps.reductions == [4, 8]


def test_errors_are_the_houses() -> None:
    with pytest.raises(RequestError, match=r"cannot read weights no\.safetensors"):
        load("efficientnet_b0", weights="no.safetensors")


ALONE = """
import importlib.abc, json, sys

class Absent(importlib.abc.MetaPathFinder):
    names = {absent!r}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
sys.path = [entry for entry in sys.path if not entry.endswith("/src")]
import torch
before = list(sys.path)
network = torch.hub.load({root!r}, "mbconv_tiny", source="local", trust_repo=True, num_classes=2)
import compoundnet
hubconf = torch.hub._import_module("hubconf", {root!r} + "/hubconf.py")
print(json.dumps({{
    "classes": network.classifier.out_features,
    "file": compoundnet.__file__,
    "path is as it was": sys.path == before,
    "entries": [n for n in dir(hubconf) if callable(getattr(hubconf, n)) and not n.startswith("_")],
    "told": hubconf.efficientnet_b0.__doc__,
    "dependencies": hubconf.dependencies,
}}))
"""


def test_its_dependencies_are_all_it_needs() -> None:
    """In a process that has no other library of the project's, nor the package installed."""
    absent = {
        "altair", "jinja2", "optuna", "PIL", "rich", "scipy", "sklearn", "tensorboard", "torchvision", "tyro",
        "vl_convert", "timm", "keras", "tensorflow", "onnx", "h5py",
    }  # fmt: skip
    code = ALONE.format(absent=absent, root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["classes"] == 2
    assert told["file"] == str(ROOT / "src" / "compoundnet" / "__init__.py")
    assert told["path is as it was"]
    assert set(told["entries"]) == {"create", *list_networks()}
    assert told["told"].startswith("efficientnet_b0: (N, in_channels, H, W)")
    assert told["dependencies"] == ["torch", "numpy", "safetensors", "huggingface_hub"]
