"""A comparator takes its makers' files and its own: the same answers as theirs, and one line for everything else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from compoundnet import create
from compoundnet.errors import RequestError
from compoundnet.nn.comparators import build_comparator
from compoundnet.weights import apply_weights, hub, read_weights, write_weights
from compoundnet.weights.comparators import WEIGHTS, read_comparator_weights
from compoundnet.zoo.comparators import COMPARATORS, AmoebaNetD

ALEXNET = COMPARATORS["alexnet"]
TINY = replace(COMPARATORS["amoebanet_d_18_208"], maker=AmoebaNetD(layers=3, filters=32), resolution=32, classes=4)


def torchvisions(name: str) -> nn.Module:
    more: dict[str, Any] = {"init_weights": True, "aux_logits": True} if name == "googlenet" else {}
    module: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=6, **more)
    return module


def timms(name: str) -> nn.Module:
    return timm.create_model(name, num_classes=6)


def with_statistics(model: nn.Module) -> nn.Module:
    """Norms as a training leaves them."""
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.normal_(m.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(m.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.normal_(m.bias, std=0.1)
    return model.eval()


SOURCES = {  # of one network in each family; side
    "alexnet": (lambda: torchvisions("alexnet"), 70),
    "googlenet": (lambda: torchvisions("googlenet"), 65),
    "densenet121": (lambda: torchvisions("densenet121"), 64),
    "densenet169": (lambda: timms("densenet169"), 65),
    "xception": (lambda: timms("legacy_xception"), 71),
    "vgg16": (lambda: torchvisions("vgg16"), 64),
    "vgg16_bn": (lambda: timms("vgg16_bn"), 64),
    "nasnetalarge": (lambda: timms("nasnetalarge"), 64),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n.startswith("vgg") or n == "nasnetalarge")) for n in SOURCES]
)
def test_logits_are_the_makers(tmp_path: Path, name: str) -> None:
    make, side = SOURCES[name]
    torch.manual_seed(0)
    theirs = with_statistics(make())
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = create(name, weights=tmp_path / "theirs.safetensors", num_classes=6).eval()
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    save_file({name: tensor.clone() for name, tensor in state.items()}, path)
    return path


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    """A file in our own layout."""
    state = with_statistics(build_comparator(TINY)).state_dict()
    return saved(tmp_path / "own.safetensors", state), state


def test_our_own_layout_comes_back_bit_for_bit(own: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = own
    read = read_comparator_weights(path, TINY)
    assert read.state.keys() == state.keys()
    assert all(torch.equal(read.state[name], tensor) for name, tensor in state.items())
    assert (read.source, read.preprocessing, read.labels) == (str(path), None, None)
    assert read.sha256 == hub.sha256_of(path)


def test_other_classes_leave_a_fresh_classifier(own: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = own
    network = build_comparator(replace(TINY, classes=9))
    applied = apply_weights(network, read_comparator_weights(path, replace(TINY, classes=9)))
    assert applied.fresh == ("classifier.weight", "classifier.bias")
    loaded = network.state_dict()
    assert all(torch.equal(loaded[n], t) for n, t in state.items() if not n.startswith("classifier"))


def test_other_channels_adapt_the_first_convolution(own: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = own
    first, grey = next(iter(state)), replace(TINY, in_channels=1)
    network, weights = build_comparator(grey), read_weights(path, grey)
    with pytest.raises(RequestError, match=rf"does not fit .* exactly: {first} is "):
        apply_weights(network, weights, strict=True)
    assert apply_weights(network, weights).adapted == (first,)
    torch.testing.assert_close(network.state_dict()[first], state[first].sum(1, keepdim=True))


def test_written_weights_come_back_bit_for_bit(own: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    written = write_weights(own[1], TINY, tmp_path / "w.safetensors", labels=list("abcd"))
    read = read_weights(written, TINY)
    assert read.state.keys() == own[1].keys()
    assert all(torch.equal(read.state[name], tensor) for name, tensor in own[1].items())
    assert read.labels == ("a", "b", "c", "d")
    with pytest.raises(RequestError, match=r"cannot be written in timm's layout; in compoundnet's they can$"):
        write_weights(own[1], TINY, tmp_path / "t.safetensors", layout="timm")


def test_without_a_classifier(tmp_path: Path, own: tuple[Path, dict[str, Tensor]]) -> None:
    state = {name: tensor for name, tensor in own[1].items() if not name.startswith("classifier")}
    network = build_comparator(TINY)
    applied = apply_weights(network, read_comparator_weights(saved(tmp_path / "body.safetensors", state), TINY))
    assert applied.fresh == ("classifier.weight", "classifier.bias")


def broken(state: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    name = next(iter(state))
    if how == "lacking":
        return {n: t for n, t in state.items() if n != name}
    if how == "too many":
        return {**state, "features.99.weight": torch.zeros(1)}
    if how == "another shape":
        return {**state, name: torch.zeros(3, 3, 5, 5)}
    return {**state, name: torch.full_like(state[name], torch.nan)}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("lacking", "does not fit amoebanet_d_18_208: 1 missing"),
        ("too many", r"does not fit amoebanet_d_18_208: 1 unexpected \(features.99.weight\)"),
        ("another shape", r"wrong shape \(features.0.conv.weight is \(3, 3, 5, 5\), not \(8, 3, 3, 3\)"),
        ("no number", "has NaN or infinity"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, own: tuple[Path, dict[str, Tensor]], how: str, said: str) -> None:
    path = saved(tmp_path / "broken.safetensors", broken(own[1], how))
    with pytest.raises(RequestError, match=said) as caught:
        read_comparator_weights(path, TINY)
    assert "\n" not in str(caught.value)


def test_the_weights_of_another_network(own: tuple[Path, dict[str, Tensor]]) -> None:
    with pytest.raises(RequestError, match=r"own\.safetensors does not fit alexnet: "):
        read_weights(own[0], ALEXNET)


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [
        ("alexnet", "imagenet", "no weights 'imagenet' are published for 'alexnet' .*; there are some for vgg16"),
        ("zfnet", "in1k", "no weights 'in1k' are published for 'zfnet'"),
        ("densenet121", "ns", r"no weights 'ns' for densenet121; there are: imagenet \(the best\), ra_in1k, tv_in1k"),
        ("alexnet", "nowhere.safetensors", "cannot read weights nowhere.safetensors: No such file"),
        ("alexnet", Path("somewhere"), "cannot read weights somewhere"),
    ],
)  # fmt: skip
def test_what_is_not_published(name: str, weights: str | Path, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_comparator_weights(weights, COMPARATORS[name])


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "alexnet.pth")
    with pytest.raises(RequestError, match="is a pickle, which can run code; convert it"):
        read_comparator_weights(tmp_path / "alexnet.pth", ALEXNET)


def test_a_tag_fetches_its_file_with_its_preprocessing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: tuple[Path, dict[str, Tensor]]
) -> None:
    asked: list[str] = []

    def fetch(repository: str) -> Path:
        asked.append(repository)
        return theirs

    theirs = saved(tmp_path / "model.safetensors", torchvisions("densenet121").state_dict())
    monkeypatch.setattr(hub, "fetch", fetch)
    best = read_comparator_weights("imagenet", COMPARATORS["densenet121"])
    other = read_comparator_weights("tv_in1k", COMPARATORS["densenet121"])
    assert asked == ["timm/densenet121.ra_in1k", "timm/densenet121.tv_in1k"]
    assert best.preprocessing is not None
    assert (best.preprocessing.resolution, best.preprocessing.crop_fraction) == (288, 0.95)
    assert other.preprocessing is not None
    assert (other.preprocessing.resolution, other.preprocessing.interpolation) == (224, "bicubic")


@pytest.mark.parametrize("row", WEIGHTS, ids=lambda row: f"{row.comparator}-{row.tag}")
def test_rows_are_timms(row: Any) -> None:
    theirs = timm.get_pretrained_cfg(row.repository.removeprefix("timm/"))
    assert theirs is not None
    prepared = row.preprocessing
    assert (theirs.test_input_size or theirs.input_size)[1] == prepared.resolution
    assert (theirs.test_crop_pct or theirs.crop_pct) == prepared.crop_fraction
    assert (theirs.interpolation, theirs.mean, theirs.std) == (prepared.interpolation, prepared.mean, prepared.std)
    assert theirs.num_classes == 1000


def test_the_best_comes_first() -> None:
    by_name: dict[str, list[float]] = {}
    for row in WEIGHTS:
        by_name.setdefault(row.comparator, []).append(row.top1)
    assert all(tops == sorted(tops, reverse=True) for tops in by_name.values())
    assert by_name.keys() <= COMPARATORS.keys()
