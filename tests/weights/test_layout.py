"""By what layouts and networks are told apart."""

from dataclasses import replace

import pytest
import torch

from compoundnet import zoo
from compoundnet.architecture import Architecture, Norm
from compoundnet.cost import cost
from compoundnet.errors import RequestError
from compoundnet.weights.adapters import from_ours, to_ours
from compoundnet.weights.conventions import Convention, check_convention, same_layers
from compoundnet.weights.layout import LAYOUTS, detect
from weights.peers import TINY_V1, alike, random_network

ARCHS = [zoo.architecture(name) for name in zoo.list_architectures()]
EFFICIENTNETS = ("compoundnet", "timm", "torchvision", "lukemelas", "keras", "keras by class", "tensorflow")
SYMMETRIC = replace(TINY_V1, padding="symmetric", norm=Norm(eps=1e-5, momentum=0.1))


@pytest.mark.parametrize("layout", EFFICIENTNETS)
def test_every_layout_is_known_by_its_names_and_goes_both_ways(layout: str) -> None:
    arch = SYMMETRIC if layout == "torchvision" else TINY_V1
    state = random_network(arch).state_dict()
    theirs = from_ours(state, arch, layout, "test")
    assert detect(theirs, "test") == layout
    assert alike(to_ours(theirs, arch, layout, "test"), state)
    backbone = {name: t for name, t in theirs.items() if name not in LAYOUTS[layout].classifier}
    assert len(backbone) == len(theirs) - 2
    assert alike(to_ours(backbone, arch, layout, "test"), {n: t for n, t in state.items() if "classifier" not in n})
    with pytest.raises(RequestError, match=r"test does not fit tiny_v1: 1 missing"):
        to_ours({name: t for name, t in list(theirs.items())[1:]}, arch, layout, "test")


@pytest.mark.parametrize("layout", EFFICIENTNETS)
def test_other_classes_and_channels_are_the_files_affair(layout: str) -> None:
    arch = SYMMETRIC if layout == "torchvision" else TINY_V1
    other = replace(arch, classes=3, in_channels=1)
    with torch.random.fork_rng():
        theirs = from_ours(random_state(other), other, layout, "test")
    ours = to_ours(theirs, arch, layout, "test")
    assert ours["classifier.weight"].shape[0] == 3
    assert ours["stem.conv.weight"].shape[1] == 1


def random_state(arch: Architecture) -> dict[str, torch.Tensor]:
    from compoundnet.nn import build

    return build(arch).state_dict()


def test_no_two_networks_have_as_many_parameters_but_twins() -> None:
    """By which the error for a wrong file says what it looks like."""
    seen: dict[int, Architecture] = {}
    for arch in ARCHS:
        count = int(cost(replace(arch, classes=1)).params)
        twin = seen.setdefault(count, arch)
        assert same_layers(arch, twin) or replace(twin, activation=arch.activation) == arch, (arch.name, twin.name)


@pytest.mark.parametrize("arch", [a for a in ARCHS if a.name.startswith("efficientnet")][:6], ids=lambda a: a.name)
def test_the_twin_that_fits_is_named(arch: Architecture) -> None:
    twin = zoo.architecture(f"tf_{arch.name}")
    assert same_layers(arch, twin)
    check_convention(twin, Convention("same", Norm(eps=1e-3)), "file")
    with pytest.raises(RequestError, match=rf"^file needs padding 'same' .*{arch.name} has .*: use {twin.name}$"):
        check_convention(arch, Convention("same", Norm(eps=1e-3)), "file")


def test_the_momentum_is_no_matter() -> None:
    check_convention(replace(TINY_V1, norm=Norm(eps=1e-3, momentum=0.5)), Convention("same", Norm(eps=1e-3)), "file")


def test_what_to_change_where_the_zoo_has_none() -> None:
    arch = replace(TINY_V1, norm=Norm(eps=1e-4))
    with pytest.raises(RequestError, match=r"architecture\('tiny_v1'\), norm=Norm\(eps=0\.001, momentum=0\.01\)"):
        check_convention(arch, Convention("same", Norm(eps=1e-3, momentum=0.01)), "file")
