"""Comparators as values: JSON both ways, wrong ones in one line, found beside architectures, never in their place."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from compoundnet import zoo
from compoundnet.architecture import Architecture
from compoundnet.errors import RequestError
from compoundnet.preprocessing import Preprocessing
from compoundnet.scaling import design, scale
from compoundnet.zoo.comparators import (
    COMPARATORS,
    AmoebaNetD,
    Comparator,
    Maker,
    Timm,
    TorchVision,
    ZFNet,
    read_network,
)

ALEXNET = COMPARATORS["alexnet"]
MAKERS: st.SearchStrategy[Maker] = st.one_of(
    st.sampled_from([c.maker for c in COMPARATORS.values()]),
    st.builds(lambda n, m: AmoebaNetD(layers=3 * n, filters=8 * m), st.integers(1, 30), st.integers(4, 80)),
)


@given(
    st.builds(
        Comparator,
        name=st.text(min_size=1),
        maker=MAKERS,
        resolution=st.integers(63, 1000),
        in_channels=st.integers(1, 9),
        classes=st.integers(1, 2000),
        dropout=st.floats(0, 0.9),
    )
)
def test_json_both_ways(comparator: Comparator) -> None:
    assert read_network(comparator.to_json()) == comparator
    assert Comparator.from_json(comparator.to_json()) == comparator
    assert hash(read_network(comparator.to_json())) == hash(comparator)


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnet50", "mbconv_tiny"])
def test_architectures_are_read_as_what_they_are(name: str) -> None:
    assert read_network(zoo.architecture(name).to_json()) == zoo.architecture(name)


def test_either_kind_is_found_by_name_and_in_a_file(tmp_path: Path) -> None:
    for name in ("alexnet", "efficientnet_b0"):
        file = tmp_path / f"{name}.json"
        file.write_text(zoo.network(name).to_json())
        assert zoo.network(file) == zoo.network(name)
    assert isinstance(zoo.network("vgg16"), Comparator)
    assert isinstance(zoo.network("resnet50"), Architecture)


def test_lists() -> None:
    everything = zoo.list_networks()
    assert everything == sorted({*zoo.list_architectures(), *COMPARATORS})
    assert not COMPARATORS.keys() & set(zoo.list_architectures())  # a name means one network
    assert zoo.list_networks("vgg*") == ["vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]
    assert zoo.list_networks("amoebanet_d_18_2*") == ["amoebanet_d_18_208", "amoebanet_d_18_256"]


NO_SCALING = r"^'alexnet.*' is a comparator, which can be described, .* no stages to scale; efficientnet_b0, .*have$"


def test_a_comparator_is_no_architecture(tmp_path: Path) -> None:
    file = tmp_path / "alexnet.json"
    file.write_text(ALEXNET.to_json())
    with pytest.raises(RequestError, match=r"alexnet.json' is a comparator"):
        zoo.architecture(file)
    with pytest.raises(RequestError, match=NO_SCALING):
        zoo.architecture("alexnet")
    with pytest.raises(RequestError, match=NO_SCALING):
        scale("alexnet", 1)
    with pytest.raises(RequestError, match=NO_SCALING):
        design("alexnet", macs=1e9)
    assert {"efficientnet_b0", "mobilenetv2_100", "resnet50"} <= set(zoo.list_architectures())  # as it says


def test_a_slip_of_the_pen_finds_comparators_too() -> None:
    with pytest.raises(RequestError, match="unknown architecture 'xceptoin'; did you mean 'xception'"):
        zoo.network("xceptoin")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "name is ''; it must be a text"),
        ({"maker": "torchvision"}, "maker is 'torchvision'; it must be one of TorchVision, Timm, ZFNet, AmoebaNetD"),
        ({"resolution": 62}, "resolution is 62; alexnet takes images of at least 63 pixels"),
        ({"resolution": 224.0}, "resolution is 224.0; it must be a positive integer"),
        ({"classes": 0}, "classes is 0; it must be a positive integer"),
        ({"in_channels": True}, "in_channels is True"),
        ({"dropout": 1}, r"dropout is 1; it must lie in \[0, 1\)"),
        ({"dropout": "half"}, "dropout is 'half'"),
    ],
)
def test_wrong_values(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        replace(ALEXNET, **changes)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TorchVision(model="resnet50"), "unknown TorchVision.model 'resnet50'"),  # type: ignore[arg-type]
        (lambda: Timm(model="hf-hub:somebody/something"), "unknown Timm.model 'hf-hub:somebody/something'"),  # type: ignore[arg-type]
        (lambda: AmoebaNetD(layers=20, filters=208), "layers is 20; it must be a multiple of 3, such as 18"),
        (lambda: AmoebaNetD(layers=18, filters=210), "filters is 210; it must be a multiple of 8, such as 208"),
        (lambda: AmoebaNetD(layers=18, filters=24), "filters is 24; it must be an integer of at least 32"),
        (lambda: AmoebaNetD(layers=0, filters=208), "layers is 0; it must be an integer of at least 3"),
    ],
)  # fmt: skip
def test_wrong_makers(make: Any, said: str) -> None:
    """A file that a stranger wrote must not make timm fetch anything."""
    with pytest.raises(RequestError, match=said):
        make()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"maker": {"type": "Keras"}}, "unknown maker type in comparator.maker 'Keras'"),
        ({"maker": "alexnet"}, "unknown maker type in comparator.maker 'None'"),
        ({"maker": {"type": "ZFNet", "layers": 3}}, "field in comparator.maker 'layers'"),
        ({"maker": {"type": "TorchVision"}}, "comparator.maker lacks model"),
        ({"stages": []}, "unknown field in comparator 'stages'"),
        ({"classes": -1}, "comparator: classes is -1"),
    ],
)
def test_wrong_files(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    file = tmp_path / "net.json"
    file.write_text(json.dumps(json.loads(ALEXNET.to_json()) | changes))
    with pytest.raises(RequestError, match=said) as caught:
        zoo.network(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "3", "null", '{"name": "x"}'])
def test_files_that_are_neither(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(RequestError, match=r"net\.json: "):
        zoo.network(tmp_path / "net.json")


TORCHVISION = [c.name for c in COMPARATORS.values() if isinstance(c.maker, TorchVision)]


@pytest.mark.parametrize("name", TORCHVISION)
def test_preprocessing_is_torchvisions(name: str) -> None:
    published = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    theirs, ours = published.transforms(), zoo.preprocessing(COMPARATORS[name])
    assert (theirs.crop_size, theirs.resize_size) == ([ours.resolution], [ours.short_side])
    if name != "googlenet":
        assert (theirs.mean, theirs.std) == (list(ours.mean), list(ours.std))
    assert theirs.interpolation.value == ours.interpolation
    least = COMPARATORS[name].maker.least_side
    assert published.meta["min_size"] == (least, least)


def test_googlenets_published_weights_take_images_from_minus_1_to_1() -> None:
    """What torchvision's transform and, in the network, ``transform_input`` make of them together."""
    import torch

    with torch.device("meta"):
        network = torchvision.models.googlenet(init_weights=False, transform_input=True, aux_logits=False)
    theirs, ours = (
        torchvision.models.GoogLeNet_Weights.DEFAULT.transforms(),
        zoo.preprocessing(COMPARATORS["googlenet"]),
    )
    image = torch.rand(1, 3, 2, 2)
    mean, std = (torch.tensor(v)[:, None, None] for v in (theirs.mean, theirs.std))
    expected = (image - torch.tensor(ours.mean)[:, None, None]) / torch.tensor(ours.std)[:, None, None]
    torch.testing.assert_close(network._transform_input((image - mean) / std), expected)


@pytest.mark.parametrize("name", ["xception", "nasnetalarge"])
def test_preprocessing_is_timms(name: str) -> None:
    maker, ours = COMPARATORS[name].maker, zoo.preprocessing(COMPARATORS[name])
    assert isinstance(maker, Timm)
    theirs = timm.get_pretrained_cfg(maker.model)
    assert theirs is not None
    assert theirs.input_size == (3, ours.resolution, ours.resolution)
    assert (theirs.crop_pct, theirs.interpolation) == (ours.crop_fraction, ours.interpolation)
    assert (theirs.mean, theirs.std) == (ours.mean, ours.std)


def test_preprocessing_of_the_others() -> None:
    assert zoo.preprocessing(COMPARATORS["zfnet"]) == Preprocessing(resolution=224, interpolation="bilinear")
    amoebanet = zoo.preprocessing(COMPARATORS["amoebanet_d_18_208"])
    assert (amoebanet.mean, amoebanet.interpolation) == ((0.5, 0.5, 0.5), "bilinear")
    assert zoo.preprocessing(replace(ALEXNET, resolution=128)).resolution == 128
    assert isinstance(COMPARATORS["zfnet"].maker, ZFNet)
