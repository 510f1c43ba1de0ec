"""``create``: a network by name, file or value, with the ecosystem's settings, with or without weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from compoundnet import Architecture, create, zoo
from compoundnet.errors import RequestError
from compoundnet.nn import FeatureExtractor, Network, build
from compoundnet.nn.layers import StochasticDepth

B0 = zoo.architecture("tf_efficientnet_b0")
TINY = replace(B0, name="tiny", resolution=32, stem=8, head=16, classes=5, stages=(
    replace(B0.stages[0], channels=8, repeats=2), replace(B0.stages[1], channels=8),
))  # fmt: skip


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """A file in our own layout, and what is in it."""
    torch.manual_seed(0)
    state = {name: tensor.clone() for name, tensor in build(TINY).state_dict().items()}
    state["classifier.bias"] = torch.arange(5.0)
    save_file(state, tmp_path / "trained.safetensors")
    return tmp_path / "trained.safetensors", state


def images(channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, 32, 32)


def same(model: nn.Module, state: dict[str, torch.Tensor], but: tuple[str, ...] = ()) -> bool:
    own = model.state_dict()
    return all(torch.equal(own[name], tensor) for name, tensor in state.items() if name not in but and name in own)


def test_by_name() -> None:
    model = create("efficientnet_b0")
    assert isinstance(model, Network)
    assert model.architecture == zoo.architecture("efficientnet_b0")


def test_by_file_and_by_value(tmp_path: Path) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(TINY.to_json())
    for source in (path, str(path), TINY):
        model = create(source)
        assert isinstance(model, Network)
        assert model.architecture == TINY
        assert model(images()).shape == (2, 5)


def test_without_weights_it_is_fresh() -> None:
    torch.manual_seed(4)
    model = create(TINY)
    torch.manual_seed(4)
    assert same(model, build(TINY).state_dict())
    assert model.training


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"num_classes": 2}, {"classes": 2}),
        ({"in_channels": 1}, {"in_channels": 1}),
        ({"drop_rate": 0.5}, {"dropout": 0.5}),
        ({"drop_rate": 0.0}, {"dropout": 0.0}),
        ({"drop_path_rate": 0.0}, {"drop_path": 0.0}),
        ({"num_classes": 9, "in_channels": 4, "drop_rate": 0.1, "drop_path_rate": 0.3},
         {"classes": 9, "in_channels": 4, "dropout": 0.1, "drop_path": 0.3}),
    ],
)  # fmt: skip
def test_settings_change_the_architecture(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    model = create(TINY, **settings)
    assert isinstance(model, Network)
    arch: Architecture = replace(TINY, **changes)
    assert model.architecture == arch
    assert model.dropout.p == arch.dropout
    rates = [m.rate for m in model.modules() if isinstance(m, StochasticDepth)]
    assert rates == [arch.drop_path_rates()[i] for i in (0, 1, 3)]  # the blocks that add their input
    assert model(images(arch.in_channels)).shape == (2, arch.classes)


def test_no_classes_gives_pooled_features() -> None:
    model = create(TINY, num_classes=0)
    assert isinstance(model, Network)
    assert isinstance(model.get_classifier(), nn.Identity)
    assert model(images()).shape == (2, 16)


def test_weights_from_a_file(trained: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = trained
    for source in (path, str(path)):
        assert same(create(TINY, weights=source), state)


def test_weights_of_other_classes_leave_a_fresh_classifier(trained: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = trained
    model = create(TINY, weights=path, num_classes=2)
    assert same(model, state, but=("classifier.weight", "classifier.bias"))
    assert not model.classifier.bias.any()  # type: ignore[union-attr, operator]
    assert model(images()).shape == (2, 2)


def test_weights_without_a_classifier(trained: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = trained
    model = create(TINY, weights=path, num_classes=0)
    assert same(model, state)
    assert model(images()).shape == (2, 16)


def test_weights_for_other_channels_adapt_the_stem(trained: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = trained
    model = create(TINY, weights=path, in_channels=1)
    assert same(model, state, but=("stem.conv.weight",))
    torch.testing.assert_close(model.state_dict()["stem.conv.weight"], state["stem.conv.weight"].sum(1, keepdim=True))


def test_features_only(trained: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = trained
    model = create(TINY, weights=path, features_only=True)
    assert isinstance(model, FeatureExtractor)
    assert same(model, state)
    assert model.channels == [8, 8]
    assert [m.shape[2] for m in model(images())] == [16, 8]
    last = create(TINY, features_only=True, out_indices=[-1])
    assert isinstance(last, FeatureExtractor)
    assert last.reductions == [4]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "efficientnet_b00"}, r"unknown architecture 'efficientnet_b00'; did you mean 'efficientne"),
        ({"architecture": "nowhere.json"}, r"cannot read architecture 'nowhere.json'"),
        ({"num_classes": -1}, r"classes is -1; it must be a positive integer"),
        ({"num_classes": 2.5}, r"classes is 2.5; it must be a positive integer"),
        ({"in_channels": 0}, r"in_channels is 0; it must be a positive integer"),
        ({"drop_rate": 1.0}, r"dropout is 1.0; it must lie in \[0, 1\)"),
        ({"drop_path_rate": -0.1}, r"drop_path is -0.1; it must lie in \[0, 1\)"),
        ({"features_only": True, "out_indices": [2]}, r"out_indices is \[2\]; tiny has 2 maps: 0 to 1"),
        ({"out_indices": [0]}, r"out_indices is \[0\]; it chooses among feature maps and needs features_only=True"),
        ({"weights": "nowhere.safetensors"}, r"cannot read weights nowhere.safetensors: No such file"),
        ({"weights": "imagenet"}, r"no weights are published for 'tiny'"),
        ({"architecture": B0, "weights": "imagenat"}, r"no weights 'imagenat' for tf_efficientnet_b0; there are: ima"),
    ],
)  # fmt: skip
def test_wrong_requests(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        create(**{"architecture": TINY, **settings})


def test_weights_of_another_network(trained: tuple[Path, dict[str, torch.Tensor]]) -> None:
    with pytest.raises(RequestError, match=r"trained.safetensors does not fit wider: .*wrong shape"):
        create(replace(TINY, name="wider", head=24), weights=trained[0])


def test_weights_that_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("weights, one day")
    with pytest.raises(RequestError, match=r"is not a safetensors file, or it is truncated"):
        create(TINY, weights=path)


@pytest.mark.parametrize(("rows", "background"), [(7, ""), (1001, "; class 0 may be the background")])
def test_a_classifier_of_other_classes_is_not_dropped_silently(tmp_path: Path, rows: int, background: str) -> None:
    """EdgeTPU's own checkpoints have 1001 classes, of which 0 is the background."""
    name = "efficientnet_es" if background else "mbconv_tiny"
    with torch.device("meta"):
        state = create(name, num_classes=rows).state_dict()
    state = {key: torch.zeros(tensor.shape, dtype=tensor.dtype) for key, tensor in state.items()}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(
        RequestError, match=rf"has a classifier of {rows} classes.*{background}: give num_classes={rows}"
    ):
        create(name, tmp_path / "w.safetensors")
    assert len(create(name, tmp_path / "w.safetensors", num_classes=rows).classifier.weight) == rows


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": 5}, "network is 5; give a name"),
        ({"architecture": None}, "network is None; give a name"),
        ({"features_only": True, "out_indices": 5}, "out_indices is 5; it must be a list"),
        ({"features_only": True, "out_indices": "01"}, "out_indices is '01'; it must be a list"),
        ({"features_only": True, "out_indices": (True,)}, "out_indices is"),
        ({"features_only": True, "out_indices": (1.0,)}, "out_indices is"),
    ],
)
def test_arguments_of_another_kind(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        create(**{"architecture": "mbconv_tiny", **settings})


def test_whole_numbers_of_numpy_are_taken() -> None:
    assert create("mbconv_tiny", num_classes=np.int64(4)).classifier.out_features == 4
